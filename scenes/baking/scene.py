"""`Scene`: a building ready for simulation. It never changes, and all environments in it share it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking import scene_checks
from batchsim.scenes.baking.bvh import BVH
from batchsim.scenes.baking.scene_file import SceneHeader, read_scene_file, write_scene_file
from batchsim.scenes.baking.texture_sharing import shared_texture
from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import Material, Mesh
from batchsim.scenes.objects.scene_objects import SceneObjects
from batchsim.scenes.prefixes import with_prefix, without_prefix
from batchsim.scenes.user_files import reading
from batchsim.scenes.walking.geodesic import distance_fields, geodesic_distance, shortest_path
from batchsim.scenes.walking.walkable import Walkable

if TYPE_CHECKING:
    from os import PathLike

_ARRAYS = ("triangles", "uvs", "materials", "labels", "goals", "goal_distances", "instances")


@dataclass(frozen=True, eq=False)
class Scene:
    """The result of baking: triangles to draw, the walkable surface, goals and distances. Metres, y up.

    - `triangles` float32 `[T, 3, 3]`, `uvs` float32 `[T, 3, 2]`, `materials` int32 `[T]`, `labels` int32 `[T]`:
      as in `Mesh`, in the order of the leaves of `bvh`.
    - `material_table`, `textures`: as in `Mesh`. Scenes share equal textures in memory.
    - `bvh`: the bounding volume hierarchy over `triangles`.
    - `walkable`: the surface on which `body` can stand, as layered height grids; C is its number of cells.
    - `goals` float32 `[G, 3]`; `goal_distances` float16 `[G, C]`: geodesic distance from each cell to each goal,
      metres, inf if unreachable.
    - `label_names`: name of each semantic label; `label_names[0]` is "nothing".
    - `instances` int32 `[T]`: the object that each triangle belongs to, 0 = none; `objects`: what is known of them.
    - `offset`: metres; as in `Mesh`. Everything else here is relative to it.
    """

    name: str
    triangles: np.ndarray
    uvs: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    material_table: tuple[Material, ...]
    textures: tuple[np.ndarray, ...]
    bvh: BVH
    walkable: Walkable
    goals: np.ndarray
    goal_distances: np.ndarray
    body: AgentBody
    label_names: tuple[str, ...]
    instances: np.ndarray
    objects: SceneObjects
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __repr__(self) -> str:
        """Summarises the scene in one line, without its arrays."""
        return (
            f"Scene({self.name!r}, {len(self.triangles):,} triangles, {self.walkable.area:.1f} m2 walkable, "
            f"{len(self.goals)} goals)"
        )

    @property
    def bounds(self) -> np.ndarray:
        """float32 `[2, 3]`: lowest and highest corner of the axis-aligned bounding box, metres."""
        corners = self.triangles.reshape(-1, 3)
        return np.stack([corners.min(0), corners.max(0)])

    @property
    def mesh(self) -> Mesh:
        """The mesh that the scene was baked from, with triangles in `bvh` order."""
        arrays = self.triangles, self.uvs, self.materials, self.labels
        return Mesh(*arrays, self.material_table, self.textures, self.instances, self.offset)

    @property
    def nbytes(self) -> int:
        """Size of all arrays, bytes; about what the scene takes on the device, too."""
        own = (*(getattr(self, name) for name in _ARRAYS), *self.textures, *self.bvh.to_arrays().values())
        return sum(array.nbytes for array in own) + self.walkable.nbytes + self.objects.nbytes

    def geodesic_distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Returns the geodesic distance in metres between points `a` and `b`, `[..., 3]` each, broadcast.

        inf if there is no path, or a point is not on the walkable surface.
        """
        return geodesic_distance(self.walkable, np.asarray(a, np.float32), np.asarray(b, np.float32))

    def is_navigable(self, points: np.ndarray) -> np.ndarray:
        """Returns whether `body` can stand at each of `points` `[..., 3]`; bool `[...]`."""
        return self.walkable.locate(np.asarray(points, np.float32)) >= 0

    def sample_navigable(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Samples `n` points uniformly from the walkable surface, float32 `[n, 3]`."""
        cells = rng.integers(self.walkable.num_cells, size=n)
        points = self.walkable.positions[cells].astype(np.float32)
        # Keeps off the cell's border, where rounding could move the point into a neighbour that is a wall.
        points[:, [0, 2]] += rng.uniform(-0.49, 0.49, (n, 2)) * self.walkable.cell_size
        return points

    def shortest_path(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Returns the shortest path from point `a` `[3]` to point `b` `[3]` as a polyline, float32 `[P, 3]`.

        Raises:
            SceneError: If there is no path.
        """
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        start, end = self.walkable.locate(np.stack([a, b])).tolist()
        islands = self.walkable.islands
        if min(start, end) < 0 or islands[start] != islands[end]:
            raise SceneError(
                f"{self.name}: there is no path from {a.tolist()} to {b.tolist()}. Both points must be navigable "
                "(Scene.is_navigable) and on connected floor."
            )
        return shortest_path(self.walkable, distance_fields(self.walkable, b[None])[0], a)

    def with_goals(self, points: np.ndarray) -> Scene:
        """Returns this scene with `points` `[n, 3]` appended to `goals`, and their distance fields to `goal_distances`.

        Raises:
            SceneError: If a point is not navigable.
        """
        points = np.asarray(points, np.float32).reshape(-1, 3)
        off = ~self.is_navigable(points)
        if off.any():
            raise SceneError(
                f"{self.name}: goal {points[off][0].tolist()} is not on walkable floor ({int(off.sum())} of "
                f"{len(points)} are not). Choose points where Scene.is_navigable is True."
            )
        if not len(points):
            return self
        fields = distance_fields(self.walkable, points).astype(np.float16)
        return replace(
            self,
            goals=np.concatenate([self.goals, points]),
            goal_distances=np.concatenate([self.goal_distances, fields]),
        )

    def relabelled(self, table: tuple[str, ...]) -> Scene:
        """Returns this scene with `label_names` replaced by `table`, which contains all of them, and labels adapted."""
        if table == self.label_names:
            return self
        number = {name: k for k, name in enumerate(table)}
        numbers = np.array([number[name] for name in self.label_names], np.int32)
        objects = replace(self.objects, labels=numbers[self.objects.labels])
        return replace(self, labels=numbers[self.labels], objects=objects, label_names=table)

    def without_distances(self) -> Scene:
        """Returns this scene without its distance fields, most of its memory: their first dimension is 0."""
        return replace(self, goal_distances=self.goal_distances[:0].copy(), objects=self.objects.without_distances())

    def save(self, path: str | PathLike[str]) -> None:
        """Writes a file (safetensors) that `Scene.load` reads; replaces an old file as a whole or not at all.

        Raises:
            SceneError: If the file cannot be written.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= with_prefix("bvh.", self.bvh.to_arrays()) | with_prefix("walkable.", self.walkable.to_arrays())
        arrays |= with_prefix("objects.", self.objects.to_arrays())
        arrays |= {f"texture.{i}": texture for i, texture in enumerate(self.textures)}
        header = SceneHeader(
            name=self.name,
            materials=self.material_table,
            num_textures=len(self.textures),
            body=self.body,
            label_names=self.label_names,
            categories=self.objects.categories,
            offset=self.offset,
        )
        write_scene_file(Path(path), header, arrays)

    @staticmethod
    def load(path: str | PathLike[str]) -> Scene:
        """Reads a file written by `save`.

        Raises:
            SceneError: If the file is missing, damaged or of another kind; the message names it.
        """
        path = Path(path)
        header, arrays = read_scene_file(path)
        with reading(path, "a baked scene"):
            textures = tuple(arrays[f"texture.{i}"] for i in range(header.num_textures))
            scene_checks.check_layout(arrays)
            scene_checks.check_triangles(arrays, header.materials, textures, len(header.label_names))
            bvh = BVH.from_arrays(without_prefix("bvh.", arrays))
            scene_checks.check_tree(bvh.nodes, bvh.order, bvh.stack_size, arrays["triangles"])
            walkable = Walkable.from_arrays(without_prefix("walkable.", arrays))
            scene_checks.check_walkable(walkable, header.body)
            scene_checks.check_goals(walkable, arrays["goals"], arrays["goal_distances"])
            objects = SceneObjects.from_arrays(without_prefix("objects.", arrays), header.categories)
            objects.check(walkable.num_cells, len(header.label_names), arrays["instances"])
        return Scene(
            name=header.name,
            **{name: arrays[name] for name in _ARRAYS},
            material_table=header.materials,
            textures=tuple(map(shared_texture, textures)),
            bvh=bvh,
            walkable=walkable,
            body=header.body,
            label_names=header.label_names,
            objects=objects,
            offset=header.offset,
        )
