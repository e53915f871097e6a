"""Scenes from above, as pictures that many episodes share."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from scenes import Scene


@dataclass(frozen=True)
class MapPicture:
    """One scene's map: `png` file, `width` and `height` in pixels, `pixels_per_metre`, and where points lie on it."""

    scene: Scene
    png: bytes
    width: int
    height: int
    pixels_per_metre: float

    def to_pixel(self, points: np.ndarray) -> np.ndarray:
        """Pixels (right, down) float `[..., 2]` of points `[..., 3]` in metres."""
        points = np.asarray(points, np.float64)
        walkable = self.scene.walkable
        return (points[..., [0, 2]] - walkable.origin) * self.pixels_per_metre

    @property
    def uri(self) -> str:
        """The picture as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def draw_map(scene: Scene) -> MapPicture:
    """The scene's map as a small palette PNG."""
    walkable = scene.walkable
    free = (walkable.index >= 0).any(0)
    image = np.where(free[..., None], (238, 240, 243), (150, 156, 166)).astype(np.uint8)
    image = image.repeat(2, 0).repeat(2, 1)
    out = io.BytesIO()
    Image.fromarray(image).quantize(16).save(out, "PNG", optimize=True)
    return MapPicture(scene, out.getvalue(), image.shape[1], image.shape[0], 2 / walkable.cell_size)
