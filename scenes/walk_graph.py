"""Edges between walkable cells: the eight neighbours and longer straight ones, so that few paths need a detour.

Paths along eight directions are up to 8% too long; along the 32 used here up to 1.3%. A long edge exists only where
every cell that the straight line crosses is walkable, corners included.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from scenes.layers import OFFSETS
from scenes.walkable import Walkable

# One octant; the other seven are its mirror images. (major, minor) steps.
OCTANT = ((1, 0), (1, 1), (2, 1), (3, 1), (3, 2))
# Stairs are measured as the ramp through them, as on a navigation mesh: heights are averaged about this far around.
TREAD = 0.15


def walk_graph(walkable: Walkable) -> csr_array:
    """float64 `[C, C]` sparse matrix of edge lengths in metres."""
    height = smooth_heights(walkable)
    sources, targets, lengths = [], [], []
    for steps, span in straight_lines():
        target = follow(walkable.neighbors, steps)
        source = np.flatnonzero(target >= 0)
        target = target[source]
        rise = height[target] - height[source]
        sources.append(source)
        targets.append(target)
        lengths.append(np.sqrt((span * walkable.cell_size) ** 2 + rise**2))
    count = walkable.num_cells
    coordinates = np.concatenate(sources), np.concatenate(targets)
    return csr_array((np.concatenate(lengths), coordinates), shape=(count, count))


def straight_lines() -> list[tuple[tuple[int, ...], float]]:
    """For each of the 32 directions the neighbour steps that visit every cell on the line, and its length in cells."""
    lines = []
    for major, minor in OCTANT:
        for quarter in range(4):
            for mirror in (False, True):
                if mirror and minor in (0, major):
                    continue
                steps = tuple(_turn(step, quarter, mirror) for step in cells_on_line(major, minor))
                lines.append((steps, float(np.hypot(major, minor))))
    return lines


def cells_on_line(major: int, minor: int) -> list[int]:
    """Directions (0 = along the major axis, 1 = diagonal, 2 = along the minor axis) of the cells crossed in order.

    A line through the corner of four cells takes the diagonal, which is passable only where all four are.
    """
    crossings = [((2 * k + 1) / (2 * major), 0) for k in range(major)]
    crossings += [((2 * k + 1) / (2 * minor), 2) for k in range(minor)]
    crossings.sort()
    steps: list[int] = []
    last = -1.0
    for at, step in crossings:
        if abs(at - last) < 1e-9:
            steps[-1] = 1
        else:
            steps.append(step)
        last = at
    return steps


def _turn(step: int, quarter: int, mirror: bool) -> int:
    """The direction `step` of the first octant, mirrored about the diagonal and turned by quarters."""
    return ((2 - step if mirror else step) + 2 * quarter) % len(OFFSETS)


def follow(neighbors: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Cells int64 [C] reached from every cell by the neighbour `steps`, -1 where one is missing."""
    cell = np.arange(len(neighbors))
    for step in steps:
        cell = np.where(cell >= 0, neighbors[cell, step], -1)
    return cell


def smooth_heights(walkable: Walkable) -> np.ndarray:
    """float64 [C]: heights averaged over straight neighbours again and again, until steps have become ramps."""
    height = walkable.heights.astype(np.float64)
    neighbors = walkable.neighbors[:, ::2]
    known = neighbors >= 0
    rounds = round((TREAD / walkable.cell_size) ** 2)
    uneven = (np.abs(np.where(known, height[neighbors] - height[:, None], 0)) > 1e-4).any()
    for _ in range(rounds if uneven else 0):
        height = (height + np.where(known, height[neighbors], height[:, None]).sum(1)) / 5
    return height
