"""Rasterising backend: one indirect draw command a view, all views in one call.

Views stand below one another in a framebuffer one view wide, so that its rows are the images `[N, height, width]` in
order and reading it is one straight copy. Left and right the viewport clips, above and below two clip planes do.
More views than one column holds stand in further columns, more than the framebuffer holds are drawn in passes.

Depth alone needs no colour: the depth buffer holds 1 - near / distance (a projection with its far plane at infinity),
which inverts exactly. On llvmpipe that is a fifth faster than writing the distance from a fragment shader.

For colours and labels the number of the triangle is drawn beside it, and `Shading` then looks at each pixel once, as it
does for the ray caster: what is hidden costs no light and no texture, and the two backends cannot look different.
"""

from __future__ import annotations

from collections.abc import Mapping

import moderngl
import numpy as np
import torch
from torch import Tensor

from batchsim.errors import RenderError
from batchsim.render import shading
from batchsim.render.camera import NEAR, Camera
from batchsim.render.scene_buffers import SceneBuffers
from batchsim.render.shaders import load_shader
from batchsim.render.sharing import SharedTensor

_CLIP_DISTANCE_0 = 0x3000  # GL_CLIP_DISTANCE0, which moderngl has no name for
_MAX_SIDE = 16384


class RasterBackend:
    """Draws up to `num_views` views of `scenes`, which must be prepared with their vertices.

    - `views`: a buffer of `num_views` records: vec4 (position, scene), vec4 quaternion x y z w.
    - `outputs`: a tensor for each sensor that is wanted: "depth" float32 and "semantic" int32
      `[num_views, height, width, 1]`, "rgb" uint8 `[num_views, height, width, 3]`.

    Raises `RenderError` for scenes without a triangle, and where a buffer exceeds what the driver allows.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: Camera,
        views: moderngl.Buffer,
        outputs: Mapping[str, SharedTensor],
        device: torch.device | str = "cpu",
    ) -> None:
        self.context = context
        self.camera = camera
        self.num_views = num_views
        self._device = device
        self._outputs = dict(outputs)
        self._shading = None
        if set(outputs) & set(shading.SENSORS):
            buffers = {name: output.buffer for name, output in outputs.items()}
            self._shading = shading.Shading(context, scenes, num_views, camera, views, buffers)
        side = min(_MAX_SIDE, int(context.info["GL_MAX_TEXTURE_SIZE"]))
        # At least two: with one the number of the tile has no use, and compilers drop the input.
        self._rows = min(max(num_views, 2), side // camera.height)
        self._columns = min(-(-num_views // self._rows), side // camera.width)
        self._per_pass = self._rows * self._columns
        self._planes = 2 if self._columns == 1 else 4

        size = self._columns * camera.width, self._rows * camera.height
        self._depth_texture = context.depth_texture(size)
        self._hit_textures = [context.texture(size, 1, dtype="u4")] if self._shading else []
        self._framebuffer = context.framebuffer(self._hit_textures, self._depth_texture)
        if not scenes.rotating and not scenes.count("triangle").any():
            raise RenderError("The scenes hold no triangle at all: there is nothing to draw.")
        self._scenes = scenes
        self._changes = -1
        self._array: moderngl.VertexArray | None = None
        self._views = views
        tile = np.arange(num_views, dtype=np.int32) % self._per_pass
        self._tiles = context.buffer(tile.tobytes())
        # count, instances, first index, base vertex, base instance: base instance picks the view's record
        self._commands = SharedTensor(context, (num_views, 5), torch.int32, device)
        self._commands.tensor[:, 1] = 1
        self._commands.tensor[:, 4] = torch.arange(num_views, dtype=torch.int32)
        self._program = self._compile()
        self._follow_scenes()

    def _compile(self) -> moderngl.Program:
        constants = {"ROWS": self._rows, "COLUMNS": self._columns, "PLANES": self._planes, "NEAR": NEAR}
        constants |= {"TAN_HALF_WIDTH": self.camera.tan_half_width, "TAN_HALF_HEIGHT": self.camera.tan_half_height}
        vertex_shader = load_shader("raster.vert", **constants, WRITE_HIT=int(self._shading is not None))
        fragment_shader = load_shader("raster_hit.frag" if self._shading else "nothing.frag")
        return self.context.program(vertex_shader=vertex_shader, fragment_shader=fragment_shader)

    def _follow_scenes(self) -> None:
        """Look up where the scenes lie, if that has changed."""
        scenes = self._scenes
        if self._changes == scenes.changes:
            return
        self._changes = scenes.changes
        table = 3 * scenes.count("triangle"), 3 * scenes.first("triangle"), scenes.first("vertex")
        self._index_count, self._first_index, self._base_vertex = (
            torch.from_numpy(column.astype(np.int32)).to(self._device) for column in table
        )
        if self._array is not None:
            self._array.release()
        content = [
            (scenes.buffers["vertices"], "3f", "position"),
            (self._views, "4f 4f/i", "eye_scene", "rotation"),
            (self._tiles, "i/i", "tile"),
        ]
        if self._shading:
            content.append((self._commands.buffer, "2x4 i 2x4/i", "first_index"))
        self._array = self.context.vertex_array(self._program, content, scenes.buffers["indices"])

    def render(self, scene_index: Tensor) -> None:
        """Draw `count = len(scene_index)` views, as given in the views buffer, into the first `count` of the outputs.

        Views of scene -1 show nothing.
        """
        count = len(scene_index)
        self._follow_scenes()
        commands = self._commands.tensor[:count]
        commands[:, 0] = self._index_count[scene_index] * (scene_index >= 0)
        commands[:, 2] = self._first_index[scene_index]
        commands[:, 3] = self._base_vertex[scene_index]
        self._commands.to_gl(count)
        for output in self._outputs.values():
            output.to_gl(0)
        for start in range(0, count, self._per_pass):
            self._draw(start, min(self._per_pass, count - start))
        if self._shading:
            self._shading.run(count)
            self.context.memory_barrier()
        self._commands.to_torch(0)
        for name, output in self._outputs.items():
            output.to_torch(0 if name == "depth" else count)
        if "depth" in self._outputs:
            _to_metres(self._outputs["depth"].tensor[:count])

    def _draw(self, start: int, count: int) -> None:
        self._framebuffer.use()
        self.context.enable_only(moderngl.DEPTH_TEST)
        for plane in range(self._planes):
            self.context.enable_direct(_CLIP_DISTANCE_0 + plane)
        self._framebuffer.clear(depth=1.0)  # and 0 for triangles, whose bits are those of a float's 0
        self._array.render_indirect(self._commands.buffer, moderngl.TRIANGLES, count, first=start)
        for plane in range(self._planes):
            self.context.disable_direct(_CLIP_DISTANCE_0 + plane)
        width, height = self.camera.width, self.camera.height
        for column in range(-(-count // self._rows)):
            first = column * self._rows
            rows = min(self._rows, count - first)
            self._read(start + first, rows, (column * width, 0, width, rows * height))

    def _read(self, first: int, rows: int, viewport: tuple[int, int, int, int]) -> None:
        """Copy a part of the framebuffer to `rows` images from `first` on."""
        offset = first * self.camera.width * self.camera.height * 4
        if self._shading:
            layout = {"components": 1, "attachment": 0, "alignment": 4, "dtype": "u4"}
            self._framebuffer.read_into(self._shading.hits, viewport, write_offset=offset, **layout)
        if "depth" not in self._outputs:
            return
        layout = {"components": 1, "attachment": -1, "alignment": 4, "dtype": "f4"}
        output = self._outputs["depth"]
        if output.is_copied:  # straight to torch's memory
            self._framebuffer.read_into(output.tensor[first : first + rows].numpy(), viewport, **layout)
        else:
            self._framebuffer.read_into(output.buffer, viewport, write_offset=offset, **layout)

    def release(self) -> None:
        """Give all GL objects back."""
        # moderngl binds again what was bound when it makes the next framebuffer: that must not be one that is gone.
        self.context.detect_framebuffer(0).use()
        for resource in (
            *([self._shading] if self._shading else []),
            self._array,
            self._program,
            self._framebuffer,
            self._depth_texture,
            *self._hit_textures,
            self._tiles,
            self._commands,
        ):
            resource.release()


def _to_metres(depth: Tensor) -> None:
    """Turn window depth z = 1 - near / distance, 1 where nothing was drawn, into metres, 0 where nothing was drawn."""
    torch.sub(1.0, depth, out=depth)
    torch.div(NEAR, depth, out=depth)
    depth.nan_to_num_(posinf=0.0)
