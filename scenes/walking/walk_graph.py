"""Edges between walkable cells: the eight neighbours and longer straight ones, so that few paths need a detour.

Shortest paths along 8 directions are up to 8% too long, along the 56 used here up to 0.5% (1 / cos of half the
widest gap between directions). Measured on floors with rotated boxes against a visibility graph, paths of 1 m and
more, mean excess and worst excess beyond 2% in cells: 32 directions 1.1% and 2.4 when a line must not touch any cell
that is not walkable, 0.8% and 0.9 when it need only keep to the cells nearest to it, 56 directions 0.5% and 0.8.
The strict rule loses because it keeps lines half a cell away from everything, on top of the body's radius.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from batchsim.scenes.walking.layers import OFFSETS, two_steps
from batchsim.scenes.walking.walkable import Walkable

# One octant as (major, minor) steps; the other seven are its mirror images.
OCTANT = ((1, 0), (1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (4, 3), (5, 1))
# Stairs are measured as the ramp through them, as on a navigation mesh: heights are averaged about this far around.
TREAD = 0.15


def walk_graph(walkable: Walkable) -> csr_array:
    """float64 `[C, C]` sparse symmetric matrix of edge lengths in metres."""
    height = smooth_heights(walkable)
    loose = _around_corners(walkable.neighbors)
    directions = _directions()
    count = walkable.num_cells
    target = np.empty((len(directions), count), np.int32)
    length = np.empty((len(directions), count))
    for k, ((major, minor), quarter, mirror) in enumerate(directions):
        target[k] = _end_of_line(walkable.neighbors, loose, major, minor, quarter, mirror)
        level = np.hypot(major, minor) * walkable.cell_size
        rise = height[target[k]] - height
        length[k] = np.sqrt(rise * rise + level * level)
    exists = (target >= 0).T
    starts = np.append(0, np.cumsum(exists.sum(1)))
    return csr_array((length.T[exists], target.T[exists], starts), shape=(count, count))


def _directions() -> list[tuple[tuple[int, int], int, bool]]:
    """(major, minor), quarter turns and whether mirrored, for each of the 56 directions."""
    return [
        (line, quarter, mirror)
        for line in OCTANT
        for quarter in range(4)
        for mirror in (False, True)
        if not (mirror and line[1] in (0, line[0]))
    ]


def _around_corners(neighbors: np.ndarray) -> np.ndarray:
    """Neighbours with diagonals wherever one side of the corner is open: a longer line only grazes the other side."""
    loose = neighbors.copy()
    for direction in range(1, 8, 2):
        before, after = direction - 1, (direction + 1) % 8
        over_before = two_steps(neighbors, before, after)
        loose[:, direction] = np.where(over_before >= 0, over_before, two_steps(neighbors, after, before))
    return loose


def _end_of_line(strict: np.ndarray, loose: np.ndarray, major: int, minor: int, quarter: int, mirror: bool):
    """Cell int [C] at the end of the straight line from every cell, -1 where it is not passable."""
    if major == 1:
        return strict[:, _turned(minor, quarter, mirror)]
    end = np.full(len(strict), -1, strict.dtype)
    for steps in steps_along(major, minor):
        cell = np.arange(len(strict), dtype=strict.dtype)
        for step in steps:
            cell = np.where(cell >= 0, loose[cell, _turned(step, quarter, mirror)], -1)
        end = np.where(end >= 0, end, cell)
    return end


def steps_along(major: int, minor: int) -> list[list[int]]:
    """Ways from (0, 0) to (major, minor) over the cells nearest to the line: 0 a straight step, 1 a diagonal one.

    Where two cells are equally near, there is a way over each.
    """
    ways: list[tuple[list[int], int]] = [([], 0)]
    for k in range(1, major + 1):
        doubled, remainder = divmod(2 * k * minor + major, 2 * major)
        nearest = {doubled, doubled - 1} if remainder == 0 else {doubled}
        ways = [([*steps, at - last], at) for steps, last in ways for at in sorted(nearest) if at - last in (0, 1)]
    return [steps for steps, _ in ways]


def _turned(step: int, quarter: int, mirror: bool) -> int:
    """Direction (index into `OFFSETS`) of a step in the first octant, mirrored about the diagonal, then turned."""
    return ((2 - step if mirror else step) + 2 * quarter) % len(OFFSETS)


def smooth_heights(walkable: Walkable) -> np.ndarray:
    """float64 [C]: heights averaged over straight neighbours again and again, until steps have become ramps."""
    height = walkable.heights.astype(np.float64)
    straight = walkable.neighbors[:, ::2]
    # A missing neighbour is stood in for by the cell itself.
    around = np.where(straight >= 0, straight, np.arange(walkable.num_cells)[:, None])
    if (np.abs(height[around] - height[:, None]) < 1e-4).all():
        return height
    for _ in range(max(1, round((TREAD / walkable.cell_size) ** 2))):
        height = (height + height[around].sum(1)) / 5
    return height
