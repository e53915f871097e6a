"""The textures of all resident scenes: layers of one texture array, shared by scenes that have the same texture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import moderngl
import numpy as np

from batchsim.errors import RenderError
from batchsim.render.scene_data.gpu_arrays import NO_LAYER
from batchsim.render.scene_data.texels import square_texels, texture_side
from batchsim.render.shaders import load_shader

_SPARE_LAYERS = 16


class TexturePool:
    """A texture array with mip levels (sRGB bytes, repeating) and the number of users of each layer.

    A layer without users keeps its texture until the room is needed.

    Args:
        context: The GL context.
        images: The first textures, uint8 `[height, width, 3]`. Textures that are the same array in memory share a
            layer. The largest determines `side`.
        replaceable: Whether other textures will follow: spare layers are kept.

    Attributes:
        side: Texels along each side of a layer.

    Raises:
        RenderError: There are more textures than the driver has layers.
    """

    def __init__(self, context: moderngl.Context, images: Iterable[np.ndarray], replaceable: bool) -> None:
        self._context = context
        self._mips = context.compute_shader(load_shader("mip_level.comp"))
        distinct = list({id(image): image for image in images}.values())
        self.side = texture_side(distinct)
        self._held: list[np.ndarray | None] = []  # by layer; a reference keeps an id from being used again
        self._uses: list[int] = []
        self._layer_of: dict[int, int] = {}
        self._complete: set[int] = set()
        spare = len(distinct) + _SPARE_LAYERS if replaceable else 0
        self._array = self._make_array(max(1, len(distinct)), spare)

    @property
    def array(self) -> moderngl.TextureArray:
        """The texture array, for shaders to sample."""
        return self._array

    def acquire(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Adds a user to each of `images` and returns their layers, int64; not all are complete (`is_complete`)."""
        for image in images:  # first, so that none of them is dropped for another
            if id(image) in self._layer_of:
                self._uses[self._layer_of[id(image)]] += 1
        missing = [image for image in images if id(image) not in self._layer_of]
        if missing:
            self._make_room(missing)
        for image in missing:
            if id(image) in self._layer_of:  # twice in the list
                self._uses[self._layer_of[id(image)]] += 1
            else:
                self._place(image)
        return np.array([self._layer_of[id(image)] for image in images], np.int64)

    def release_layers(self, layers: np.ndarray) -> None:
        """Removes a user from each of `layers`."""
        for layer in layers.tolist():
            self._uses[layer] -= 1

    def is_complete(self, layer: int) -> bool:
        """Whether all of the layer's texels are written."""
        return layer in self._complete

    def write(self, layer: int, first_row: int, texels: np.ndarray) -> None:
        """Writes rows uint8 `[n, side, 4]` of a layer; the last row completes it."""
        if texels.shape[1] != self.side:
            return  # the array was enlarged after these were scaled, and all its textures were written again
        rows = len(texels)
        self._array.write(np.ascontiguousarray(texels), (0, first_row, layer, self.side, rows, 1))
        if first_row + rows == self.side:
            self._build_mips(layer)
            self._complete.add(layer)

    def _make_room(self, missing: Sequence[np.ndarray]) -> None:
        side, free = texture_side(missing), self._free_layers()
        if side > self.side or len(free) < len(missing):
            lacking = max(0, len(missing) - len(free))
            needed = len(self._held) + lacking
            self._grow(max(side, self.side), needed, spare=needed if lacking else 0)

    def _free_layers(self) -> list[int]:
        """Returns the empty layers, then those without users."""
        empty = [layer for layer, image in enumerate(self._held) if image is None]
        return empty + [k for k, image in enumerate(self._held) if image is not None and self._uses[k] == 0]

    def _place(self, image: np.ndarray) -> None:
        layer = self._free_layers()[0]
        held = self._held[layer]
        if held is not None:
            del self._layer_of[id(held)]
        self._held[layer] = image
        self._layer_of[id(image)] = layer
        self._uses[layer] = 1
        self._complete.discard(layer)

    def _grow(self, side: int, layers: int, spare: int) -> None:
        """Replaces the array by a larger one with the same textures."""
        old, self.side = (self._array, self.side), side
        try:
            self._array = self._make_array(layers, spare)
        except RenderError:
            self.side = old[1]
            raise
        old[0].release()
        for layer, image in enumerate(self._held):
            if image is not None:
                self.write(layer, 0, square_texels(image, side))

    def _make_array(self, layers: int, spare: int) -> moderngl.TextureArray:
        """Makes an array of `layers`, and as many of `spare` as the driver has."""
        allowed = min(int(self._context.info["GL_MAX_ARRAY_TEXTURE_LAYERS"]), NO_LAYER)
        if layers > allowed:
            raise RenderError(
                f"The scenes have {layers} textures; {self._context.info['GL_RENDERER']} allows {allowed} at once. "
                "Keep fewer scenes resident, or let them share textures."
            )
        layers = min(layers + spare, allowed)
        self._held += [None] * (layers - len(self._held))
        self._uses += [0] * (layers - len(self._uses))
        array = self._context.texture_array((self.side, self.side, layers), 4)
        array.build_mipmaps()  # allocates the levels
        array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        array.repeat_x = array.repeat_y = True
        return array

    def _build_mips(self, layer: int) -> None:
        self._mips["layer"] = layer
        for level in range(1, self.side.bit_length()):
            size = self.side >> level
            self._context.memory_barrier()
            self._array.bind_to_image(0, read=True, write=False, level=level - 1)
            self._array.bind_to_image(1, read=False, write=True, level=level)
            self._mips.run(-(-size // 8), -(-size // 8), 1)
        self._context.memory_barrier()

    def release(self) -> None:
        """Releases the GL objects."""
        self._array.release()
        self._mips.release()
