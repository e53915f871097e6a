"""The second half of both backends: the triangles that pixels see become labels and colours.

What a pixel needs of its triangle is worked out beforehand (`prepared_scene`). Measured on llvmpipe, 64x64 pixels of
generated homes, processor time a view: 260 us from corners, materials and exact sRGB; 130 with such records in a
storage buffer and fitted sRGB; 96 with the records in an image, whose texels cost less to look up.

What did not help: records in a texture instead of an image (slower than the buffer), reading them again only where the
triangle changes (equal), other sizes of work groups (equal), 8 or 16 pixels a thread (loops cost half as much again).
llvmpipe computes both sides of every branch: pixels without a texture, or of nothing at all, cost as much as others.

Of what is left the texture is most: in four rooms 41 us a view as a mean of two mip levels, 24 as one of the two in
turns (`nearby_level`), which all devices do so that images are the same. That leaves some grain where a texture is
smaller than life: images of homes differ from blended ones by 0.3 to 0.6 of 255 in the mean, of four rooms' bricks by
1.8; from frame to frame of a slow walk they change by 1 to 3% more, 8% there. The sampler's state has to stay one of
two levels, of which llvmpipe then skips the second: with GL_LINEAR_MIPMAP_NEAREST nothing is gained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import moderngl

from batchsim.render.camera import Camera
from batchsim.render.opengl.storage_buffers import empty_storage_buffer
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.render.scene_data.triangle_records import ROW
from batchsim.render.shaders import load_shader

SENSORS = ("rgb", "semantic")
"""What this draws."""

_MAX_GROUPS = 65535  # work groups along one axis of a dispatch, the least that OpenGL promises
_FEWER_VIEWS = "Ask for fewer views or smaller images."


class Shading:
    """Fills images of "semantic" and "rgb" from `hits`.

    - `views`: a buffer of `num_views` records: vec4 (position, scene), vec4 quaternion x y z w.
    - `outputs`: buffers for "semantic" int32 and "rgb" uint8 times 3, at least one of the two. The size of "rgb" must
      be rounded up to 12 bytes.
    - `hits`: a buffer of this object, uint32 `[num_views, height, width]`: 1 + the triangle that is seen, counted
      through all scenes laid end to end, 0 = nothing.

    - `scenes`: their records and textures.

    Raises `RenderError` where a buffer exceeds what the driver allows.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: Camera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
    ) -> None:
        self._scenes = scenes
        self._camera = camera
        self._pixels = camera.width * camera.height
        self._textured = "rgb" in outputs and scenes.textures is not None
        self.hits = empty_storage_buffer(context, "Hits", 4 * num_views * self._pixels, _FEWER_VIEWS)
        self._bindings = {0: views, 5: self.hits}
        self._bindings |= {place: outputs[name] for place, name in ((6, "semantic"), (7, "rgb")) if name in outputs}
        self._program = context.compute_shader(
            load_shader(
                "shade.comp",
                WIDTH=camera.width,
                HEIGHT=camera.height,
                ROW=ROW,
                RECORD=scenes.records.texels,
                TAN_HALF_WIDTH=float(camera.tan_half_width),
                WRITE_SEMANTIC=int("semantic" in outputs),
                WRITE_RGB=int("rgb" in outputs),
                TEXTURED=int(self._textured),
            )
        )

    def run(self, count: int) -> None:
        """Fill the first `count` images; whatever wrote `hits` must have been waited for with a memory barrier."""
        if not count:
            return
        for place, buffer in self._bindings.items():
            buffer.bind_to_storage_buffer(place)
        self._scenes.records.image.bind_to_image(0, read=True, write=False)
        if self._textured:
            self._scenes.textures.array.use(0)
            self._program["texel_scale"] = self._texel_scale()
        self._program["pixel_count"] = count * self._pixels
        groups = -(-count * self._pixels // 256)
        rows = -(-groups // _MAX_GROUPS)
        self._program.run(-(-groups // rows), rows, 1)

    def _texel_scale(self) -> float:
        """log2 of the texels that a pixel spans at distance 1 if the texture repeats once a metre."""
        return math.log2(self._scenes.textures.side * 2 * self._camera.tan_half_width / self._camera.width)

    def release(self) -> None:
        """Give all GL objects back, but for the buffers that were handed in."""
        for resource in (self._program, self.hits):
            resource.release()
