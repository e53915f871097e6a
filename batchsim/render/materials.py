"""Materials and textures of all scenes on the device: one table, and one texture array of equal squares."""

from __future__ import annotations

from collections.abc import Sequence

import moderngl
import numpy as np
from PIL import Image

from batchsim.errors import RenderError
from scenes import Scene
from scenes.mesh import NO_TEXTURE

MAX_TEXTURE_SIDE = 512
"""Texels; larger textures are scaled down. A view of 64 to 256 pixels cannot show more."""


class Materials:
    """The material tables of `scenes` laid end to end.

    - `table`: float32 `[M, 4]`: base colour (linear), then the layer of the texture, -1 = none.
    - `first`: int64 `[scenes]`: where each scene's materials begin in `table`.
    - `textures`: the texture array with mipmaps (sRGB bytes, repeating), or None if no material has a texture.

    Textures that are one array in memory share a layer. Raises `RenderError` for more layers than the driver has.
    """

    def __init__(self, context: moderngl.Context, scenes: Sequence[Scene]) -> None:
        layers: dict[int, int] = {}
        images: list[np.ndarray] = []
        rows = []
        for scene in scenes:
            for material in scene.material_table:
                layer = -1
                if material.texture != NO_TEXTURE:
                    image = scene.textures[material.texture]
                    layer = layers.setdefault(id(image), len(images))
                    if layer == len(images):
                        images.append(image)
                rows.append((*material.base_color, layer))
        counts = np.array([len(scene.material_table) for scene in scenes])
        self.first = np.cumsum(counts) - counts
        self.table = np.array(rows, np.float32).reshape(-1, 4)
        self.textures = _texture_array(context, images) if images else None

    def release(self) -> None:
        """Give the texture array back."""
        if self.textures is not None:
            self.textures.release()


def _texture_array(context: moderngl.Context, images: list[np.ndarray]) -> moderngl.TextureArray:
    allowed = int(context.info["GL_MAX_ARRAY_TEXTURE_LAYERS"])
    if len(images) > allowed:
        raise RenderError(
            f"The scenes have {len(images)} textures; {context.info['GL_RENDERER']} allows {allowed} at once. "
            "Keep fewer scenes resident, or let them share textures."
        )
    largest = max(max(image.shape[:2]) for image in images)
    side = min(MAX_TEXTURE_SIDE, 1 << (largest - 1).bit_length())
    texels = np.empty((len(images), side, side, 4), np.uint8)
    for texel, image in zip(texels, images, strict=True):
        texel[..., :3] = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
        texel[..., 3] = 255
    array = context.texture_array((side, side, len(images)), 4, texels.tobytes())
    array.build_mipmaps()
    array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    array.repeat_x = array.repeat_y = True
    return array
