"""The coverage grid: each storey's floor divided into cells of 1 m x 1 m, to measure how much of it was visited."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.maps.top_down import storey_levels

CELL_SIZE = 1.0
"""Width of a cell of the coverage grid, metres."""


def coverage_cells(scene: Scene) -> np.ndarray:
    """Returns the coverage-grid cell of each walkable cell.

    Corners of the grid lie at whole metres of x and z. A walkable cell belongs to the grid cell that contains its
    centre, on the storey nearest in height (`storey_levels`), so two storeys share the stairs between them.

    Returns:
        int32 `[C]`, numbers 0 .. S - 1; grid cells without floor have no number.
    """
    positions = scene.walkable.positions
    storey = np.abs(positions[:, 1:2] - storey_levels(scene)).argmin(1)
    column_row = np.floor(positions[:, [0, 2]] / CELL_SIZE).astype(np.int64)
    _, number = np.unique(np.column_stack([storey, column_row]), axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int32)
