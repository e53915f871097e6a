"""Images of 3D files to pixels: any mode and bit depth, of a limited size, and never with a traceback."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from batchsim.scenes.errors import SceneError, first_line

MAX_TEXTURE_SIZE = 1024
"""Pixels; larger textures are scaled down."""

_MAX_PIXELS = 178_956_970  # the limit of Pillow itself, some 13,000 x 13,000
_KTX2 = b"\xabKTX 20\xbb\r\n\x1a\n"


def read_image(path: Path) -> np.ndarray:
    """Reads an image file; see `decode_image`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str, full_size: bool = False) -> np.ndarray:
    """Decodes an image (PNG, JPEG, WebP, KTX2, ... whatever Pillow reads).

    Args:
        data: The file's bytes.
        name: What messages call the image.
        full_size: Do not scale the image down, because its colours are codes and must not be mixed.

    Returns:
        uint8 `[height, width, 3]`, or `[height, width, 4]` if it has alpha; at most `MAX_TEXTURE_SIZE` wide and high.

    Raises:
        SceneError: If the image is damaged, too large, or needs a package that is not installed.
    """
    try:
        image = _decode_ktx2(data, name, full_size) if data[:12] == _KTX2 else _decode_with_pillow(data)
        if not full_size:
            image.thumbnail((MAX_TEXTURE_SIZE, MAX_TEXTURE_SIZE))
        return np.array(image)
    except SceneError:
        raise
    except MemoryError:
        raise SceneError(f"{name}: the image needs more memory than there is. Make it smaller.") from None
    except Exception as error:
        # Decoders raise exceptions of all kinds for damaged data.
        raise SceneError(f"{name}: not a readable image ({first_line(error)}). Export or copy it again.") from error


def can_decode_ktx2() -> bool:
    """Whether the package that decodes KTX2 images is installed."""
    return find_spec("opengl_basisu") is not None


def _decode_with_pillow(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its size is checked here, and a broken colour profile does no harm
        opened = Image.open(io.BytesIO(data))
        _check_size(opened.size)
        opened.draft(
            "RGB", (MAX_TEXTURE_SIZE, MAX_TEXTURE_SIZE)
        )  # lets the JPEG decoder skip what would be scaled away
        image: Image.Image = opened
        if image.mode.startswith(("I", "F")):
            image = _from_deep(image)
        has_alpha = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Converts 16-bit and float grey to 8 bits; Pillow itself would clip at 255."""
    values = np.asarray(image).astype(np.float64)
    values = np.clip(values, 0, 1) * 255 if image.mode == "F" else np.clip(values, 0, 65535) / 257
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _decode_ktx2(data: bytes, name: str, full_size: bool) -> Image.Image:
    if not can_decode_ktx2():
        raise SceneError(f"{name}: is a KTX2 image, which needs opengl-basisu: pip install 'batchsim[scans]'.")
    import opengl_basisu

    texture = opengl_basisu.open(data)
    _check_size((texture.width, texture.height))
    # The first level that is small enough, so that a 4096 x 4096 image takes 4 MB and not 64.
    levels = range(texture.levels)
    level = 0 if full_size else next((k for k in levels if max(texture.level_size(k)) <= MAX_TEXTURE_SIZE), 0)
    pixels = texture.transcode("rgba8", level=level).data
    return Image.fromarray(np.array(pixels if texture.has_alpha else pixels[..., :3]))


def _check_size(size: tuple[int, int]) -> None:
    if size[0] * size[1] > _MAX_PIXELS:
        raise ValueError(f"{size[0]} x {size[1]} pixels; at most {_MAX_PIXELS:,} pixels can be used")
