"""The JSON of a glTF file as typed structures: wrong types and negative sizes are refused here, in one place."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

Index = Annotated[int, Meta(ge=0, lt=1 << 31)]
Size = Annotated[int, Meta(ge=0, lt=1 << 48)]
Vector = list[float]
Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]
Extensions = dict[str, Any]
T = TypeVar("T", bound=Struct)


class Buffer(Struct):
    """Bytes: those of the .glb itself, of a file, or of a data URI."""

    byteLength: Size
    uri: str | None = None
    extensions: Extensions = {}


class BufferView(Struct):
    """A part of a buffer."""

    buffer: Index
    byteLength: Size
    byteOffset: Size = 0
    byteStride: Annotated[int, Meta(ge=0, le=1 << 16)] | None = None
    extensions: Extensions = {}


class SparseIndices(Struct):
    """Which elements of an accessor are replaced."""

    bufferView: Index
    componentType: int
    byteOffset: Size = 0


class SparseValues(Struct):
    """What they are replaced by."""

    bufferView: Index
    byteOffset: Size = 0


class Sparse(Struct):
    """Elements that differ from an accessor's buffer view, or from zero."""

    count: Size
    indices: SparseIndices
    values: SparseValues


class Accessor(Struct):
    """An array: its type, and where its elements are."""

    componentType: int
    count: Size
    type: str
    bufferView: Index | None = None
    byteOffset: Size = 0
    normalized: bool = False
    sparse: Sparse | None = None


class Primitive(Struct):
    """Triangles, or points and lines, of one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: int = 4
    targets: list[dict[str, Index]] = []
    extensions: Extensions = {}


class GltfMesh(Struct):
    """Primitives that nodes place together."""

    primitives: list[Primitive]
    name: str = ""
    weights: Vector = []


class Skin(Struct):
    """Nodes that move the vertices of a mesh, and where they were when the mesh was made."""

    joints: list[Index]
    inverseBindMatrices: Index | None = None


class Node(Struct):
    """A place in the hierarchy."""

    name: str = ""
    mesh: Index | None = None
    skin: Index | None = None
    children: list[Index] = []
    matrix: Annotated[Vector, Meta(min_length=16, max_length=16)] | None = None
    translation: Vec3 | None = None
    rotation: Vec4 | None = None
    scale: Vec3 | None = None
    weights: Vector = []
    extensions: Extensions = {}


class SceneNodes(Struct):
    """The root nodes of a scene."""

    nodes: list[Index] = []


class TextureInfo(Struct):
    """The use of a texture in a material."""

    index: Index
    texCoord: Index = 0
    extensions: Extensions = {}


class MetallicRoughness(Struct):
    """The part of glTF's standard material that decides the colour."""

    baseColorFactor: Vec4 = (1.0, 1.0, 1.0, 1.0)
    baseColorTexture: TextureInfo | None = None


class SpecularGlossiness(Struct):
    """KHR_materials_pbrSpecularGlossiness, as far as it decides the colour."""

    diffuseFactor: Vec4 = (1.0, 1.0, 1.0, 1.0)
    diffuseTexture: TextureInfo | None = None


class EmissiveStrength(Struct):
    """KHR_materials_emissive_strength."""

    emissiveStrength: float = 1.0


class GltfMaterial(Struct):
    """A material."""

    name: str = ""
    pbrMetallicRoughness: MetallicRoughness = msgspec.field(default_factory=MetallicRoughness)
    emissiveFactor: Vec3 = (0.0, 0.0, 0.0)
    emissiveTexture: TextureInfo | None = None
    alphaMode: str = "OPAQUE"
    alphaCutoff: float = 0.5
    extensions: Extensions = {}


class GltfTexture(Struct):
    """An image and how it is sampled."""

    source: Index | None = None
    sampler: Index | None = None
    extensions: Extensions = {}


class Sampler(Struct):
    """How a texture continues outside [0, 1]."""

    wrapS: int = 10497
    wrapT: int = 10497


class GltfImage(Struct):
    """An image: a file, a data URI, or a buffer view."""

    uri: str | None = None
    bufferView: Index | None = None
    name: str = ""


class TextureTransform(Struct):
    """KHR_texture_transform."""

    offset: Vec2 = (0.0, 0.0)
    rotation: float = 0.0
    scale: Vec2 = (1.0, 1.0)
    texCoord: Index | None = None


class TextureSource(Struct):
    """The image of KHR_texture_basisu, EXT_texture_webp and EXT_texture_avif."""

    source: Index


class DracoPrimitive(Struct):
    """KHR_draco_mesh_compression."""

    bufferView: Index
    attributes: dict[str, int]


class MeshoptView(Struct):
    """EXT_meshopt_compression of a buffer view."""

    buffer: Index
    byteLength: Size
    byteStride: Annotated[int, Meta(ge=1, le=256)]
    count: Size
    mode: str
    byteOffset: Size = 0
    filter: str = "NONE"


class Instancing(Struct):
    """EXT_mesh_gpu_instancing of a node."""

    attributes: dict[str, Index] = {}


class Header(Struct):
    """What a glTF file holds, as far as it is used."""

    asset: dict[str, Any]
    scene: Index | None = None
    scenes: list[SceneNodes] = []
    nodes: list[Node] = []
    meshes: list[GltfMesh] = []
    skins: list[Skin] = []
    materials: list[GltfMaterial] = []
    textures: list[GltfTexture] = []
    samplers: list[Sampler] = []
    images: list[GltfImage] = []
    accessors: list[Accessor] = []
    bufferViews: list[BufferView] = []
    buffers: list[Buffer] = []
    extensionsUsed: list[str] = []
    extensionsRequired: list[str] = []


def extension(extensions: Extensions, name: str, shape: type[T]) -> T | None:
    """Returns the extension `name` as `shape`, or None if it is not there."""
    return msgspec.convert(extensions[name], shape) if name in extensions else None
