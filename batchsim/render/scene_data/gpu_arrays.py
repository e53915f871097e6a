"""Computes a scene's GPU arrays in numpy. No OpenGL is involved, so any thread may do it.

What a pixel needs of its triangle is computed here, since every value that a shader reads is expensive on llvmpipe: the
triangle's plane, and its texture coordinates as linear functions of the position in the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batchsim.render.scene_data.texels import square_texels, texture_side
from batchsim.scenes import Scene, SceneError
from batchsim.scenes.mesh import NO_TEXTURE, WRAPS, Material
from batchsim.scenes.own_pages import in_own_pages

UNIT_OF = {"nodes": "node", "triangles": "triangle", "records": "triangle", "boxes": "chunk"}
"""The unit of each array's elements; all arrays of a unit have the same length."""

CHUNK = 64
"""Triangles that are culled together."""

NO_LAYER = 0xFFF
"""Layer in the record of a triangle whose material has no texture."""


@dataclass(frozen=True)
class SceneParts:
    """Which arrays are needed.

    Attributes:
        tree: `nodes` and `triangles`, for ray casting.
        chunks: `triangles` and `boxes`, for rasterising.
        labels: `records`, for semantic and instance images.
        instances: The objects' numbers in `records`.
        colours: `records`, for colour images.
    """

    tree: bool = False
    chunks: bool = False
    labels: bool = False
    instances: bool = False
    colours: bool = False

    @property
    def element_bytes(self) -> dict[str, int]:
        """Bytes of one element of each array that is needed."""
        sizes = {"triangles": 48}
        if self.tree:
            sizes["nodes"] = 48
        if self.chunks:
            sizes["boxes"] = 32
        if self.labels or self.colours:
            sizes["records"] = 64 if self.colours else 16
        return sizes


@dataclass(frozen=True, eq=False)
class GpuSceneArrays:
    """The arrays of a scene that go into GPU memory.

    Attributes:
        parts: Which arrays there are.
        arrays: By name. `nodes` uint32 `[M, 12]` (`batchsim.scenes.baking.bvh`); `triangles` float32 `[T, 12]`, three
            corners x y z 0; `boxes` float32 `[C, 8]`, around `CHUNK` triangles each: centre and half extent, each with
            a 0; `records` uint32 `[T, 16]` or, without colours, `[T, 4]`: label and object, 16 bits each; texel bias
            as float bits; material as three numbers of 16 bits, the linear base colour, 12 bits for the texture's
            layer, once uploaded, and 4 for how it wraps; then three linear functions of the position as float bits:
            distance from the triangle's plane, u and v.
        textures: uint8 `[height, width, 3]` each, sRGB.
        texels: The textures as squares, uint8 `[side, side, 4]` each.
        texture_of: int32 `[T]`: index into `textures`, or `NO_TEXTURE`.
        stack_size: Of the tree, see `batchsim.scenes.baking.bvh.BVH`.
    """

    parts: SceneParts
    arrays: dict[str, np.ndarray]
    textures: tuple[np.ndarray, ...]
    texels: tuple[np.ndarray, ...]
    texture_of: np.ndarray
    stack_size: int

    @property
    def counts(self) -> dict[str, int]:
        """Number of elements by unit: "node", "triangle", "chunk"."""
        return {UNIT_OF[name]: len(array) for name, array in self.arrays.items()}


def prepare_scene(scene: Scene, parts: SceneParts, side: int = 1) -> GpuSceneArrays:
    """Computes the arrays of a scene.

    Args:
        scene: The scene.
        parts: Which arrays are needed.
        side: Texels along each side of the textures; more if the largest texture needs more.
    """
    arrays = {"triangles": _pack_triangles(scene)}
    if parts.tree:
        arrays["nodes"] = scene.bvh.nodes
    if parts.chunks:
        arrays["boxes"] = _pack_boxes(scene)
    if parts.labels or parts.colours:
        arrays["records"] = _pack_records(scene, parts.colours, parts.instances)
    textures, texture_of = _used_textures(scene) if parts.colours else ((), np.zeros(0, np.int32))
    side = max(side, texture_side(textures))
    texels = tuple(in_own_pages(square_texels(image, side)) for image in textures)
    arrays = {name: in_own_pages(array) for name, array in arrays.items()}
    return GpuSceneArrays(parts, arrays, textures, texels, texture_of, scene.bvh.stack_size if parts.tree else 0)


