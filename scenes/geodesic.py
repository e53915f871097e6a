"""Shortest paths on the walkable surface: distance fields, distances between points, paths and goal points.

A field holds for each cell the distance to one goal; a step that lowers it is a step towards the goal.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import dijkstra

from scenes.errors import SceneError
from scenes.walk_graph import walk_graph
from scenes.walkable import MIN_ISLAND_RADIUS, Walkable

# Goals are chosen among this many random cells per goal.
CANDIDATES_PER_GOAL = 64
# A metre of height counts as much as this many on the level when goals are spread, so that every floor has some.
FLOOR_SPREAD = 3.0


def distance_fields(walkable: Walkable, goals: np.ndarray) -> np.ndarray:
    """Geodesic distance float32 `[G, C]` in metres from every cell to each of `goals` float `[G, 3]`.

    inf where the goal is out of reach. Raises SceneError if a goal is not on the walkable surface.
    """
    goals = np.asarray(goals, np.float64).reshape(-1, 3)
    cells = walkable.locate(goals)
    if (cells < 0).any():
        bad = int((cells < 0).argmax())
        raise SceneError(f"Goal {bad} at {goals[bad].tolist()} is not on the walkable surface; use sample_goals.")
    if not len(goals):
        return np.zeros((0, walkable.num_cells), np.float32)
    return dijkstra(walk_graph(walkable), indices=cells).astype(np.float32)


def geodesic_distance(walkable: Walkable, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Geodesic distance float32 `[..]` in metres between points `a` and `b` float `[.., 3]`, which are broadcast.

    inf where there is no path, or where a point is not on the walkable surface.
    """
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    shape = a.shape[:-1]
    a, b = a.reshape(-1, 3), b.reshape(-1, 3)
    start, end = walkable.locate(a), walkable.locate(b)
    result = np.full(len(a), np.inf, np.float32)
    known = np.flatnonzero((start >= 0) & (end >= 0))
    goals, which = np.unique(b[known], axis=0, return_inverse=True)
    fields = distance_fields(walkable, goals)
    result[known] = fields[which.reshape(-1), start[known]]
    close = np.zeros(len(a), bool)
    close[known] = start[known] == end[known]
    result[close] = np.linalg.norm(a[close] - b[close], axis=1)
    return result.reshape(shape)


def shortest_path(walkable: Walkable, field: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Points float32 `[P, 3]` from `start` float `[3]` down the `field` float `[C]` to its goal's cell.

    Raises SceneError if `start` is not on the walkable surface or the goal is out of reach from it.
    """
    cell = int(walkable.locate(np.asarray(start)))
    if cell < 0 or not np.isfinite(field[cell]):
        where = "not on the walkable surface" if cell < 0 else "cut off from the goal"
        raise SceneError(f"Start {np.asarray(start).tolist()} is {where}; there is no path.")
    cells = [cell]
    while True:
        around = walkable.neighbors[cell]
        around = around[around >= 0]
        if not len(around) or field[around].min() >= field[cell]:
            break
        cell = int(around[_steepest(walkable, field, cell, around)])
        cells.append(cell)
    points = walkable.positions[cells]
    return np.concatenate([np.asarray(start, np.float32)[None], points[1:]])


def _steepest(walkable: Walkable, field: np.ndarray, cell: int, around: np.ndarray) -> int:
    """Which of the cells around lowers the field most for the length of the step."""
    length = np.linalg.norm((walkable.cells[around] - walkable.cells[cell])[:, 1:], axis=1)
    return int(((field[around] - field[cell]) / length).argmin())


def sample_goals(walkable: Walkable, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points float32 `[count, 3]` spread over the islands that reach at least `MIN_ISLAND_RADIUS` from their middle.

    Seeds are set as far from each other as can be; each goal is a random cell of those nearest to its seed. So all
    rooms get some, and none lies in the outermost corner each time. Raises SceneError where no island is that large.
    """
    eligible = np.flatnonzero(walkable.island_radii[walkable.islands] >= MIN_ISLAND_RADIUS)
    if not len(eligible):
        raise SceneError(
            f"No island reaches {MIN_ISLAND_RADIUS} m from its middle (largest: {walkable.island_radii.max():.2f} m): "
            f"the scene is too small for goals."
        )
    cells = rng.choice(eligible, min(len(eligible), count * CANDIDATES_PER_GOAL), replace=False)
    spread = walkable.positions[cells] * np.array([1, FLOOR_SPREAD, 1], np.float32)
    owner = np.zeros(len(cells), np.int64)
    gap = np.full(len(cells), np.inf, np.float32)
    seed = 0
    for goal in range(count):
        reach = np.linalg.norm(spread - spread[seed], axis=1)
        closer = reach < gap
        owner[closer], gap[closer] = goal, reach[closer]
        seed = int(gap.argmax())
    # A shuffled order and the first of each owner is a random one of each.
    goals, first = np.unique(owner, return_index=True)
    extra = rng.choice(len(cells), count - len(goals), replace=len(cells) < count)
    return walkable.positions[cells[np.concatenate([first, extra]).astype(np.int64)]]
