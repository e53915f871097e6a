"""The way of one scene into its slot, in slices, so that no step waits for all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from batchsim.errors import RenderError
from batchsim.render.opengl.gl_errors import checked
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays
from batchsim.render.scene_data.texels import square_texels
from batchsim.scenes.mesh import NO_TEXTURE

if TYPE_CHECKING:
    from batchsim.render.scene_data.scene_buffers import SceneBuffers

_EVERYTHING = 1 << 62


class SceneUpload:
    """Writes `scene` into `slot`. Until `advance` has returned True, views of that slot show nothing."""

    def __init__(self, buffers: SceneBuffers, slot: int, scene: GpuSceneArrays, layers: np.ndarray) -> None:
        self._buffers = buffers
        self._slot = slot
        self._scene = scene
        self._layers = layers
        self._given_up = False
        self._pieces = self._textures_to_write() + [self._array_piece(name) for name in scene.arrays]
        self._piece, self._row = 0, 0

    @property
    def is_complete(self) -> bool:
        """Whether the slot may be drawn."""
        return self._piece == len(self._pieces)

    def give_up(self) -> None:
        """The slot is wanted for something else."""
        self._given_up = True

    def advance(self, max_bytes: int) -> bool:
        """Write at most about `max_bytes` more (at least one element); True once the slot is complete.

        Raises `RenderError` if the slot was given to another scene meanwhile, or the renderer was closed.
        """
        if self.is_complete:
            return True
        if self._given_up:
            raise RenderError("This upload was given up: its slot was given to another scene, or the renderer closed.")
        with checked(self._buffers.context, "uploading a scene"):
            return self._advance(max_bytes)

    def finish(self) -> None:
        """Write all that is left; the GL context must be current."""
        self._advance(_EVERYTHING)

    def _advance(self, max_bytes: int) -> bool:
        left = max_bytes
        while left > 0 and not self.is_complete:
            left -= self._write_some(left)
        if self.is_complete:
            self._buffers.complete(self._slot, self._scene)
        return self.is_complete

    def _write_some(self, max_bytes: int) -> int:
        """Write the next rows of the current piece; returns how many bytes those were."""
        write, rows = self._pieces[self._piece]
        row_bytes = rows.nbytes // max(1, len(rows))
        some = rows[self._row : self._row + max(1, max_bytes // max(1, row_bytes))]
        if len(some):
            write(self._row, some)
        self._row += len(some)
        if self._row == len(rows):
            self._piece, self._row = self._piece + 1, 0
        return some.nbytes

    def _array_piece(self, name: str) -> tuple[Callable[[int, np.ndarray], None], np.ndarray]:
        def write(first: int, elements: np.ndarray) -> None:
            if name == "records" and len(self._layers):
                elements = self._with_layers(first, elements)
            self._buffers.write(name, self._slot, first, elements)

        return write, self._scene.arrays[name]

    def _with_layers(self, first: int, records: np.ndarray) -> np.ndarray:
        """The records with the layers that their textures have here."""
        texture = self._scene.texture_of[first : first + len(records)]
        textured = texture != NO_TEXTURE
        records = records.copy()
        layer = self._layers[texture[textured]].astype(np.uint32)
        records[textured, 3] = records[textured, 3] & 0xFFFF | layer << 16
        return records

    def _textures_to_write(self) -> list[tuple[Callable[[int, np.ndarray], None], np.ndarray]]:
        """Also those that another scene has episode_start to upload: this one may be complete first."""
        pool = self._buffers.textures
        pieces = []
        for layer, texels, image in zip(self._layers.tolist(), self._scene.texels, self._scene.textures, strict=False):
            if not pool.is_complete(layer):
                fitting = texels if len(texels) == pool.side else square_texels(image, pool.side)
                pieces.append((self._texture_writer(layer), fitting))
        return pieces

    def _texture_writer(self, layer: int) -> Callable[[int, np.ndarray], None]:
        return lambda first, rows: self._buffers.textures.write(layer, first, rows)
