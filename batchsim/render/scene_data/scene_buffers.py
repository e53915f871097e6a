"""The resident scenes in GPU memory: one slot each in buffers that all cameras and both backends read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import moderngl
import numpy as np

from batchsim.errors import OptionError, RenderError
from batchsim.render.opengl.storage_buffers import storage_limit
from batchsim.render.scene_data.gpu_arrays import UNIT_OF, GpuSceneArrays
from batchsim.render.scene_data.slot_layout import DoesNotFit, SlotLayout
from batchsim.render.scene_data.texels import square_texels
from batchsim.render.scene_data.texture_pool import TexturePool
from batchsim.render.scene_data.triangle_records import ROW, RecordImage
from batchsim.scenes.baking.bvh import empty_root
from batchsim.scenes.mesh import NO_TEXTURE

UPLOAD_GIVEN_UP = "This upload was given up: another scene was put into its slot, or the renderer was closed."

_log = logging.getLogger(__name__)
_NO_LIMIT = 1 << 31
_STORAGE = ("nodes", "triangles", "boxes")  # arrays that shaders read as storage blocks, whose size is limited
_PIECE = 1 << 16  # bytes written at a time


class SceneBuffers:
    """K slots, each with the arrays of one `GpuSceneArrays`. The GL context must be current in every call.

    Args:
        context: The GL context.
        scenes: What the slots hold at first, all prepared with the same parts.
        replaceable: Whether `replace` will be called. If not, the scenes are packed without gaps.

    Attributes:
        buffers: GL buffers by name of the array, and "table". They are replaced by larger ones if a scene needs it.
        records: Triangle records; None without labels and colours.
        textures: The texture pool; None without textures.

    Raises:
        RenderError: The driver has no room for the scenes.
    """

    def __init__(self, context: moderngl.Context, scenes: Sequence[GpuSceneArrays], replaceable: bool = False) -> None:
        self.context = context
        self.replaceable = replaceable
        self.parts = scenes[0].parts
        self.stack_size = max(scene.stack_size for scene in scenes)
        self.buffers: dict[str, moderngl.Buffer] = {}
        self.records: RecordImage | None = None
        self.textures = self._make_textures(scenes)
        self._bytes = self.parts.element_bytes
        self._limits = self._find_limits()
        self._counts = [dict.fromkeys(scene.counts, 0) for scene in scenes]
        self._layers = [np.zeros(0, np.int64) for _ in scenes]
        self._uploads = [0] * len(scenes)  # how many were begun in each slot
        self.layout = self._lay_out([scene.counts for scene in scenes])
        self._allocate()
        for slot, scene in enumerate(scenes):
            for _ in self.replace(slot, scene):
                pass

    def _make_textures(self, scenes: Sequence[GpuSceneArrays]) -> TexturePool | None:
        images = [image for scene in scenes for image in scene.textures]
        if self.parts.colours and (images or self.replaceable):
            return TexturePool(self.context, images, self.replaceable)
        return None

    def _find_limits(self) -> dict[str, int]:
        """Returns how many elements of each unit the driver has room for."""
        limits: dict[str, int] = {}
        for name, size in self._bytes.items():
            limit = _NO_LIMIT
            if name in _STORAGE:
                limit = storage_limit(self.context) // size - 1  # one node is reserved for the empty scene
            elif name == "records":
                limit = int(self.context.info["GL_MAX_TEXTURE_SIZE"]) * ROW // (size // 16)
            limits[UNIT_OF[name]] = min(limit, limits.get(UNIT_OF[name], _NO_LIMIT))
        return limits

    def _lay_out(self, counts: Sequence[dict[str, int]]) -> SlotLayout:
        try:
            return SlotLayout(counts, self._limits, self.replaceable)
        except DoesNotFit as error:
            raise self._too_large(error) from None

    def _too_large(self, error: DoesNotFit) -> RenderError:
        size = max(b for name, b in self._bytes.items() if UNIT_OF[name] == error.unit) / 2**20
        return RenderError(
            f"The {len(self._counts)} scenes' {error.unit} data need {error.needed * size:,.0f} MiB in one buffer, but "
            f"{self.context.info['GL_RENDERER']} allows {error.limit * size:,.0f} MiB. {error.fitting} such scenes "
            f"fit at once: keep no more resident (num_resident_scenes={error.fitting}), or use smaller ones."
        )

    def _allocate(self) -> None:
        """Makes buffers of the layout's size."""
        for name, size in self._bytes.items():
            unit = UNIT_OF[name]
            total = self.layout.total[unit]
            if name == "records":
                self.records = RecordImage(self.context, total, size // 16)
                if self.replaceable:
                    self.records.clear()
                continue
            # One more node: the root of a scene without triangles, which slots show while they change.
            self.buffers[name] = self.context.buffer(reserve=max(16, (total + (name == "nodes")) * size))
            if self.replaceable:  # or memory would grow whenever a larger scene comes into a slot
                self.buffers[name].clear()
        if self.parts.tree:
            self.buffers["nodes"].write(empty_root(), offset=self.empty_node * self._bytes["nodes"])
        self.buffers["table"] = self.context.buffer(reserve=16 * self.slots)
        self._write_table()

    @property
    def slots(self) -> int:
        """K, the number of slots."""
        return len(self._counts)

    @property
    def empty_node(self) -> int:
        """The root of a tree without triangles."""
        return self.layout.total["node"]

    def first(self, unit: str) -> np.ndarray:
        """Returns int64 `[K]`: the first element of each slot."""
        return self.layout.start[unit]

    def count(self, unit: str) -> np.ndarray:
        """Returns int64 `[K]`: the number of elements in each slot; 0 while its scene is replaced."""
        return np.array([counts[unit] for counts in self._counts], np.int64)

    def replace(self, slot: int, scene: GpuSceneArrays) -> Iterator[int]:
        """Empties `slot` now, and returns an iterator that writes `scene` into it.

        The iterator writes one piece at a time and yields its bytes; the slot can be drawn once it ends. It raises
        `RenderError` if another scene was put into the slot meanwhile, or `release` was called.
        """
        if not 0 <= slot < self.slots:
            raise OptionError(f"slot={slot!r}: expected 0 to {self.slots - 1}.")
        if scene.parts != self.parts:
            raise OptionError("The scene was prepared for a renderer with other sensors or another backend.")
        if not self.layout.has_room(slot, scene.counts):
            self._grow(slot, scene)
        self._counts[slot] = dict.fromkeys(scene.counts, 0)
        if self.textures is not None:
            self.textures.release_layers(self._layers[slot])
            self._layers[slot] = np.zeros(0, np.int64)
            self._layers[slot] = self.textures.acquire(scene.textures)
        self.stack_size = max(self.stack_size, scene.stack_size)
        self._write_table()
        self._uploads[slot] += 1
        return self._upload(slot, scene, self._uploads[slot])

    def _upload(self, slot: int, scene: GpuSceneArrays, upload: int) -> Iterator[int]:
        pieces = self._write_all(slot, scene)
        while True:
            if self._uploads[slot] != upload:
                raise RenderError(UPLOAD_GIVEN_UP)
            size = next(pieces, None)
            if size is None:
                break
            yield size
        self._counts[slot] = scene.counts
        self._write_table()

    def _write_all(self, slot: int, scene: GpuSceneArrays) -> Iterator[int]:
        if self.textures is not None:
            # All that are not complete, also those that another upload has begun: this one may be complete first.
            for layer, texels, image in zip(self._layers[slot].tolist(), scene.texels, scene.textures, strict=True):
                if not self.textures.is_complete(layer):
                    yield from self._write_texture(self.textures, layer, texels, image)
        for name, elements in scene.arrays.items():
            for first, some in _pieces(elements):
                self._write(
                    name, slot, first, self._with_layers(slot, scene, first, some) if name == "records" else some
                )
                yield some.nbytes

    @staticmethod
    def _write_texture(textures: TexturePool, layer: int, texels: np.ndarray, image: np.ndarray) -> Iterator[int]:
        fitting = texels if len(texels) == textures.side else square_texels(image, textures.side)
        for first, rows in _pieces(fitting):
            textures.write(layer, first, rows)
            yield rows.nbytes

    def _with_layers(self, slot: int, scene: GpuSceneArrays, first: int, records: np.ndarray) -> np.ndarray:
        """Returns the records with the layers that their textures have here."""
        layers = self._layers[slot]
        if not len(layers):
            return records
        texture = scene.texture_of[first : first + len(records)]
        is_textured = texture != NO_TEXTURE
        records = records.copy()
        layer = layers[texture[is_textured]].astype(np.uint32)
        records[is_textured, 3] = records[is_textured, 3] & 0xF000FFFF | layer << 16
        return records

    def _write(self, name: str, slot: int, first: int, elements: np.ndarray) -> None:
        """Writes some elements of an array into `slot`, from its element `first` on."""
        at = int(self.layout.start[UNIT_OF[name]][slot]) + first
        if name == "records":
            assert self.records is not None
            self.records.write(at, elements)
        else:
            self.buffers[name].write(np.ascontiguousarray(elements), offset=at * self._bytes[name])

    def _write_table(self) -> None:
        table = np.zeros((self.slots, 4), np.uint32)
        if self.parts.tree:
            table[:, 0] = np.where(self.count("node") > 0, self.first("node"), self.empty_node)
        table[:, 1] = self.first("triangle")
        if self.parts.chunks:
            table[:, 2] = self.first("chunk")
        table[:, 3] = self.count("triangle")
        self.buffers["table"].write(table)

    def _grow(self, slot: int, scene: GpuSceneArrays) -> None:
        old = self.layout
        try:
            self.layout = old.grown(slot, scene.counts, self._limits)
        except DoesNotFit as error:
            raise self._too_large(error) from None
        _log.info("A scene of %s is larger than its slot: all %d slots grow.", scene.counts, self.slots)
        buffers, records = dict(self.buffers), self.records
        self._allocate()
        for name in self._bytes:
            unit = UNIT_OF[name]
            moves = (old.start[unit], self.layout.start[unit], old.capacity[unit])
            if records is not None and self.records is not None and name == "records":
                records.copy_into(self.records, *moves)
                continue
            size = self._bytes[name]
            for source, target, length in np.stack(moves, 1).tolist():
                self.context.copy_buffer(self.buffers[name], buffers[name], length * size, source * size, target * size)
        for buffer in buffers.values():
            buffer.release()
        if records is not None:
            records.release()

    def release(self) -> None:
        """Releases all GL objects and gives up all uploads."""
        self._uploads = [0] * self.slots
        for buffer in self.buffers.values():
            buffer.release()
        for resource in (self.records, self.textures):
            if resource is not None:
                resource.release()


def _pieces(elements: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the index of its first element and the elements of each piece."""
    count = max(1, _PIECE // max(1, elements.nbytes // max(1, len(elements))))
    for first in range(0, len(elements), count):
        yield first, elements[first : first + count]
