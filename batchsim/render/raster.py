"""Rasterising backend: one indirect draw command a view, all views in one call.

Before that a compute shader lists, for each view, the chunks of `CHUNK` triangles whose boxes reach into what it sees;
each is an instance of the view's command. How many calls are made does not depend on the number of views or chunks.
Measured on llvmpipe, 64x64, views a second on two cores, all triangles drawn and only those chunks: homes of 44,000
triangles 940 and 1,200 of depth, 490 and 1,160 with colours; of 1,400 10,700 and 13,100, 6,400 and 7,600; four rooms of
352 34,000 and 31,000, 12,300 and 12,700. Chunks of 32 or 128 make no difference there.

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
import torch
from torch import Tensor

from batchsim.errors import RenderError
from batchsim.render import shading
from batchsim.render.camera import NEAR, Camera
from batchsim.render.opengl.shared_tensor import SharedTensor
from batchsim.render.opengl.storage_buffers import storage_limit
from batchsim.render.scene_data.gpu_arrays import CHUNK
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.render.shaders import load_shader

_CLIP_DISTANCE_0 = 0x3000  # GL_CLIP_DISTANCE0, which moderngl has no name for
_MAX_SIDE = 16384
_MOST_LISTED = 1 << 28  # bytes of chunks listed in one pass
_DEPTH_LAYOUT = {"components": 1, "attachment": -1, "alignment": 4, "dtype": "f4"}


class RasterBackend:
    """Draws up to `num_views` views of `scenes`, which must be prepared with their chunks.

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
    ) -> None:
        self.context = context
        self.camera = camera
        self.num_views = num_views
        self._outputs = dict(outputs)
        self._shading = None
        if set(outputs) & set(shading.SENSORS):
            buffers = {name: output.buffer for name, output in outputs.items()}
            self._shading = shading.Shading(context, scenes, num_views, camera, views, buffers)
        side = min(_MAX_SIDE, int(context.info["GL_MAX_TEXTURE_SIZE"]))
        # At least two: with one the number of the tile has no use, and compilers drop the input.
        self._rows = min(max(num_views, 2), side // camera.height)
        self._columns = min(-(-num_views // self._rows), side // camera.width)
        self._planes = 2 if self._columns == 1 else 4

        size = self._columns * camera.width, self._rows * camera.height
        self._depth_texture = context.depth_texture(size)
        self._hit_textures = [context.texture(size, 1, dtype="u4")] if self._shading else []
        self._framebuffer = context.framebuffer(self._hit_textures, self._depth_texture)
        if not scenes.replaceable and not scenes.count("triangle").any():
            raise RenderError("The scenes hold no triangle at all: there is nothing to draw.")
        self._scenes = scenes
        self._views = views
        self._commands = context.buffer(reserve=20 * self._rows * self._columns)
        self._cull, self._program = self._compile()
        self._visible: moderngl.Buffer | None = None
        self._array: moderngl.VertexArray | None = None
        self._most_chunks = 0
        self._unread: list[tuple[int, int, tuple[int, int, int, int]]] = []
        self._make_room()

    def _compile(self) -> tuple[moderngl.ComputeShader, moderngl.Program]:
        tangents = {"TAN_HALF_WIDTH": self.camera.tan_half_width, "TAN_HALF_HEIGHT": self.camera.tan_half_height}
        cull = load_shader("cull.comp", **tangents, LANES=_lanes(self.context), CHUNK=CHUNK)
        constants = {"ROWS": self._rows, "COLUMNS": self._columns, "PLANES": self._planes, "NEAR": NEAR}
        vertex = load_shader("raster.vert", **constants, **tangents, WRITE_HIT=int(self._shading is not None))
        fragment = load_shader("raster_hit.frag" if self._shading else "nothing.frag")
        program = self.context.program(vertex_shader=vertex, fragment_shader=fragment)
        return self.context.compute_shader(cull), program

    def _make_room(self) -> None:
        """Room for all chunks of the largest scene, for each view of a pass; and how many views that can be."""
        most = max(1, int(self._scenes.layout.capacity["chunk"].max()))
        if most <= self._most_chunks:
            return
        self._most_chunks = most
        for resource in (self._array, self._visible):
            if resource is not None:
                resource.release()
        room = min(storage_limit(self.context), _MOST_LISTED)
        self._per_pass = max(1, min(self._rows * self._columns, room // (8 * most)))
        self._visible = self.context.buffer(reserve=8 * self._per_pass * most)
        self._array = self.context.vertex_array(self._program, [(self._visible, "2u4/i", "chunk")])

    def render(self, count: int) -> None:
        """Draw the first `count` records of the views buffer. It is OpenGL's turn with the outputs, until `finish`."""
        self._make_room()
        self._unread = []
        for start in range(0, count, self._per_pass):
            self._read_depth()  # of the pass before, in whose place this one is drawn
            self._draw(start, min(self._per_pass, count - start))
        if self._shading:
            self._shading.run(count)
            self.context.memory_barrier()

    def finish(self, count: int) -> None:
        """Hand the first `count` images, drawn by `render`, to torch."""
        self._read_depth()
        for name, output in self._outputs.items():
            output.to_torch(0 if name == "depth" else count)
        if "depth" in self._outputs:
            _to_metres(self._outputs["depth"].tensor[:count])

    def _draw(self, start: int, count: int) -> None:
        scenes = self._scenes.buffers
        for place, buffer in enumerate((self._views, scenes["table"], scenes["boxes"], self._visible, self._commands)):
            buffer.bind_to_storage_buffer(place)
        self._cull["first_view"] = start
        self._cull["most_chunks"] = self._most_chunks
        self._cull.run(count)
        self.context.memory_barrier()
        scenes["triangles"].bind_to_storage_buffer(3)
        self._program["first_view"] = start
        self._framebuffer.use()
        self.context.enable_only(moderngl.DEPTH_TEST)
        for plane in range(self._planes):
            self.context.enable_direct(_CLIP_DISTANCE_0 + plane)
        self._framebuffer.clear(depth=1.0)  # and 0 for triangles, whose bits are those of a float's 0
        self._array.render_indirect(self._commands, moderngl.TRIANGLES, count)
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
        output = self._outputs["depth"]
        if output.is_copied:  # straight to torch's memory, for which the host waits: later
            self._unread.append((first, rows, viewport))
        else:
            self._framebuffer.read_into(output.buffer, viewport, write_offset=offset, **_DEPTH_LAYOUT)

    def _read_depth(self) -> None:
        """Copy what of the depth was left in the framebuffer."""
        for first, rows, viewport in self._unread:
            images = self._outputs["depth"].tensor[first : first + rows]
            self._framebuffer.read_into(images.numpy(), viewport, **_DEPTH_LAYOUT)
        self._unread = []

    def release(self) -> None:
        """Give all GL objects back."""
        # moderngl binds again what was bound when it makes the next framebuffer: that must not be one that is gone.
        self.context.detect_framebuffer(0).use()
        for resource in (
            *([self._shading] if self._shading else []),
            self._array,
            self._program,
            self._cull,
            self._visible,
            self._framebuffer,
            self._depth_texture,
            *self._hit_textures,
            self._commands,
        ):
            resource.release()


def _lanes(context: moderngl.Context) -> int:
    """Threads that share a view's chunks: a CPU has the views for that, and pays for every barrier."""
    return 1 if "llvmpipe" in str(context.info["GL_RENDERER"]) else 32


def _to_metres(depth: Tensor) -> None:
    """Turn window depth z = 1 - near / distance, 1 where nothing was drawn, into metres, 0 where nothing was drawn."""
    torch.sub(1.0, depth, out=depth)
    torch.div(NEAR, depth, out=depth)
    depth.nan_to_num_(posinf=0.0)
