"""Shortest paths on the walkable surface: distance fields, distances between points, paths and goal points.

This is what Habitat's pathfinder (`PathFinder.find_path`, `geodesic_distance`) does on a navmesh. A field holds the
distance from each cell to one goal, and every cell except the goal's has a neighbour that is nearer.

Measured on one core with 64 goals: Dijkstra's algorithm in scipy, on all cells with the 56 directions of
`batchsim.scenes.walking.walk_graph`, takes 0.8 s for a home of 27,000 cells. That is fast enough without a coarser
graph or a fast-marching solver.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from batchsim.scenes.errors import SceneError
from batchsim.scenes.walking.walk_graph import walk_graph
from batchsim.scenes.walking.walkable import MIN_ISLAND_RADIUS, Walkable

# Number of random cells per goal that goals are chosen from.
CANDIDATES_PER_GOAL = 64
# When goals are spread, a metre of height counts as this many horizontal metres, so that every floor gets some.
FLOOR_SPREAD = 3.0
# Most values held in double precision at once, which limits the memory on large scenes.
CHUNK = 16_000_000
# Number of cells ahead among which the end of a path's straight piece is searched.
LOOK_AHEAD = 256


def distance_fields(walkable: Walkable, goals: np.ndarray) -> np.ndarray:
    """Computes the geodesic distance from every cell's centre to each goal.

    Every cell except the goal's has a neighbour with a smaller value, also after rounding to float16 (up to 64 m with
    cells of 5 cm, 128 m of 9 cm). Stairs are measured as ramps.

    Args:
        walkable: The surface, of C cells.
        goals: float `[G, 3]`, metres.

    Returns:
        float32 `[G, C]`, metres; 0 in the goal's own cell, inf where the goal is unreachable.

    Raises:
        SceneError: If a goal is not on the walkable surface.
    """
    goals = np.asarray(goals, np.float64).reshape(-1, 3)
    cells = walkable.locate(goals)
    if (cells < 0).any():
        bad = int((cells < 0).argmax())
        raise SceneError(f"Goal {bad} at {goals[bad].tolist()} is not on the walkable surface; use sample_goals.")
    count = walkable.num_cells
    fields = np.empty((len(goals), count), np.float32)
    graph = _with_goals(walkable, walk_graph(walkable), goals, cells)
    size = max(1, CHUNK // count)
    for first in range(0, len(goals), size):
        chosen = np.arange(first, min(first + size, len(goals)))
        fields[chosen] = dijkstra(graph, indices=count + chosen)[:, :count]
    fields[np.arange(len(goals)), cells] = 0
    _make_descending(fields, walkable)
    return fields


def distance_fields_to_sets(walkable: Walkable, sets: Sequence[np.ndarray]) -> np.ndarray:
    """Computes the geodesic distance from every cell's centre to the nearest cell of each set.

    Args:
        walkable: The surface, of C cells.
        sets: S sets of cells, int `[k]` each.

    Returns:
        float32 `[S, C]`, metres, as in `distance_fields`: 0 in the set's cells, inf where none of them can be reached.
    """
    count = walkable.num_cells
    fields = np.full((len(sets), count), np.inf, np.float32)
    used = [k for k, cells in enumerate(sets) if len(cells)]
    if not used:
        return fields
    graph = walk_graph(walkable)
    target = np.concatenate([sets[k] for k in used])
    graph = _with_nodes(graph, [len(sets[k]) for k in used], target, np.zeros(len(target)))
    size = max(1, CHUNK // count)
    for first in range(0, len(used), size):
        part = used[first : first + size]
        fields[part] = dijkstra(graph, indices=count + first + np.arange(len(part)))[:, :count]
    for k in used:
        fields[k, sets[k]] = 0
    _make_descending(fields, walkable)
    return fields


def _with_goals(walkable: Walkable, graph: csr_array, goals: np.ndarray, cells: np.ndarray) -> csr_array:
    """Returns `graph` with a node for each goal, joined to the centres of its cell and of that cell's neighbours."""
    target = np.concatenate([cells[:, None], walkable.neighbors[cells]], 1)
    goal, slot = np.nonzero(target >= 0)
    target = target[goal, slot]
    length = np.hypot(*(walkable.positions[target] - goals[goal])[:, [0, 2]].T)
    return _with_nodes(graph, np.bincount(goal, minlength=len(goals)), target, length)


