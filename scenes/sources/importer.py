"""3D files (.glb .gltf .obj .ply) to `Mesh`, read by trimesh."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import NO_TEXTURE, Material, Mesh
from batchsim.scenes.sources.import_checks import MAX_TRIANGLES, check_file

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
MAX_TEXTURE_SIZE = 1024

# Names that programs give when a person gave none.
_SAYS_NOTHING = frozenset(
    (
        *("gltf", "node", "mesh", "geometry", "object", "group", "obj", "root", "rootnode", "world", "scene"),
        *("polygon", "shape", "material", "mat", "default", "defaultmaterial", "none", "cube", "plane", "sphere"),
    )
)
_Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)


@dataclass(frozen=True)
class Imported:
    """A mesh and what its labels mean: the names of `batchsim.scenes.labels.LABELS`, then those the file brought."""

    mesh: Mesh
    label_names: tuple[str, ...]


def import_file(path: str | PathLike[str], up: str = "y", scale: float = 1.0) -> Imported:
    """Read a 3D file.

    - `up`: the file's upward axis, "y" (as glTF prescribes) or "z". `scale`: metres per unit of the file.
    - Nodes are put where their transforms say; instances are repeated.
    - Base colours and textures are kept (textures at most 1024 pixels wide and high); glTF factors are linear, colours
      of .obj and .ply sRGB. Vertex colours are averaged over each triangle.
    - A triangle's label is the name of its node, mesh or material, the first that says something ("Chair.003" is
      "chair"); a name of `LABELS` has the number it has there.

    Raises `SceneError`, naming the file, if it is missing, empty, truncated, of an unknown kind, too large, or has
    corners that are not finite.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in MESH_SUFFIXES:
        raise SceneError(f"{path}: cannot import {kind or 'a file without extension'}; expected {_listed()}.")
    if up not in ("y", "z"):
        raise SceneError(f"{path}: up is {up!r}; expected 'y' or 'z'.")
    check_file(path)
    parts = list(_read(path, kind))
    if not sum(len(part.triangles) for part in parts):
        raise SceneError(f"{path}: holds no triangles.")
    try:
        return _assemble(parts, up, scale)
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None


@dataclass(frozen=True)
class _Part:
    """One node's triangles and their look, before they are merged."""

    triangles: np.ndarray
    uvs: np.ndarray
    label: str
    look: _Look
    tints: np.ndarray | None


@dataclass(frozen=True)
class _Look:
    """A material; `image` is a PIL image."""

    name: str
    base_color: tuple[float, float, float]
    image: object | None


def _read(path: Path, kind: str) -> Iterator[_Part]:
    import trimesh

    options = {"split_objects": True} if kind == ".obj" else {}
    try:
        scene = trimesh.load_scene(path, process=False, **options)
        count = sum(len(getattr(scene.geometry[scene.graph[n][1]], "faces", ())) for n in scene.graph.nodes_geometry)
        if count > MAX_TRIANGLES:
            raise SceneError(f"{path}: has {count:,} triangles; at most {MAX_TRIANGLES:,} can be used. Decimate it.")
        for node in scene.graph.nodes_geometry:
            transform, name = scene.graph[node]
            mesh = scene.geometry[name]
            # Files may hold lines and points too, which have no surface.
            if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
                yield _part(mesh, transform, (node, name), path, linear_colors=kind in (".glb", ".gltf"))
    except SceneError:
        raise
    except Exception as error:
        # trimesh answers a damaged file with any exception there is.
        raise SceneError(
            f"{path}: damaged, cannot be read as {kind[1:]} ({error!r}). Export or copy it again."
        ) from error


def _part(mesh, transform: np.ndarray, names: tuple[str, str], path: Path, linear_colors: bool) -> _Part:
    faces = mesh.faces
    if np.linalg.det(transform[:3, :3]) < 0:
        # A mirrored node would show its back faces.
        faces = faces[:, ::-1]
    corners = mesh.vertices @ transform[:3, :3].T + transform[:3, 3]
    look = _look(mesh.visual, linear_colors)
    uv = getattr(mesh.visual, "uv", None)
    # trimesh counts v upwards.
    uvs = np.zeros((len(faces), 3, 2)) if uv is None else (uv * [1, -1] + [0, 1])[faces]
    label = next(filter(None, (_meaning(name, path, look.name) for name in (*names, look.name))), LABELS[0])
    return _Part(corners[faces], uvs, label, look, _tints(mesh.visual, faces, linear_colors))


