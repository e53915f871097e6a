"""Images of any size as the equal squares that layers of one texture array are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

MAX_TEXTURE_SIDE = 512
"""Texels; larger textures are scaled down. A view of 64 to 256 pixels cannot show more."""


def square_texels(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 `[side, side, 4]`: `image` `[height, width, 3]` scaled, opaque."""
    if image.shape[:2] != (side, side):
        image = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
    texels = np.full((side, side, 4), 255, np.uint8)
    texels[..., :3] = image
    return texels


def texture_side(images: Sequence[np.ndarray]) -> int:
    """Texels a side that show the largest of `images`, a power of two."""
    largest = max((max(image.shape[:2]) for image in images), default=1)
    return min(MAX_TEXTURE_SIDE, 1 << (largest - 1).bit_length())
