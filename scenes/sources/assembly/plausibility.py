"""Guesses from its size whether a file is in metres with y up, before minutes are spent on baking it.

A room is some metres wide and two to four metres high. What is hundreds of metres wide must have rooms of such a height
inside (a large building, a cave) or be flat (open country); otherwise its units are smaller than metres.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.walking.columns import Grid, cut_into_columns

UNITS = {"millimetres": 0.001, "centimetres": 0.01, "inches": 0.0254, "feet": 0.3048}
"""Metres per unit, for the units that files come in."""

_ROOM_WIDTH, _ROOM_HEIGHT = 10.0, 2.8  # metres, for comparing units
_WIDE = 150.0  # metres; a scene this wide is looked at more closely
_VERY_WIDE = 300.0  # metres, and this one must prove that its rooms are high enough for people
_HUGE = 2500.0  # metres; a walkable grid of such a scene is too coarse to walk on
_TALL = 15.0  # metres; what stands around in wide open country is lower than this
_TINY = 0.7  # metres; nothing to walk on
_HEADROOM = (1.5, 15.0)  # metres under a ceiling that a large building or a cave has
_COVERED = 0.3  # share of the floor that must be under a ceiling for its height to count
_CELLS = 48  # a side of the grid for measuring heights
_SAMPLE = 200_000  # triangles


def check_plausible(triangles: np.ndarray, path: Path, up: str, scale: float) -> None:
    """Raises `SceneError` if `triangles` appear not to be in metres, or not to have y up.

    Args:
        triangles: float `[T, 3, 3]`, metres and y up if the file was described rightly.
        path: The file, for the message.
        up: The axis that was taken for the upward one, for the message.
        scale: The scale that was applied, for the message.
    """
    if len(triangles) > _SAMPLE:
        # Sampled evenly, so that a file of any size takes a second; large triangles are kept, they are the floors.
        triangles = _sampled(triangles)
    extent = np.ptp(triangles.reshape(-1, 3), axis=0)
    width, height = float(max(extent[0], extent[2])), float(extent[1])
    size = f"{extent[0]:.4g} x {extent[1]:.4g} x {extent[2]:.4g} m (x, y, z)"
    if max(width, height) < _TINY:
        factor = 10.0 ** round(math.log10(_ROOM_WIDTH / max(width, height, 1e-9)))
        raise SceneError(
            f"{path}: is only {size}, too small to walk in. If its units are larger than metres, use "
            f"--scale {scale * factor:g}; --force imports it as it is."
        )
    if width > _WIDE and _too_large(triangles, width, height):
        unit = _likely_unit(width, height)
        raise SceneError(
            f"{path}: measures {size}, which looks like {unit}: --scale {scale * UNITS[unit]:g}. "
            "--force imports it as it is."
        )
    if up == "y" and stands_on_its_side(triangles):
        raise SceneError(
            f"{path}: its floors and ceilings face along z ({size}), which looks like a file with z up: --up z. "
            "--force imports it as it is."
        )


def _too_large(triangles: np.ndarray, width: float, height: float) -> bool:
    if width > _HUGE:
        return True
    if height <= _TALL:
        return False
    headroom = _headroom(triangles)
    if headroom is not None:
        return not _HEADROOM[0] <= headroom <= _HEADROOM[1]
    return width > _VERY_WIDE


def _likely_unit(width: float, height: float) -> str:
    def unlikeliness(unit: str) -> float:
        across, upward = width * UNITS[unit] / _ROOM_WIDTH, max(height, 1e-6) * UNITS[unit] / _ROOM_HEIGHT
        # A file may hold low things only, but hardly any that are higher than rooms.
        return math.log(across) ** 2 + (1 if upward > 1 else 0.1) * math.log(upward) ** 2

    return min(UNITS, key=unlikeliness)


def stands_on_its_side(triangles: np.ndarray) -> bool:
    """Whether the space is that of a building turned by a quarter about x: much floor, and room height, along z."""
    if len(triangles) > _SAMPLE:
        triangles = _sampled(triangles)
    extent = np.ptp(triangles.reshape(-1, 3), axis=0)
    if extent[1] < 1.3 * extent[2] or not 1.5 < extent[2] < 12:
        return False
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    area = np.linalg.norm(normal, axis=1)
    along = np.abs(normal) > 0.9 * area[:, None]
    across_y, across_z = (float(area[along[:, axis]].sum()) for axis in (1, 2))
    if across_z < 1.5 * across_y:
        return False
    upright = triangles[:, :, [0, 2, 1]] * np.array([1, 1, -1])
    as_is, turned = _headroom(triangles), _headroom(upright)
    as_is, turned = as_is or float(extent[1]), turned or float(extent[2])
    return 1.8 < turned < 6 and turned < 0.75 * as_is


def _headroom(triangles: np.ndarray) -> float | None:
    """Metres between the lowest floor and what is above it, the median; None if too little of it is covered."""
    extent = np.ptp(triangles.reshape(-1, 3)[:, [0, 2]], axis=0)
    cell = max(float(extent.max()) / _CELLS, 1e-6)
    columns = cut_into_columns(triangles, Grid.around(triangles, cell))
    column, height, up = columns.surface_column, columns.surface_height, columns.surface_up
    following = np.flatnonzero((column[1:] == column[:-1]) & up[:-1] & ~up[1:])
    floors = len(np.unique(column[up]))
    if not floors or len(np.unique(column[following])) < _COVERED * floors:
        return None
    gaps = height[following + 1] - height[following]
    # The lowest layer and those above it count alike; what lies within a floor's thickness does not.
    gaps = gaps[gaps > 0.02 * float(np.ptp(height))]
    return float(np.median(gaps)) if len(gaps) else None


def _sampled(triangles: np.ndarray) -> np.ndarray:
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    largest = np.argpartition(-area, _SAMPLE // 2)[: _SAMPLE // 2]
    spread = np.linspace(0, len(triangles) - 1, _SAMPLE // 2).astype(np.int64)
    return triangles[np.union1d(largest, spread)]