def _pack_triangles(scene: Scene) -> np.ndarray:
    packed = np.zeros((len(scene.triangles), 3, 4), np.float32)
    packed[:, :, :3] = scene.triangles
    return packed.reshape(-1, 12)


def _pack_boxes(scene: Scene) -> np.ndarray:
    first = np.arange(0, len(scene.triangles), CHUNK)
    boxes = np.zeros((len(first), 2, 4), np.float32)
    if len(first):
        low = np.minimum.reduceat(scene.triangles.min(1), first)
        high = np.maximum.reduceat(scene.triangles.max(1), first)
        boxes[:, 0, :3], boxes[:, 1, :3] = (low + high) / 2, (high - low) / 2
    return boxes.reshape(-1, 8)


def _pack_records(scene: Scene, colours: bool, instances: bool) -> np.ndarray:
    records = np.zeros((len(scene.triangles), 16 if colours else 4), np.uint32)
    records[:, 0] = _sixteen_bits(scene, "labels", scene.labels)
    if instances:
        records[:, 0] |= _sixteen_bits(scene, "objects", scene.instances) << 16
    if not colours or not len(records):
        return records
    planes = _pack_planes(scene)
    records[:, 1] = _texel_bias(planes).view(np.uint32)
    colors = np.array([material.base_color for material in scene.material_table], np.float32)
    words = np.rint(np.clip(colors, 0, 1) * 0xFFFF).astype(np.uint32)[scene.materials]
    records[:, 2] = words[:, 0] | words[:, 1] << 16
    codes = np.array([_wrap_code(material) for material in scene.material_table], np.uint32)[scene.materials]
    records[:, 3] = words[:, 2] | NO_LAYER << 16 | codes << 28
    records[:, 4:] = planes.astype(np.float32).view(np.uint32).reshape(-1, 12)
    return records


def _sixteen_bits(scene: Scene, what: str, numbers: np.ndarray) -> np.ndarray:
    if numbers.max(initial=0) > 0xFFFF:
        raise SceneError(f"{scene.name}: has {numbers.max():,} {what}; images show at most 65,535.")
    return numbers.astype(np.uint32)


def _wrap_code(material: Material) -> int:
    """Returns how the texture continues outside [0, 1]: two bits for u, two for v; 0 repeat, 1 clamp, 2 mirror."""
    u, v = (WRAPS.index(wrap) for wrap in material.wrap)
    return u | v << 2


def _pack_planes(scene: Scene) -> np.ndarray:
    """Returns the linear functions of the position that belong to each triangle, float64 `[T, 3, 4]`.

    They are the distance from the plane (unit normal and offset), u, and v (gradient along the plane in repeats per
    metre, and value at the origin).
    """
    p, q, r = np.moveaxis(scene.triangles.astype(np.float64), 1, 0)
    side_q, side_r = q - p, r - p
    normal = np.cross(side_q, side_r)
    square = (normal**2).sum(1, keepdims=True)
    square[square == 0] = np.inf  # no area: hit by rounding errors at most
    to_q, to_r = np.cross(side_r, normal) / square, np.cross(normal, side_q) / square
    uv = scene.uvs.astype(np.float64)
    gradients = to_q[:, None] * (uv[:, 1] - uv[:, 0])[..., None] + to_r[:, None] * (uv[:, 2] - uv[:, 0])[..., None]
    packed = np.zeros((len(p), 3, 4))
    packed[:, 0, :3] = normal / np.sqrt(square)
    packed[:, 1:, :3] = gradients
    packed[:, :, 3] = -(packed[:, :, :3] * p[:, None]).sum(-1)
    packed[:, 1:, 3] += uv[:, 0]
    return packed


def _texel_bias(planes: np.ndarray) -> np.ndarray:
    """Returns float32 `[T]`: log2 of the texture's repeats per metre."""
    repeats = np.linalg.norm(np.cross(planes[:, 1, :3], planes[:, 2, :3]), axis=1)
    return np.log2(np.maximum(np.sqrt(repeats), 1e-9)).astype(np.float32)


def _used_textures(scene: Scene) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Returns the textures that are on some triangle, each once, and the index into them of each triangle."""
    of_material = np.array([material.texture for material in scene.material_table], np.int64)
    of_triangle = of_material[scene.materials]
    used, texture_of = np.unique(of_triangle, return_inverse=True)
    texture_of = texture_of.reshape(-1).astype(np.int32)
    if len(used) and used[0] == NO_TEXTURE:
        used, texture_of = used[1:], texture_of - 1
    return tuple(scene.textures[number] for number in used), texture_of
