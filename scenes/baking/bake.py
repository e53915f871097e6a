"""Bakes a mesh into a `Scene`: ray casting hierarchy, walkable surface, goals and distances to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bvh import build_bvh
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.objects.find import find_objects
from batchsim.scenes.walking.geodesic import distance_fields, sample_goals
from batchsim.scenes.walking.walkable import Walkable, build_walkable, default_cell_size

DEFAULT_BODY = AgentBody()
# With 64 goals, a home of 60 square metres and 30,000 triangles takes 2 MB on disk and 6 MB in memory.
DEFAULT_NUM_GOALS = 64
MAX_GOALS = 4096
# 150 square metres at 5 cm.
MAX_CELLS = 60_000
COARSEST_CELL = 0.15
# Floors of more than 5,400 square metres, which would have more cells even so, get cells of up to 25 cm.
MAX_COARSE_CELLS = 240_000
COARSEST_CELL_OF_HALLS = 0.25


def bake(
    mesh: Mesh,
    name: str,
    body: AgentBody = DEFAULT_BODY,
    num_goals: int = DEFAULT_NUM_GOALS,
    seed: int = 0,
    label_names: tuple[str, ...] = LABELS,
    cell_size: float | None = None,
    wall_tops: bool = False,
) -> Scene:
    """Bakes `mesh` for agents of the shape `body`. The same arguments give the same arrays, bit for bit.

    Args:
        mesh: The triangles.
        name: Name of the scene.
        body: The agent's body.
        num_goals: Number of goals to sample from the floor, 1 to `MAX_GOALS`, each with a distance field of 2 bytes per
            cell.
        seed: Seed of the goals.
        label_names: Name of each semantic label.
        cell_size: Width of a cell of the walkable grid, metres. None takes 5 cm, up to 15 cm for floors that would have
            more than `MAX_CELLS` cells, and up to 25 cm for those of more than `MAX_COARSE_CELLS` even so.
        wall_tops: Keep floor that nothing leads to above a larger floor: roofs, and tops of walls without a ceiling.

    Raises:
        SceneError: If the mesh is empty, has no floor that `body` can stand on, or has a label without a name.
    """
    _check(mesh, name, num_goals, label_names)
    walkable = _walkable(mesh, name, body, cell_size, wall_tops)
    goals = sample_goals(walkable, num_goals, np.random.default_rng(seed))
    bvh = build_bvh(mesh.triangles)
    triangles, labels, instances = mesh.triangles[bvh.order], mesh.labels[bvh.order], mesh.instances[bvh.order]
    return Scene(
        name=name,
        triangles=triangles,
        uvs=mesh.uvs[bvh.order],
        materials=mesh.materials[bvh.order],
        labels=labels,
        material_table=mesh.material_table,
        textures=mesh.textures,
        bvh=bvh,
        walkable=walkable,
        goals=goals,
        goal_distances=distance_fields(walkable, goals).astype(np.float16),
        body=body,
        label_names=label_names,
        instances=instances,
        objects=find_objects(name, triangles, labels, instances, label_names, bvh.nodes, walkable),
        offset=mesh.offset,
    )


def _walkable(mesh: Mesh, name: str, body: AgentBody, cell_size: float | None, wall_tops: bool) -> Walkable:
    """Computes the floor; without a size, on cells that limit baking to seconds and distance fields to megabytes."""

    def build(size: float) -> Walkable:
        return build_walkable(mesh.triangles, body, size, wall_tops=wall_tops)

    try:
        return _limited_walkable(mesh, build) if cell_size is None else build(cell_size)
    except SceneError as error:
        low, high = mesh.bounds
        raise SceneError(
            f"{name}: {error} The mesh spans {_metres(high - low)} (x, y, z). Import a file with z up with up='z', and "
            "one in centimetres with scale=0.01."
        ) from None


def _limited_walkable(mesh: Mesh, build: Callable[[float], Walkable]) -> Walkable:
    """Computes the floor by `build` on cells of 5 cm, or on larger ones if there would be more than `MAX_CELLS`."""
    finest = default_cell_size(mesh.bounds)
    coarsest = max(finest, COARSEST_CELL)
    if _upward_area(mesh.triangles) / MAX_CELLS > finest**2 and finest < coarsest:
        # Large scenes take long on fine cells: coarse ones tell cheaply how large the floor is.
        try:
            coarse = build(coarsest)
        except SceneError:
            return build(finest)  # there may be floor in narrow places
        wanted = math.sqrt(coarse.area / MAX_CELLS)
        if wanted > coarsest:
            halls = min(math.sqrt(coarse.area / MAX_COARSE_CELLS), COARSEST_CELL_OF_HALLS)
            return build(halls) if halls > coarsest else coarse
        if wanted > 1.1 * finest:
            return build(wanted)
    walkable = build(finest)
    wanted = math.sqrt(walkable.area / MAX_CELLS)
    return build(min(wanted, coarsest)) if wanted > finest else walkable


def _upward_area(triangles: np.ndarray) -> float:
    """Returns the square metres of the fronts that face up, seen from above: there is no more floor than that."""
    a, b, c = (triangles[:, k].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    return float(np.maximum(u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2], 0).sum()) / 2


def _check(mesh: Mesh, name: str, num_goals: int, label_names: tuple[str, ...]) -> None:
    if not len(mesh):
        raise SceneError(f"{name}: the mesh has no triangles, so there is nothing to bake.")
    if not 1 <= num_goals <= MAX_GOALS:
        raise SceneError(f"{name}: num_goals is {num_goals}; expected 1 to {MAX_GOALS:,}.")
    if not 0 <= mesh.labels.min() <= mesh.labels.max() < len(label_names):
        raise SceneError(
            f"{name}: labels run from {mesh.labels.min()} to {mesh.labels.max()}, but {len(label_names)} label "
            "names were given. Pass label_names with one name for each label."
        )


def _metres(extent: np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in extent) + " m"