def _with_nodes(graph: csr_array, counts: ArrayLike, target: np.ndarray, length: np.ndarray) -> csr_array:
    """Returns `graph` with one more node for each of `counts` `[N]`, from which so many edges lead to `target`."""
    ends = graph.indptr[-1] + np.cumsum(counts)
    count = graph.shape[0] + len(ends)
    return csr_array(
        (
            # A sparse matrix cannot hold an edge of length zero.
            np.concatenate([graph.data, np.maximum(length, 1e-9)]),
            np.concatenate([graph.indices, target.astype(graph.indices.dtype)]),
            np.concatenate([graph.indptr, ends]),
        ),
        shape=(count, count),
    )


def _make_descending(fields: np.ndarray, walkable: Walkable) -> None:
    """Raises, in place, the few values of `fields` float32 `[G, C]` without a smaller neighbour after rounding.

    A long edge can end beside an obstacle such that no single step along it is nearer by more than float16's rounding.
    Where float16 is coarser than a step between cells, the values are compared in single precision.
    """
    own = np.arange(walkable.num_cells)[:, None]
    around = np.where(walkable.neighbors >= 0, walkable.neighbors, own)
    # Below 2 ** k the spacing of float16 is at most 2 ** (k - 11).
    fine = np.float32(2.0 ** math.floor(math.log2(0.7 * walkable.cell_size) + 11))
    for field in fields:
        check = np.flatnonzero(np.isfinite(field) & (field > 0))
        while len(check):
            lowest = field[around[check]].min(1)
            stuck = _stored(lowest, fine) >= _stored(field[check], fine)
            cells, lowest = check[stuck], lowest[stuck]
            # The next float16 number: the lowest plus its spacing could be rounded down to the lowest again.
            higher = np.nextafter(lowest.astype(np.float16), np.float16(np.inf)).astype(np.float32)
            field[cells] = np.where(lowest < fine, higher, lowest + np.float32(0.01 * walkable.cell_size))
            # Cells around a raised one may have lost their smaller neighbour.
            check = np.unique(around[cells])
            check = check[field[check] > 0]


def _stored(values: np.ndarray, fine: np.float32) -> np.ndarray:
    """Returns the values rounded to float16 where that is fine enough."""
    return np.where(values < fine, values.astype(np.float16).astype(np.float32), values)


