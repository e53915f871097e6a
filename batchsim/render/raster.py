"""Rasterising backend: one indirect draw command per view.

A compute shader first lists, for each view, the chunks of `CHUNK` triangles whose boxes intersect the view frustum;
each listed chunk is an instance of the view's draw command. Measured on llvmpipe, 64x64 pixels, views/s on two cores
with all triangles drawn and with the listed chunks: homes of 44,000 triangles 940 and 1,200 (depth), 490 and 1,160
(colours); of 1,400 triangles 10,700 and 13,100, 6,400 and 7,600; four rooms of 352 triangles 34,000 and 31,000, 12,300
and 12,700. Chunks of 32 or 128 triangles made no difference there.

Views are tiles of a framebuffer one view wide, one below another. The viewport clips left and right, two clip planes
clip above and below. More views than one framebuffer holds are drawn in passes. Where a view's tile lies depends on the
number of the view and on the camera, not on how many views there are: rounding differs from tile to tile, and a view
must not change with the number of environments.

The depth buffer holds 1 - near / distance (a projection with its far plane at infinity), which inverts exactly. Writing
it costs a fifth less on llvmpipe than writing the distance from a fragment shader. A compute shader then writes metres
to the output. On a GPU it reads the depth texture. On llvmpipe, where that costs 2 ms of 18 ms for 128 views of
64x64 pixels, the framebuffer is copied to the output first and converted there.

For colours and labels the number of the triangle is drawn as well, and `Shading` then computes each pixel once, as it
does for the ray caster: hidden surfaces cost no shading, and the two backends look the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import moderngl

from batchsim.errors import RenderError
from batchsim.render import shading
from batchsim.render.camera import AnyCamera, require_pinhole
from batchsim.render.opengl.clearing import clear_depth, clear_unsigned
from batchsim.render.opengl.storage_buffers import storage_limit
from batchsim.render.scene_data.gpu_arrays import CHUNK
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.render.shaders import load_shader

_CLIP_DISTANCE_0 = 0x3000  # GL_CLIP_DISTANCE0, which moderngl does not name
_CLIP_PLANES = 2
_MAX_SIDE = 16384
_MAX_TILES = 256  # with more, tiles are so small a part of the framebuffer that corners are rounded visibly
_MAX_GROUPS = 65535  # work groups along one axis of a dispatch, the least that OpenGL guarantees
_MAX_PIXELS = 1 << 24  # of the framebuffer
_MAX_LISTED = 1 << 28  # bytes of listed chunks in one pass


class RasterBackend:
    """See `RenderBackend` and `MakeBackend`; `scenes` must be prepared with their chunks.

    Raises `RenderError` also if the scenes do not have a single triangle, and `OptionError` if the camera is not a
    pinhole camera.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: AnyCamera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
    ) -> None:
        if not scenes.replaceable and not scenes.count("triangle").any():
            raise RenderError("The scenes have no triangle at all: there is nothing to draw.")
        self.context = context
        self.camera = require_pinhole(camera)
        self._on_cpu = _is_cpu(context)
        self._scenes = scenes
        self._views = views
        self._depth = outputs.get("depth")
        self._shading = None
        if set(outputs) & set(shading.SENSORS):
            self._shading = shading.Shading(context, scenes, num_views, camera, views, outputs)
        side = min(_MAX_SIDE, int(context.info["GL_MAX_TEXTURE_SIZE"]))
        pixels = camera.width * camera.height
        self._tiles = max(2, min(_MAX_TILES, side // camera.height, _MAX_PIXELS // pixels))
        size = camera.width, camera.height * min(num_views, self._tiles)
        self._depth_texture = context.depth_texture(size)
        self._depth_texture.compare_func = ""  # it is read as numbers, not compared with
        self._hit_textures = [context.texture(size, 1, dtype="u4")] if self._shading else []
        self._framebuffer = context.framebuffer(self._hit_textures, self._depth_texture)
        self._commands = context.buffer(reserve=20 * min(num_views, self._tiles))
        self._cull, self._to_metres, self._program = self._compile()
        context.enable_only(moderngl.DEPTH_TEST)
        for plane in range(_CLIP_PLANES):
            context.enable_direct(_CLIP_DISTANCE_0 + plane)
        self._most_chunks = 0
        self._visible, self._array = self._make_room()

    def _compile(self) -> tuple[moderngl.ComputeShader, moderngl.ComputeShader, moderngl.Program]:
        camera = self.camera
        tangents = {"TAN_HALF_WIDTH": camera.tan_half_width, "TAN_HALF_HEIGHT": camera.tan_half_height}
        # A CPU has enough views for one thread each, and barriers between threads cost more than they bring.
        lanes = 1 if self._on_cpu else 32
        cull = load_shader("cull.comp", **tangents, LANES=lanes, CHUNK=CHUNK)
        constants = {"WIDTH": camera.width, "NEAR": camera.near, "FROM_TEXTURE": int(not self._on_cpu)}
        to_metres = load_shader("raster_depth.comp", **constants)
        constants = {"TILES": self._tiles, "NEAR": camera.near, "WRITE_HIT": int(self._shading is not None)}
        vertex = load_shader("raster.vert", **constants, **tangents)
        fragment = load_shader("raster_hit.frag" if self._shading else "nothing.frag")
        program = self.context.program(vertex_shader=vertex, fragment_shader=fragment)
        return self.context.compute_shader(cull), self.context.compute_shader(to_metres), program

    def _make_room(self) -> tuple[moderngl.Buffer, moderngl.VertexArray]:
        """Makes a list of visible chunks with room for all chunks of the largest scene for each view of a pass."""
        most = self._most_chunks = max(1, int(self._scenes.layout.capacity["chunk"].max()))
        room = min(storage_limit(self.context), _MAX_LISTED)
        self._per_pass = max(1, min(self._tiles, room // (8 * most)))
        in_use = min(self._per_pass, self._commands.size // 20)
        visible = self.context.buffer(reserve=8 * in_use * most)
        return visible, self.context.vertex_array(self._program, [(visible, "2u4/i", "chunk")])

    def render(self, count: int) -> None:
        """See `RenderBackend`."""
        if self._scenes.layout.capacity["chunk"].max() > self._most_chunks:
            self._array.release()
            self._visible.release()
            self._visible, self._array = self._make_room()
        for start in range(0, count, self._per_pass):
            self._draw(start, min(self._per_pass, count - start))
        if self._shading:
            self.context.memory_barrier()
            self._shading.run(count)
        self.context.memory_barrier()

    def _draw(self, start: int, count: int) -> None:
        scenes = self._scenes.buffers
        for place, buffer in enumerate((self._views, scenes["table"], scenes["boxes"], self._visible, self._commands)):
            buffer.bind_to_storage_buffer(place)
        self._cull["first_view"] = start
        self._cull["most_chunks"] = self._most_chunks
        self.context.memory_barrier()  # the pass before must have read what this one overwrites
        self._cull.run(count)
        self.context.memory_barrier()
        scenes["triangles"].bind_to_storage_buffer(3)
        self._program["first_view"] = start
        width, height = self.camera.width, self.camera.height
        self._framebuffer.use()
        self.context.viewport = (0, 0, width, self._tiles * height)
        clear_depth(1.0)
        if self._shading:
            clear_unsigned(0)
        self._array.render_indirect(self._commands, moderngl.TRIANGLES, count)
        if self._depth is not None:
            self._write_metres(self._depth, start, count)
        if self._shading:
            viewport, offset = (0, 0, width, count * height), 4 * start * width * height
            self._framebuffer.read_into(
                self._shading.hits, viewport, components=1, alignment=4, dtype="u4", write_offset=offset
            )

    def _write_metres(self, depth: moderngl.Buffer, start: int, count: int) -> None:
        width, pixels = self.camera.width, self.camera.width * self.camera.height
        if self._on_cpu:
            viewport, offset = (0, 0, width, count * self.camera.height), 4 * start * pixels
            self._framebuffer.read_into(
                depth, viewport, components=1, attachment=-1, alignment=4, dtype="f4", write_offset=offset
            )
        else:
            self._depth_texture.use(0)
        depth.bind_to_storage_buffer(4)
        self._to_metres["first_pixel"] = start * pixels
        self._to_metres["pixel_count"] = count * pixels
        groups = -(-count * pixels // 256)
        rows = -(-groups // _MAX_GROUPS)
        self._to_metres.run(-(-groups // rows), rows, 1)

    def release(self) -> None:
        """Releases the backend's own GL objects."""
        # moderngl binds the framebuffer of before again when it makes the next one: that must not be a released one.
        self.context.detect_framebuffer(0).use()
        if self._shading:
            self._shading.release()
        for texture in (self._depth_texture, *self._hit_textures):
            texture.release()
        self._framebuffer.release()
        for program in (self._cull, self._to_metres):
            program.release()
        for buffer in (self._visible, self._commands):
            buffer.release()
        self._array.release()
        self._program.release()


def _is_cpu(context: moderngl.Context) -> bool:
    """Returns whether Mesa's llvmpipe draws."""
    return "llvmpipe" in str(context.info["GL_RENDERER"])