def _look(visual, linear_colors: bool) -> _Look:
    material = getattr(visual, "material", None)
    if material is None:
        return _Look("", (1.0, 1.0, 1.0), None)
    name = str(getattr(material, "name", None) or "")
    if linear_colors:
        image, factor = material.baseColorTexture, material.baseColorFactor
        return _Look(name, (1.0, 1.0, 1.0) if factor is None else _triple(factor / 255), image)
    image = getattr(material, "image", None)
    if image is not None or "kd" not in getattr(material, "kwargs", {}):
        # Exporters disagree on whether Kd multiplies the texture, and often write it black; so it does not.
        return _Look(name, (1.0, 1.0, 1.0), image)
    return _Look(name, _triple(srgb_to_linear(material.diffuse / 255)), None)


def _tints(visual, faces: np.ndarray, linear_colors: bool) -> np.ndarray | None:
    """Linear colours float `[T, 3]` by which vertex or face colours multiply the look; None where there are none."""
    if visual.kind == "face":
        colors = visual.face_colors[:, :3] / 255
        return colors if linear_colors else srgb_to_linear(colors)
    colors = visual.vertex_colors if visual.kind == "vertex" else _color_attribute(visual)
    if colors is None:
        return None
    scale = np.iinfo(colors.dtype).max if colors.dtype.kind in "ui" else 1
    colors = np.clip(colors[:, :3] / scale, 0, 1)
    return (colors if linear_colors else srgb_to_linear(colors))[faces].mean(1)


def _color_attribute(visual) -> np.ndarray | None:
    return getattr(visual, "vertex_attributes", {}).get("color") if visual.kind == "texture" else None


def _assemble(parts: list[_Part], up: str, scale: float) -> Imported:
    palette = _Palette()
    materials = [palette.materials_of(part) for part in parts]
    extra = sorted({part.label for part in parts} - set(LABELS))
    label_names = (*LABELS, *extra)
    number = {name: i for i, name in enumerate(label_names)}
    triangles = np.concatenate([part.triangles for part in parts]) * scale
    mesh = Mesh(
        triangles @ _Z_UP_TO_Y_UP.T if up == "z" else triangles,
        np.nan_to_num(np.concatenate([part.uvs for part in parts])),
        np.concatenate(materials),
        np.concatenate([np.full(len(part.triangles), number[part.label]) for part in parts]),
        tuple(palette.table),
        tuple(palette.textures),
    )
    return Imported(mesh, label_names)


class _Palette:
    """Collects materials and textures, each once."""

    def __init__(self) -> None:
        self.table: list[Material] = []
        self.textures: list[np.ndarray] = []
        self._material_number: dict[Material, int] = {}
        self._texture_number: dict[int, int] = {}
        self._images: list[object] = []

    def materials_of(self, part: _Part) -> np.ndarray:
        """Numbers in the table, int `[T]`, for the triangles of `part`."""
        look = part.look
        texture = NO_TEXTURE if look.image is None else self._texture(look.image)
        if part.tints is None:
            return np.full(len(part.triangles), self._number(Material(look.name, look.base_color, texture)))
        # 32 shades of each colour, even to the eye: a scan of any size has some thousand materials.
        shades = np.round(linear_to_srgb(part.tints) * 31).astype(int)
        distinct, which = np.unique(shades, axis=0, return_inverse=True)
        colors = srgb_to_linear(distinct / 31) * look.base_color
        numbers = [self._number(Material(look.name, _triple(color), texture)) for color in colors]
        return np.array(numbers)[which.reshape(-1)]

    def _number(self, material: Material) -> int:
        if material not in self._material_number:
            self._material_number[material] = len(self.table)
            self.table.append(material)
        return self._material_number[material]

    def _texture(self, image) -> int:
        if id(image) not in self._texture_number:
            self._texture_number[id(image)] = len(self.textures)
            self._images.append(image)  # an id is only unique while its object lives
            small = image.convert("RGB")
            small.thumbnail((MAX_TEXTURE_SIZE, MAX_TEXTURE_SIZE))
            self.textures.append(np.array(small))
        return self._texture_number[id(image)]


def srgb_to_linear(value: np.ndarray) -> np.ndarray:
    """Converts sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    value = np.asarray(value, np.float64)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: np.ndarray) -> np.ndarray:
    """The inverse of `srgb_to_linear`."""
    value = np.asarray(value, np.float64)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)


def _meaning(name: str, path: Path, material: str) -> str:
    """What a name says, without case, numbering and file; "" if nothing."""
    if name == path.name or name.removesuffix(path.suffix) == path.stem:
        return ""
    if material and name != material:
        # trimesh names the parts of an .obj "object_material".
        name = name.removesuffix(f"_{material}")
    words = re.sub(r"[\W_]*\d+$", "", re.sub(r"[\W_]*\d+$", "", name)).strip(" ._-").lower()
    return "" if words in _SAYS_NOTHING or not re.search(r"[^\W\d_]", words) else words


def _triple(color: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in color[:3])
    return red, green, blue


def _listed() -> str:
    return ", ".join(MESH_SUFFIXES)