def geodesic_distance(walkable: Walkable, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes the geodesic distance between points.

    Computes one distance field for each distinct point of `a` or of `b`, whichever are fewer.

    Args:
        walkable: The surface.
        a: float `[.., 3]`, metres.
        b: float `[.., 3]`, broadcast with `a`.

    Returns:
        float32 `[..]`, metres; inf if there is no path or a point is not on the walkable surface.
    """
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    shape = a.shape[:-1]
    a, b = a.reshape(-1, 3), b.reshape(-1, 3)
    result = np.full(len(a), np.inf, np.float32)
    known = np.flatnonzero((walkable.locate(a) >= 0) & (walkable.locate(b) >= 0))
    if len(np.unique(a[known], axis=0)) < len(np.unique(b[known], axis=0)):
        a, b = b, a
    goals, which = np.unique(b[known], axis=0, return_inverse=True)
    size = max(1, CHUNK // walkable.num_cells)
    for first in range(0, len(goals), size):
        fields = distance_fields(walkable, goals[first : first + size])
        mine = (which.reshape(-1) >= first) & (which.reshape(-1) < first + size)
        pairs = known[mine]
        result[pairs] = distances_by_fields(walkable, fields, which.reshape(-1)[mine] - first, a[pairs], b[pairs])
    return result.reshape(shape)


def distances_to_goal(walkable: Walkable, field: np.ndarray, goal: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Looks up the geodesic distances from points to the goal of a distance field.

    Args:
        walkable: The surface, of C cells.
        field: float `[C]`, one row of `distance_fields`.
        goal: float `[3]`, the field's goal.
        points: float `[P, 3]`, metres.

    Returns:
        float32 `[P]`, metres; inf if there is no path or a point is not on the walkable surface.
    """
    points = np.asarray(points, np.float64)
    result = np.full(len(points), np.inf, np.float32)
    known = walkable.locate(points) >= 0
    goals = np.broadcast_to(np.asarray(goal, np.float64), points.shape)[known]
    result[known] = distances_by_fields(walkable, field[None], np.zeros(len(goals), np.int64), points[known], goals)
    return result


def distances_by_fields(
    walkable: Walkable, fields: np.ndarray, which: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Returns the geodesic distance in metres from points to goals whose distance fields are known.

    The path leads over the best cell centre near the point, or straight to a goal in the same or a neighbouring cell.

    Args:
        walkable: The surface, of C cells.
        fields: float `[G, C]`, as returned by `distance_fields`.
        which: int `[P]`, the field of each goal.
        a: float `[P, 3]`, points on the surface.
        b: float `[P, 3]`, the goals.
    """
    cell = walkable.locate(a)
    over = np.concatenate([cell[:, None], walkable.neighbors[cell]], 1)
    to_centre = np.hypot(*(walkable.positions[over] - a[:, None])[..., [0, 2]].transpose(2, 0, 1))
    beyond = np.where(over >= 0, fields[which[:, None], over], np.inf)
    near = (over == walkable.locate(b)[:, None]).any(1)
    return np.where(near, np.hypot(*(a - b)[:, [0, 2]].T), (to_centre + beyond).min(1))


def shortest_path(walkable: Walkable, field: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Returns the shortest path from `start` to the goal of a distance field.

    Args:
        walkable: The surface, of C cells.
        field: float `[C]`, one row of `distance_fields`.
        start: float `[3]`, metres.

    Returns:
        float32 `[P, 3]`, a polyline from `start` to the centre of the goal's cell.

    Raises:
        SceneError: If `start` is not on the walkable surface, or the goal cannot be reached from it.
    """
    start = np.asarray(start, np.float32)
    cell = int(walkable.locate(start))
    if cell < 0 or not np.isfinite(field[cell]):
        where = "not on the walkable surface" if cell < 0 else "cut off from the goal"
        raise SceneError(f"Start {start.tolist()} is {where}; there is no path.")
    cells = [cell]
    while (cell := _next_cell(walkable, field, cell)) >= 0:
        cells.append(cell)
    return _straighten(walkable, np.concatenate([start[None], walkable.positions[cells[1:]]]))


def _next_cell(walkable: Walkable, field: np.ndarray, cell: int) -> int:
    """Returns the neighbour with the steepest descent of the field, -1 if none is lower."""
    around = walkable.neighbors[cell]
    slope = np.where(around >= 0, field[around] - field[cell], np.inf)
    slope[1::2] /= np.sqrt(2)
    best = slope.argmin()
    return int(around[best]) if slope[best] < 0 else -1


def _straighten(walkable: Walkable, points: np.ndarray) -> np.ndarray:
    """Returns the bends of the path `points` `[P, 3]` after joining each to the last in sight, and shortening."""
    bends = [0]
    while bends[-1] < len(points) - 1:
        ahead = points[bends[-1] + 1 : bends[-1] + 1 + LOOK_AHEAD]
        seen = np.flatnonzero(_straight_way(walkable, points[bends[-1]], ahead))
        bends.append(bends[-1] + 1 + int(seen[-1] if len(seen) else 0))
    # The last point in sight often lies past a corner, so each bend moves to the best point between its neighbours.
    for _ in range(2):
        for k in range(1, len(bends) - 1):
            before, after = points[bends[k - 1]], points[bends[k + 1]]
            between = np.arange(bends[k - 1] + 1, bends[k + 1])
            candidates = points[between]
            length = np.linalg.norm(candidates - before, axis=1) + np.linalg.norm(candidates - after, axis=1)
            seen = _straight_way(walkable, before, candidates) & _straight_way(walkable, after, candidates)
            seen |= between == bends[k]
            bends[k] = int(between[np.where(seen, length, np.inf).argmin()])
    return points[bends]


def _straight_way(walkable: Walkable, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns whether the straight lines from `start` `[3]` to `ends` `[K, 3]` stay on walkable cells, bool `[K]`."""
    longest = np.hypot(*(ends - start)[:, [0, 2]].T).max()
    t = np.linspace(0, 1, 2 + int(3 * longest / walkable.cell_size))
    on_line = start + t[:, None, None] * (ends - start)
    return np.all(walkable.locate(on_line) >= 0, axis=0)


def sample_goals(walkable: Walkable, count: int, rng: np.random.Generator) -> np.ndarray:
    """Samples goals spread over the islands with a radius of at least `MIN_ISLAND_RADIUS`.

    Chooses seeds by farthest-point sampling; each goal is a random cell of those nearest to its seed. So all rooms get
    goals, but not always in their outermost corners.

    Returns:
        float32 `[count, 3]`, metres.

    Raises:
        SceneError: If no island is large enough.
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
    # The cells came in random order, so that the first of each owner is a random one.
    goals, first = np.unique(owner, return_index=True)
    extra = rng.choice(len(cells), count - len(goals), replace=len(cells) < count)
    return walkable.positions[cells[np.concatenate([first, extra]).astype(np.int64)]]
