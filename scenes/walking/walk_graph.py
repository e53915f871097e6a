"""The graph of walkable cells: edges to the eight neighbours and longer straight ones, for nearly exact distances.

Shortest paths along 8 directions are up to 8% too long, along the 56 used here up to 0.5% (1 / cos of half the
widest gap between directions). Measured on floors with rotated boxes against a visibility graph, for paths of 1 m and
more (mean excess; worst excess beyond 2%, in cells):

- 32 directions, lines must not touch any cell that is not walkable: 1.1%; 2.4.
- 32 directions, lines must keep to the walkable cells nearest to them: 0.8%; 0.9.
- 56 directions, the same: 0.5%; 0.8.

The strict rule is worse because it keeps lines half a cell away from everything, in addition to the body's radius.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from batchsim.scenes.walking.layers import OFFSETS, two_steps
from batchsim.scenes.walking.walkable import Walkable

# One octant as (major, minor) steps; the other seven are its mirror images.
OCTANT = ((1, 0), (1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (4, 3), (5, 1))
# Stairs are measured as ramps, as on a navmesh: heights are averaged over about this distance. Metres.
TREAD = 0.15


def walk_graph(walkable: Walkable) -> csr_array:
    """Returns the edge lengths in metres as a sparse symmetric matrix, float64 `[C, C]`."""
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
    """Returns (major, minor), quarter turns and whether mirrored, for each of the 56 directions."""
    return [
        (line, quarter, mirror)
        for line in OCTANT
        for quarter in range(4)
        for mirror in (False, True)
        if not (mirror and line[1] in (0, line[0]))
    ]


def _around_corners(neighbors: np.ndarray) -> np.ndarray:
    """Returns neighbours with diagonals wherever one side of the corner is open: longer lines only graze the other."""
    loose = neighbors.copy()
    for direction in range(1, 8, 2):
        before, after = direction - 1, (direction + 1) % 8
        over_before = two_steps(neighbors, before, after)
        loose[:, direction] = np.where(over_before >= 0, over_before, two_steps(neighbors, after, before))
    return loose


def _end_of_line(strict: np.ndarray, loose: np.ndarray, major: int, minor: int, quarter: int, mirror: bool):
    """Returns the cell at the end of the straight line from every cell, int `[C]`, -1 if the line is blocked."""
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
    """Returns paths from (0, 0) to (major, minor) over the cells nearest to the line; 0 = straight step, 1 = diagonal.

    If two cells are equally near, there is a path over each.
    """
    ways: list[tuple[list[int], int]] = [([], 0)]
    for k in range(1, major + 1):
        doubled, remainder = divmod(2 * k * minor + major, 2 * major)
        nearest = {doubled, doubled - 1} if remainder == 0 else {doubled}
        ways = [([*steps, at - last], at) for steps, last in ways for at in sorted(nearest) if at - last in (0, 1)]
    return [steps for steps, _ in ways]


def _turned(step: int, quarter: int, mirror: bool) -> int:
    """Returns the direction (index into `OFFSETS`) of a step in the first octant, after mirroring and turning."""
    return ((2 - step if mirror else step) + 2 * quarter) % len(OFFSETS)


def smooth_heights(walkable: Walkable) -> np.ndarray:
    """Returns heights averaged repeatedly over straight neighbours until steps become ramps, float64 `[C]`."""
    height = walkable.heights.astype(np.float64)
    straight = walkable.neighbors[:, ::2]
    # The cell itself replaces a missing neighbour.
    around = np.where(straight >= 0, straight, np.arange(walkable.num_cells)[:, None])
    if (np.abs(height[around] - height[:, None]) < 1e-4).all():
        return height
    for _ in range(max(1, round((TREAD / walkable.cell_size) ** 2))):
        height = (height + height[around].sum(1)) / 5
    return height
