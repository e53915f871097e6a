"""Scales images of any size to the equal squares of a texture array's layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

MAX_TEXTURE_SIDE = 512
"""Texels. Larger textures are scaled down: views of 64 to 256 pixels cannot show more."""


def square_texels(image: np.ndarray, side: int) -> np.ndarray:
    """Returns `image` (uint8 `[height, width, 3]`) scaled and opaque, uint8 `[side, side, 4]`."""
    if image.shape[:2] != (side, side):
        image = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
    texels = np.full((side, side, 4), 255, np.uint8)
    texels[..., :3] = image
    return texels


def texture_side(images: Sequence[np.ndarray]) -> int:
    """Returns how many texels along each side the largest of `images` needs: a power of two, at most 512."""
    largest = max((max(image.shape[:2]) for image in images), default=1)
    return min(MAX_TEXTURE_SIDE, 1 << (largest - 1).bit_length())
