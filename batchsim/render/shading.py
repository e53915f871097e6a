"""Second half of both backends: computes labels and colours from the triangles that pixels see.

What a pixel needs of its triangle is computed beforehand (`gpu_arrays`). Measured on llvmpipe, 64x64 pixels of
generated homes, processor time per view: 260 us from corners, materials and exact sRGB; 130 us from such records in a
storage buffer and fitted sRGB; 96 us from records in an image, whose texels are cheaper to read.

What did not help: records in a texture instead of an image (slower than the buffer), reading them only where the
triangle changes (equal), other sizes of work groups (equal), 8 or 16 pixels per thread (loops cost half as much again).
Nor did computing without the two branches (4 to 6% slower), leaving out the wrapping of coordinates (equal), or a
cheaper end of the encoding (2%). llvmpipe computes both sides of every branch: pixels without a texture, or of nothing
at all, cost as much as others.

Texturing is most of the rest: in four rooms 41 us per view for the mean of two mip levels, 24 us for one of the two,
chosen pixel by pixel (`nearby_level`), which all devices do so that images are the same. It adds some grain to minified
textures: images of homes differ from blended ones by 0.3 to 0.6 of 255 on average, of four rooms' bricks by 1.8; from
frame to frame of a slow walk they change by 1 to 3% more, 8% there. The sampler has to stay one of two levels, of
which llvmpipe then skips the second: GL_LINEAR_MIPMAP_NEAREST gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import moderngl

from batchsim.render.camera import AnyCamera, Camera
from batchsim.render.opengl.storage_buffers import empty_storage_buffer
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.render.scene_data.triangle_records import ROW
from batchsim.render.shaders import load_shader

SENSORS = ("rgb", "semantic", "instance")
"""The sensors that need shading."""

_MAX_GROUPS = 65535  # work groups along one axis of a dispatch, the least that OpenGL guarantees
_RAYS = 1  # binding of the table of rays
_FEWER_VIEWS = "Use fewer views or smaller images."


class Shading:
    """Fills images of "semantic", "instance" and "rgb" from `hits`.

    Args:
        context, num_views, camera, views, outputs: See `MakeBackend`; `outputs` has at least one of the three sensors.
        scenes: The scenes, prepared with labels or colours.
        rays: The camera's table of rays (`ray_table.RayTable`); None for a pinhole camera.

    Attributes:
        hits: GL buffer, uint32 `[num_views, height, width]`: 1 + the triangle that is seen, counted through all scenes;
            0 = nothing.

    Raises:
        RenderError: A buffer exceeds what the driver allows.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: AnyCamera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
        rays: moderngl.Buffer | None = None,
    ) -> None:
        assert scenes.records is not None, "the scenes were prepared without labels and colours"
        self._scenes = scenes
        self._camera = camera
        self._pixels = camera.width * camera.height
        self._textured = "rgb" in outputs and scenes.textures is not None
        self.hits = empty_storage_buffer(context, "Hits", 4 * num_views * self._pixels, _FEWER_VIEWS)
        self._bindings = {0: views, 5: self.hits}
        places = {"instance": 4, "semantic": 6, "rgb": 7}
        self._bindings |= {place: outputs[name] for name, place in places.items() if name in outputs}
        linear = {}
        if isinstance(camera, Camera) and rays is None:
            linear["TAN_HALF_WIDTH"] = float(camera.tan_half_width)
        if rays is not None:
            self._bindings[_RAYS] = rays
        self._program = context.compute_shader(
            load_shader(
                "shade.comp",
                WIDTH=camera.width,
                HEIGHT=camera.height,
                ROW=ROW,
                RECORD=scenes.records.texels,
                RAY_TABLE=0 if rays is None else _RAYS,
                **linear,
                WRITE_SEMANTIC=int("semantic" in outputs),
                WRITE_INSTANCE=int("instance" in outputs),
                WRITE_RGB=int("rgb" in outputs),
                TEXTURED=int(self._textured),
            )
        )

    def run(self, count: int) -> None:
        """Fills the first `count` images; a memory barrier must stand between the writing of `hits` and this."""
        if not count:
            return
        for place, buffer in self._bindings.items():
            buffer.bind_to_storage_buffer(place)
        records, textures = self._scenes.records, self._scenes.textures
        assert records is not None
        records.image.bind_to_image(0, read=True, write=False)
        if self._textured and textures is not None:
            textures.array.use(0)
            self._program["texel_scale"] = self._texel_scale(textures.side)
        self._program["pixel_count"] = count * self._pixels
        groups = -(-count * self._pixels // 256)
        rows = -(-groups // _MAX_GROUPS)
        self._program.run(-(-groups // rows), rows, 1)

    def _texel_scale(self, side: int) -> float:
        """Returns log2 of the texels that a pixel spans at distance 1 if the texture repeats once per metre.

        With a table of rays, of a pixel that covers one radian: the table has the sizes of all pixels.
        """
        if _RAYS in self._bindings or not isinstance(self._camera, Camera):
            return math.log2(side)
        return math.log2(side * 2 * self._camera.tan_half_width / self._camera.width)

    def release(self) -> None:
        """Releases the GL objects of this object, `hits` included."""
        for resource in (self._program, self.hits):
            resource.release()
