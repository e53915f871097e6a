"""Textures of glTF materials: which image, which texture coordinates, how they are transformed and continued."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import features

from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import CLAMP, MIRROR, REPEAT
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.extensions import AVIF, BASISU, DDS, WEBP
from batchsim.scenes.sources.gltf.header import (
    GltfTexture,
    Sampler,
    TextureInfo,
    TextureSource,
    TextureTransform,
    extension,
)
from batchsim.scenes.sources.surfaces.images import can_decode_ktx2, decode_image
from batchsim.scenes.sources.surfaces.surface import Texture

_WRAPS = {10497: REPEAT, 33071: CLAMP, 33648: MIRROR}


@dataclass(frozen=True)
class TextureUse:
    """A texture as a material uses it.

    `uv_set` is the number of the texture coordinates (TEXCOORD_n); `transform` float64 `[2, 3]` maps (u, v, 1) to the
    coordinates to look up, None if they stay as they are.
    """

    texture: Texture
    uv_set: int
    transform: np.ndarray | None


class Textures:
    """Resolves the textures of a glTF file; every image is decoded once, and only if a material uses it.

    Args:
        container: The file.
        full_size: Keep the size of images, because their colours are codes and must not be mixed.
    """

    def __init__(self, container: Container, full_size: bool = False) -> None:
        self._container = container
        self._full_size = full_size
        self._images: dict[int, np.ndarray | None] = {}

    def use(self, info: TextureInfo | None) -> TextureUse | None:
        """Returns the texture that a material names, or None, after a warning, if its image is not there."""
        if info is None:
            return None
        texture = self._container.header.textures[info.index]
        pixels = self._pixels(texture, info.index)
        if pixels is None:
            return None
        samplers = self._container.header.samplers
        sampler = Sampler() if texture.sampler is None else samplers[texture.sampler]
        wrap = _WRAPS.get(sampler.wrapS, REPEAT), _WRAPS.get(sampler.wrapT, REPEAT)
        transform = extension(info.extensions, "KHR_texture_transform", TextureTransform)
        uv_set = info.texCoord
        if transform is not None and transform.texCoord is not None:
            uv_set = transform.texCoord
        return TextureUse(Texture(pixels, wrap), uv_set, None if transform is None else _matrix(transform))

    def _pixels(self, texture: GltfTexture, index: int) -> np.ndarray | None:
        source = self._source(texture, index)
        if source is None:
            return None
        if source not in self._images:
            found = self._container.image(source)
            self._images[source] = None if found is None else decode_image(*found, full_size=self._full_size)
        return self._images[source]

    def _source(self, texture: GltfTexture, index: int) -> int | None:
        """The image to decode: of several formats the first that the installed packages read."""
        readable = (
            (AVIF, features.check("avif")),
            (WEBP, features.check("webp")),
            (DDS, True),
            (BASISU, can_decode_ktx2()),
        )
        for name, can_read in readable:
            found = extension(texture.extensions, name, TextureSource)
            if found is not None and can_read:
                return found.source
        if texture.source is not None:
            return texture.source
        if BASISU in texture.extensions:
            raise SceneError(
                f"{self._container.path}: texture {index} is a KTX2 image, for which opengl-basisu is needed: "
                "pip install --pre 'batchsim[scans]'."
            )
        warnings.warn(
            f"{self._container.path}: texture {index} has no image in a format that can be read.", stacklevel=2
        )
        return None


def _matrix(transform: TextureTransform) -> np.ndarray:
    """Scales, then rotates (counter-clockwise as seen with v growing downwards), then adds the offset."""
    c, s = math.cos(transform.rotation), math.sin(transform.rotation)
    turned = np.array([[c, s], [-s, c]]) * np.array(transform.scale)
    return np.concatenate([turned, np.array(transform.offset)[:, None]], 1)
