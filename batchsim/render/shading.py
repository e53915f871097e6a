"""The second half of both backends: the triangles that pixels see become labels and colours.

What a pixel needs of its triangle is worked out beforehand, for llvmpipe pays dearly for every number a shader looks
up: the plane it lies in, and its texture coordinates as linear functions of the place in the world. Measured there,
64x64 pixels of generated homes, processor time a view: 260 us from corners, materials and exact sRGB; 130 with such
records in a storage buffer and fitted sRGB; 96 with the records in an image, whose texels cost less to look up.

What did not help: records in a texture instead of an image (slower than the buffer), reading them again only where the
triangle changes (equal), other sizes of work groups (equal), bilinear instead of trilinear textures (8%).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import moderngl
import numpy as np

from batchsim.errors import RenderError
from batchsim.render.camera import Camera
from batchsim.render.materials import Materials
from batchsim.render.shaders import load_shader
from batchsim.render.storage import empty_storage_buffer
from scenes import Scene

SENSORS = ("rgb", "semantic")
"""What this draws."""

_MAX_GROUPS = 65535  # work groups along one axis of a dispatch, the least that OpenGL promises
_ROW = 1024  # texels a row of the image of records, a multiple of a record's length
_FEWER_VIEWS = "Ask for fewer views or smaller images."
_NO_LAYER = 0xFFFF


class Shading:
    """Fills images of "semantic" and "rgb" from `hits`.

    - `views`: a buffer of `num_views` records: vec4 (position, scene), vec4 quaternion x y z w.
    - `outputs`: buffers for "semantic" int32 and "rgb" uint8 times 3, at least one of the two. The size of "rgb" must
      be rounded up to 12 bytes.
    - `hits`: a buffer of this object, uint32 `[num_views, height, width]`: 1 + the triangle that is seen, counted
      through all scenes laid end to end, 0 = nothing.

    Raises `RenderError` where a buffer exceeds what the driver allows.
    """

    def __init__(
        self,
        context: moderngl.Context,
        scenes: Sequence[Scene],
        num_views: int,
        camera: Camera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
    ) -> None:
        self._pixels = camera.width * camera.height
        self._materials = Materials(context, scenes) if "rgb" in outputs else None
        self._textures = self._materials.textures if self._materials else None
        self.hits = empty_storage_buffer(context, "Hits", 4 * num_views * self._pixels, _FEWER_VIEWS)
        self._bindings = {0: views, 5: self.hits}
        self._bindings |= {place: outputs[name] for place, name in ((6, "semantic"), (7, "rgb")) if name in outputs}
        records = self._records(scenes, camera)
        self._record_image = _image(context, records.reshape(-1, 4))
        self._program = context.compute_shader(
            load_shader(
                "shade.comp",
                WIDTH=camera.width,
                HEIGHT=camera.height,
                ROW=_ROW,
                RECORD=records.shape[1],
                TAN_HALF_WIDTH=float(camera.tan_half_width),
                WRITE_SEMANTIC=int("semantic" in outputs),
                WRITE_RGB=int("rgb" in outputs),
                TEXTURED=int(self._textures is not None),
            )
        )

    def _records(self, scenes: Sequence[Scene], camera: Camera) -> np.ndarray:
        """uint32 `[T, 4, 4]`, or `[T, 1, 4]` if labels are all that is wanted."""
        surfaces = np.concatenate([_pack_surfaces(scene) for scene in scenes])
        if not self._materials:
            return surfaces[:, None]
        materials = [s.materials + first for s, first in zip(scenes, self._materials.first, strict=True)]
        surfaces[:, 2:] = _pack_materials(self._materials.table)[np.concatenate(materials)]
        planes = np.concatenate([_pack_planes(scene) for scene in scenes])
        side = self._textures.size[0] if self._textures else 1
        scale = side * 2 * camera.tan_half_width / camera.width  # texels a pixel at distance 1 of 1 repeat a metre
        surfaces[:, 1] = _texel_bias(planes, scale).view(np.uint32)
        return np.concatenate([surfaces[:, None], planes.astype(np.float32).view(np.uint32)], 1)

    def run(self, count: int) -> None:
        """Fill the first `count` images; whatever wrote `hits` must have been waited for with a memory barrier."""
        if not count:
            return
        for place, buffer in self._bindings.items():
            buffer.bind_to_storage_buffer(place)
        self._record_image.bind_to_image(0, read=True, write=False)
        if self._textures is not None:
            self._textures.use(0)
        self._program["pixel_count"] = count * self._pixels
        groups = -(-count * self._pixels // 256)
        rows = -(-groups // _MAX_GROUPS)
        self._program.run(-(-groups // rows), rows, 1)

    def release(self) -> None:
        """Give all GL objects back, but for the buffers that were handed in."""
        for resource in (self._program, self._record_image, self.hits):
            resource.release()
        if self._materials is not None:
            self._materials.release()


def _image(context: moderngl.Context, texels: np.ndarray) -> moderngl.Texture:
    """An image of `texels` uint32 `[n, 4]`, laid out in rows of `_ROW`."""
    rows = max(1, -(-len(texels) // _ROW))
    allowed = int(context.info["GL_MAX_TEXTURE_SIZE"])
    if rows > allowed:
        raise RenderError(
            f"The scenes' surfaces need an image of {rows} rows, but {context.info['GL_RENDERER']} allows {allowed}. "
            "Keep fewer or smaller scenes resident."
        )
    padded = np.zeros((rows * _ROW, 4), np.uint32)
    padded[: len(texels)] = texels
    return context.texture((_ROW, rows), 4, padded, dtype="u4")


def _pack_surfaces(scene: Scene) -> np.ndarray:
    """uint32 `[T, 4]`: label; room for the texel bias; room for two words of the material."""
    packed = np.zeros((len(scene.triangles), 4), np.uint32)
    packed[:, 0] = scene.labels.astype(np.uint32)
    return packed


def _pack_materials(table: np.ndarray) -> np.ndarray:
    """uint32 `[M, 2]` from `Materials.table`: red and green, blue and layer, 16 bits each."""
    color = np.rint(np.clip(table[:, :3], 0, 1) * 0xFFFF).astype(np.uint32)
    layer = np.where(table[:, 3] < 0, _NO_LAYER, table[:, 3]).astype(np.uint32)
    return np.stack([color[:, 0] | color[:, 1] << 16, color[:, 2] | layer << 16], 1)


def _pack_planes(scene: Scene) -> np.ndarray:
    """float64 `[T, 3, 4]`: of each triangle the unit normal and the plane's distance from the origin; the gradients of
    u and of v along the plane (repeats a metre) and their values at the origin."""
    p, q, r = np.moveaxis(scene.triangles.astype(np.float64), 1, 0)
    side_q, side_r = q - p, r - p
    normal = np.cross(side_q, side_r)
    square = (normal**2).sum(1, keepdims=True)
    square[square == 0] = np.inf  # no area: never seen, or from rounding along its line
    to_q, to_r = np.cross(side_r, normal) / square, np.cross(normal, side_q) / square
    uv = scene.uvs.astype(np.float64)
    gradients = to_q[:, None] * (uv[:, 1] - uv[:, 0])[..., None] + to_r[:, None] * (uv[:, 2] - uv[:, 0])[..., None]
    packed = np.zeros((len(p), 3, 4))
    packed[:, 0, :3] = normal / np.sqrt(square)
    packed[:, 1:, :3] = gradients
    packed[:, :, 3] = -(packed[:, :, :3] * p[:, None]).sum(-1)
    packed[:, 1:, 3] += uv[:, 0]
    return packed


def _texel_bias(planes: np.ndarray, scale: float) -> np.ndarray:
    """float32 `[T]`: log2 of the texels that a pixel spans where the triangle faces the camera at distance 1."""
    repeats = np.linalg.norm(np.cross(planes[:, 1, :3], planes[:, 2, :3]), axis=1)
    return np.log2(np.maximum(np.sqrt(repeats) * scale, 1e-6)).astype(np.float32)
