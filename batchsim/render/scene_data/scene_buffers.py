"""The resident scenes on the OpenGL device: one slot each in buffers that all cameras and both backends read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import moderngl
import numpy as np

from batchsim.errors import OptionError, RenderError
from batchsim.render.opengl.storage_buffers import storage_limit
from batchsim.render.scene_data.gpu_arrays import UNIT_OF, GpuSceneArrays
from batchsim.render.scene_data.scene_upload import SceneUpload
from batchsim.render.scene_data.slot_layout import DoesNotFit, SlotLayout
from batchsim.render.scene_data.texture_pool import TexturePool
from batchsim.render.scene_data.triangle_records import ROW, RecordImage
from batchsim.scenes.baking.bvh import empty_root

_log = logging.getLogger(__name__)
_NO_LIMIT = 1 << 31
_STORAGE = ("nodes", "triangles", "boxes")  # arrays that shaders read as storage blocks, whose size is limited


class SceneBuffers:
    """K slots, each with the arrays of one `GpuSceneArrays`.

    - `scenes`: what the slots hold at first, all prepared with the same parts.
    - `replaceable`: whether `replace` will be called. Otherwise the scenes are packed without a gap.

    `buffers` by name of the array, `records` (None without labels and colours) and `textures` (None without textures)
    are replaced by larger ones when a scene needs it; `changes` counts whatever happens to them or to a slot. The GL
    context must be current in every call. Raises `RenderError` where the driver has no room.
    """

    def __init__(self, context: moderngl.Context, scenes: Sequence[GpuSceneArrays], replaceable: bool = False) -> None:
        self.context = context
        self.replaceable = replaceable
        self.parts = scenes[0].parts
        self.changes = 0
        self.stack_size = max(scene.stack_size for scene in scenes)
        self.buffers: dict[str, moderngl.Buffer] = {}
        self.records: RecordImage | None = None
        self.textures = self._make_textures(scenes)
        self._bytes = self.parts.element_bytes
        self._limits = self._find_limits()
        self._counts = [dict.fromkeys(scene.counts, 0) for scene in scenes]
        self._layers = [np.zeros(0, np.int64) for _ in scenes]
        self._uploads: list[SceneUpload | None] = [None] * len(scenes)
        self.layout = self._lay_out([scene.counts for scene in scenes])
        self._allocate()
        for slot, scene in enumerate(scenes):
            self.begin(slot, scene).finish()

    def _make_textures(self, scenes: Sequence[GpuSceneArrays]) -> TexturePool | None:
        images = [image for scene in scenes for image in scene.textures]
        if self.parts.colours and (images or self.replaceable):
            return TexturePool(self.context, images, self.replaceable)
        return None

    def _find_limits(self) -> dict[str, int]:
        """Elements of each unit that the driver has room for."""
        limits: dict[str, int] = {}
        for name, size in self._bytes.items():
            limit = _NO_LIMIT
            if name in _STORAGE:
                limit = storage_limit(self.context) // size - 1  # one node is kept for the empty scene
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
            f"fit at once: keep no more resident (num_resident_scenes={error.fitting}), or take smaller ones."
        )

    def _allocate(self) -> None:
        """Buffers of the layout's size, with what the old ones held."""
        for name, size in self._bytes.items():
            unit = UNIT_OF[name]
            total = self.layout.total[unit]
            if name == "records":
                self.records = RecordImage(self.context, total, size // 16)
                continue
            # One node more than all slots: a scene without triangles, shown while a slot changes.
            self.buffers[name] = self.context.buffer(reserve=max(16, (total + (name == "nodes")) * size))
        if self.parts.tree:
            self.buffers["nodes"].write(empty_root(), offset=self.empty_node * self._bytes["nodes"])
        self.buffers["table"] = self.context.buffer(reserve=16 * self.slots)
        self._write_table()

    @property
    def slots(self) -> int:
        """K."""
        return len(self._counts)

    @property
    def empty_node(self) -> int:
        """The root of a tree without triangles."""
        return self.layout.total["node"]

    def first(self, unit: str) -> np.ndarray:
        """int64 `[K]`: where each slot's elements begin."""
        return self.layout.start[unit]

    def count(self, unit: str) -> np.ndarray:
        """int64 `[K]`: how many elements each slot holds; 0 while it changes."""
        return np.array([counts[unit] for counts in self._counts], np.int64)

    def begin(self, slot: int, scene: GpuSceneArrays) -> SceneUpload:
        """Empty `slot` and begin to fill it with `scene`; whatever was being uploaded there is given up."""
        if not 0 <= slot < self.slots:
            raise OptionError(f"slot={slot!r}: expected 0 to {self.slots - 1}.")
        if scene.parts != self.parts:
            raise OptionError("The scene was prepared for a renderer with other sensors or another backend.")
        if not self.layout.has_room(slot, scene.counts):
            self._grow(slot, scene)
        if self._uploads[slot] is not None:
            self._uploads[slot].give_up()
        self._counts[slot] = dict.fromkeys(scene.counts, 0)
        layers = np.zeros(0, np.int64)
        if self.textures is not None:
            self.textures.release_layers(self._layers[slot])
            self._layers[slot] = np.zeros(0, np.int64)
            layers = self._layers[slot] = self.textures.acquire(scene.textures)
        self.stack_size = max(self.stack_size, scene.stack_size)
        self._write_table()
        self._uploads[slot] = SceneUpload(self, slot, scene, layers)
        return self._uploads[slot]

    def complete(self, slot: int, scene: GpuSceneArrays) -> None:
        """Let `slot` be drawn: all of `scene` is there."""
        self._uploads[slot] = None
        self._counts[slot] = scene.counts
        self._write_table()

    def write(self, name: str, slot: int, first: int, elements: np.ndarray) -> None:
        """Write some elements of an array into `slot`, from its element `first` on."""
        at = int(self.layout.start[UNIT_OF[name]][slot]) + first
        if name == "records":
            self.records.write(at, elements)
        else:
            self.buffers[name].write(np.ascontiguousarray(elements), offset=at * self._bytes[name])

    def _write_table(self) -> None:
        self.changes += 1
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
            if name == "records":
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
        """Give all GL objects back; uploads that are under way can no longer go on."""
        for upload in self._uploads:
            if upload is not None:
                upload.give_up()
        for buffer in self.buffers.values():
            buffer.release()
        for resource in (self.records, self.textures):
            if resource is not None:
                resource.release()
