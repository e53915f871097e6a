"""Semantic meshes: 3D files in which a colour or a number says to which object each place belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.extensions import check_extensions
from batchsim.scenes.sources.gltf.nodes import placements
from batchsim.scenes.sources.gltf.primitives import Primitives, Triangles
from batchsim.scenes.sources.habitat.descriptors import Descriptor
from batchsim.scenes.sources.ply.header import read_header
from batchsim.scenes.sources.ply.reader import read_ply
from batchsim.scenes.sources.surfaces.color import linear_to_srgb
from batchsim.scenes.sources.surfaces.source_files import SourceFiles

NO_OBJECT = -1
_SPACING = 0.1  # metres between samples of a triangle, about
_MOST_STEPS = 48  # along a side of a triangle
_SEGMENT = "segment_id"
_OBJECTS = ("object_id", "objectid", "instance_id")


@dataclass(frozen=True)
class SemanticMesh:
    """A mesh with samples on its surface that know their object.

    Attributes:
        triangles: float64 `[T, 3, 3]`, in the axes of the file.
        triangle: int64 `[S]`, the triangle that each sample lies on.
        points: float64 `[S, 3]`, the samples.
        objects: int64 `[S]`, the number of the object, `NO_OBJECT` if the file says none.
    """

    triangles: np.ndarray
    triangle: np.ndarray
    points: np.ndarray
    objects: np.ndarray


@dataclass(frozen=True)
class _Part:
    """Triangles with a colour code, 0xRRGGBB, or a number for each sample."""

    triangles: np.ndarray
    triangle: np.ndarray
    points: np.ndarray
    codes: np.ndarray


def read_semantic_mesh(files: SourceFiles, descriptor: Descriptor) -> SemanticMesh | None:
    """Reads a .glb with colours of vertices or textures (HM3D), or a .ply with numbers (Gibson, MP3D, Replica).

    Returns:
        The mesh, or None if it has neither.

    Raises:
        SceneError: If the file is damaged or of another kind.
    """
    kind = files.path.suffix.lower()
    if kind in (".glb", ".gltf"):
        parts = [part for part in _gltf_parts(files) if len(part.points)]
        objects = [_objects_of_colors(part.codes, descriptor) for part in parts]
    elif kind == ".ply":
        parts = list(_ply_parts(files))
        by_segment = _is_by_segment(files.path)
        objects = [_objects_of_numbers(part.codes, descriptor, by_segment) for part in parts]
    else:
        raise SceneError(f"{files.path}: a semantic mesh must be a .glb, .gltf or .ply.")
    if not parts:
        return None
    starts = np.cumsum([0] + [len(part.triangles) for part in parts])
    return SemanticMesh(
        np.concatenate([part.triangles for part in parts]),
        np.concatenate([part.triangle + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.points for part in parts]),
        np.concatenate(objects),
    )


def _objects_of_colors(codes: np.ndarray, descriptor: Descriptor) -> np.ndarray:
    distinct, which = np.unique(codes, return_inverse=True)
    return np.array([descriptor.colors.get(int(code), NO_OBJECT) for code in distinct], np.int64)[which.reshape(-1)]


def _objects_of_numbers(codes: np.ndarray, descriptor: Descriptor, by_segment: bool) -> np.ndarray:
    distinct, which = np.unique(codes, return_inverse=True)
    table = descriptor.segments if by_segment else {number: number for number in descriptor.categories}
    return np.array([table.get(int(code), NO_OBJECT) for code in distinct], np.int64)[which.reshape(-1)]


def _is_by_segment(path: Path) -> bool:
    """Whether a .ply numbers the segments that objects consist of (MP3D), not the objects."""
    elements = [found for name in ("face", "vertex") if (found := read_header(path).element(name)) is not None]
    names = {entry.name for element in elements for entry in element.properties}
    return _SEGMENT in names and not names & set(_OBJECTS)


def _ply_parts(files: SourceFiles) -> Iterator[_Part]:
    for surface in read_ply(files):
        if surface.object_key is None:
            continue
        triangle, weights = _samples(surface.triangles)
        points = np.einsum("sc,scx->sx", weights, surface.triangles[triangle])
        yield _Part(surface.triangles, triangle, points, np.full(len(points), int(str(surface.object_key))))


def _gltf_parts(files: SourceFiles) -> Iterator[_Part]:
    container = Container(files)
    check_extensions(container)
    primitives = Primitives(container, full_size=True)
    for placement in placements(container, primitives.accessors):
        assert placement.node.mesh is not None
        for primitive in container.header.meshes[placement.node.mesh].primitives:
            read = primitives.read(primitive, [])
            if read is None or not len(read.faces):
                continue
            for transform in placement.transforms:
                part = _part(read, transform)
                if part is not None:
                    yield part


def _part(read: Triangles, transform: np.ndarray) -> _Part | None:
    corners = read.positions.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
    triangles = corners[read.faces]
    triangle, weights = _samples(triangles)
    points = np.einsum("sc,scx->sx", weights, triangles[triangle])
    found = read.look.look.texture
    if found is not None and read.uvs is not None:
        texture = found.pixels
        uv = np.einsum("sc,scx->sx", weights, read.uvs[read.faces][triangle].astype(np.float64))
        uv = np.nan_to_num(uv, posinf=0, neginf=0)
        uv -= np.floor(uv)
        height, width = texture.shape[:2]
        row = np.minimum((uv[:, 1] * height).astype(np.int64), height - 1)
        column = np.minimum((uv[:, 0] * width).astype(np.int64), width - 1)
        return _Part(triangles, triangle, points, _code(texture[row, column]))
    if read.colors is not None:
        # A sample has the colour of the nearest corner: mixed colours mean nothing.
        colors = read.colors[read.faces[triangle, weights.argmax(1)]][:, :3]
        return _Part(triangles, triangle, points, _code(np.rint(linear_to_srgb(colors) * 255)))
    return None


def _code(colors: np.ndarray) -> np.ndarray:
    return colors[:, :3].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _samples(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples inside triangles: the triangle of each int64 `[S]`, and its weights of the corners float64 `[S, 3]`."""
    edges = np.linalg.norm(triangles - np.roll(triangles, 1, 1), axis=2).max(1)
    steps = np.clip(np.ceil(np.nan_to_num(edges) / _SPACING), 1, _MOST_STEPS).astype(np.int64)
    owners, weights = [], []
    for count in np.unique(steps):
        mine = np.flatnonzero(steps == count)
        first, second = np.nonzero(np.add.outer(np.arange(count), np.arange(count)) < count)
        a, b = (first + 1 / 3) / count, (second + 1 / 3) / count
        grid = np.stack([1 - a - b, a, b], 1)
        owners.append(np.repeat(mine, len(grid)))
        weights.append(np.tile(grid, (len(mine), 1)))
    if not owners:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    return np.concatenate(owners), np.concatenate(weights)
