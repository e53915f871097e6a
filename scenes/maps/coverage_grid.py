"""The floor cut into squares of a metre, storey by storey: what an explorer ticks off."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.maps.top_down import storey_levels

SQUARE_SIZE = 1.0


def floor_squares(scene: Scene) -> np.ndarray:
    """Number of the square that each walkable cell belongs to, int32 `[C]`: 0 .. S - 1, and none without a cell.

    Squares are `SQUARE_SIZE` wide, their corners at whole metres of x and z; a cell belongs to the one that its middle
    lies in, on the storey whose floor is nearest in height (`storey_levels`): two storeys share the stairs.
    """
    positions = scene.walkable.positions
    storey = np.abs(positions[:, 1:2] - storey_levels(scene)).argmin(1)
    column_row = np.floor(positions[:, [0, 2]] / SQUARE_SIZE).astype(np.int64)
    _, number = np.unique(np.column_stack([storey, column_row]), axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int32)
