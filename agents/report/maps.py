"""Scenes from above, as pictures that many episodes share."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from scenes import Scene
from scenes.walkable import Walkable

FLOOR, OBSTACLE = (255, 255, 255), (166, 173, 184)
# Cells of large scenes are one pixel each, others two, for a crisper picture.
_LARGE = 800
# Metres: storeys are at least this far apart, and drawn with this much room between them.
_STOREY_HEIGHT = 1.8
_GAP = 0.6
# A storey has at least this share of the walkable cells; landings of stairs have less.
_STOREY_SHARE = 0.08


@dataclass(frozen=True)
class MapPicture:
    """One scene's map, its storeys side by side, the lowest at the left.

    - `png`: the picture's file; `width` and `height` in pixels; `pixels_per_metre`.
    - `levels`: float `[S]`, the heights of the storeys, metres.
    - `storey_width`: pixels; `offset`: pixels from one storey to the next.
    """

    scene: Scene
    png: bytes
    width: int
    height: int
    pixels_per_metre: float
    levels: np.ndarray
    storey_width: int
    offset: int

    def to_pixel(self, points: np.ndarray) -> np.ndarray:
        """Pixels (right, down) float `[..., 2]` of points `[..., 3]` in metres, on the storey nearest in height."""
        points = np.asarray(points, np.float64)
        pixels = (points[..., [0, 2]] - self.scene.walkable.origin) * self.pixels_per_metre
        pixels[..., 0] += nearest(self.levels, points[..., 1]) * self.offset
        return pixels

    @property
    def uri(self) -> str:
        """The picture as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def draw_map(scene: Scene) -> MapPicture:
    """The scene's map as a palette PNG: floor, what stands in the way, and nothing between the storeys."""
    walkable = scene.walkable
    levels = storeys(walkable)
    storey = nearest(levels, walkable.heights)
    _, rows, cols = walkable.index.shape
    gap = round(_GAP / walkable.cell_size)
    scale = 1 if max(rows, cols) > _LARGE else 2
    picture = np.zeros((rows, len(levels) * (cols + gap) - gap), np.uint8)
    for k in range(len(levels)):
        part = picture[:, k * (cols + gap) : k * (cols + gap) + cols]
        part[:] = 2
        _, row, col = walkable.cells[storey == k].T
        part[row, col] = 1
    picture = picture.repeat(scale, 0).repeat(scale, 1)
    return MapPicture(
        scene=scene,
        png=_palette_png(picture, [(0, 0, 0), FLOOR, OBSTACLE]),
        width=picture.shape[1],
        height=picture.shape[0],
        pixels_per_metre=scale / walkable.cell_size,
        levels=levels,
        storey_width=scale * cols,
        offset=scale * (cols + gap),
    )


def storeys(walkable: Walkable) -> np.ndarray:
    """Heights float `[S]` of the floors, rising, metres: where most cells lie, each well away from the others."""
    step = 0.1
    bins, counts = np.unique(np.round(walkable.heights / step).astype(int), return_counts=True)
    levels: list[float] = []
    for k in np.argsort(-counts, kind="stable"):
        height = float(bins[k] * step)
        if levels and counts[k] < _STOREY_SHARE * counts.sum():
            break
        if all(abs(height - level) >= _STOREY_HEIGHT for level in levels):
            levels.append(height)
    return np.array(sorted(levels))


def nearest(levels: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Which of the rising `levels` [S] is nearest to each of `heights` [...]; int [...]."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, heights)


def _palette_png(indices: np.ndarray, colors: list[tuple[int, int, int]]) -> bytes:
    """A PNG of palette indices uint8 [H, W]; index 0 is transparent."""
    image = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices, np.uint8).tobytes())
    image.putpalette([channel for color in colors for channel in color])
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, transparency=0, bits=2)
    return out.getvalue()
