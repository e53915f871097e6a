"""Numbers the cells of columns by layer, and links each with its eight neighbours."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.walking.columns import Grid

# (row, col) steps of the eight directions, counted from +x towards +z; even ones are straight, odd ones diagonal.
OFFSETS = np.array([(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)])


def index_layers(column: np.ndarray, height: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Numbers cells by layer, from the lowest up.

    Args:
        column: int64 `[C]`, the column of each cell, sorted.
        height: float `[C]`, metres, sorted within each column.
        grid: The grid of columns.

    Returns:
        `index` int32 `[L, rows, cols]`, the cell in each layer of a column or -1; and each cell's layer, int64 `[C]`.
    """
    count = len(column)
    new = np.append(True, column[1:] != column[:-1]) if count else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(new, np.arange(count), 0))
    layer = np.arange(count) - first
    index = np.full((layer.max(initial=0) + 1, grid.rows * grid.cols), -1, np.int32)
    index[layer, column] = np.arange(count)
    return index.reshape(-1, grid.rows, grid.cols), layer


def link(index: np.ndarray, column: np.ndarray, height: np.ndarray, max_step: float) -> np.ndarray:
    """Returns the neighbours of each cell, int32 `[C, 8]` in the order of `OFFSETS`.

    -1 stands for no neighbour within `max_step` metres of height. A diagonal neighbour must be reachable over both
    sides of the corner.

    Args:
        index: int32 `[L, rows, cols]`, as returned by `index_layers`.
        column: int64 `[C]`, the column of each cell.
        height: float `[C]`, metres.
        max_step: Largest difference in height, metres.
    """
    _, rows, cols = index.shape
    row, col = np.divmod(column, cols)
    neighbors = np.full((len(column), 8), -1, np.int32)
    # Heights are compared in single precision, as they are stored.
    height = height.astype(np.float32)
    reach = np.float32(max_step + 1e-5)
    for direction in range(0, 8, 2):
        r, c = row + OFFSETS[direction, 0], col + OFFSETS[direction, 1]
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < cols)
        r, c = np.where(inside, r, 0), np.where(inside, c, 0)
        for plane in index:
            cell = plane[r, c]
            near = inside & (cell >= 0)
            near[near] = np.abs(height[cell[near]] - height[near]) <= reach
            neighbors[near, direction] = cell[near]
    for direction in range(1, 8, 2):
        before, after = direction - 1, (direction + 1) % 8
        over_before = two_steps(neighbors, before, after)
        over_after = two_steps(neighbors, after, before)
        near = (over_before >= 0) & (over_before == over_after)
        near[near] = np.abs(height[over_before[near]] - height[near]) <= reach
        neighbors[near, direction] = over_before[near]
    return neighbors


def two_steps(neighbors: np.ndarray, first: int, second: int) -> np.ndarray:
    """Returns the cell reached by two straight steps, -1 if one of them is missing."""
    middle = neighbors[:, first]
    return np.where(middle >= 0, neighbors[middle, second], -1)
