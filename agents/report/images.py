"""Image files as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from batchsim.agents.errors import AgentError


def palette_png(image: np.ndarray, transparent: tuple[int, int, int] | None = None) -> bytes:
    """Encode an image of few colours as a palette PNG.

    Args:
        image: Uint8 `[H, W, 3]` with at most 256 colours.
        transparent: The colour that becomes transparent, if any.

    Raises:
        AgentError: If the image has more than 256 colours.
    """
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colors, indices = np.unique(packed, return_inverse=True)
    if len(colors) > 256:
        raise AgentError(f"The image has {len(colors)} colours; a palette holds 256.")
    height, width, _ = image.shape
    indexed = Image.frombytes("P", (width, height), indices.astype(np.uint8).tobytes())
    indexed.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8).tobytes())
    options: dict[str, int] = {}
    if transparent is not None:
        clear = np.flatnonzero(colors == int(np.dot(transparent, [1 << 16, 1 << 8, 1])))
        options = {"transparency": int(clear[0])} if len(clear) else {}
    out = io.BytesIO()
    indexed.save(out, "PNG", optimize=True, **options)
    return out.getvalue()


def grey_png(image: np.ndarray) -> bytes:
    """Encode uint8 `[H, W]` as a grey PNG."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", optimize=True)
    return out.getvalue()


def jpeg_uri(image: np.ndarray) -> str:
    """Encode uint8 `[H, W, 3]` as a JPEG file in a data URI."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def data_uri(png: bytes) -> str:
    """The file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
