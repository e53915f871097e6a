"""PLY files to surfaces: vertex and face colours, texture coordinates of vertices and of corners, object ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.ply.header import read_header
from batchsim.scenes.sources.ply.records import Lists, Table, read_records
from batchsim.scenes.sources.ply.replica import object_classes
from batchsim.scenes.sources.surfaces.color import srgb_to_linear, unit_range
from batchsim.scenes.sources.surfaces.images import read_image
from batchsim.scenes.sources.surfaces.polygons import triangulate
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import PLAIN, Look, Surface, Texture, check_count

_INDEX_NAMES = ("vertex_indices", "vertex_index")
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texcoord_u", "texcoord_v"))
_COLOR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_OBJECT_NAMES = ("object_id", "objectid", "instance_id", "segment_id")


@dataclass(frozen=True)
class _Triangles:
    """Vertices of triangles int64 `[T, 3]`, the face of each int64 `[T]`, and the corners' places in the face list."""

    vertices: np.ndarray
    face: np.ndarray
    place: np.ndarray


def read_ply(files: SourceFiles) -> Iterator[Surface]:
    """Yields the surfaces of a PLY file, one for each texture and object.

    Raises:
        SceneError: If the file is damaged, has too many triangles, or holds no mesh.
    """
    path = files.path
    header = read_header(path)
    tables = read_records(path, header)
    vertex = tables.get("vertex", {})
    positions = _columns(vertex, ("x", "y", "z"))
    if positions is None:
        raise SceneError(f"{path}: its vertices have no x, y and z.")
    positions = positions.astype(np.float64)
    face = tables.get("face", {})
    triangles = _triangles(files, face, tables.get("tristrips", {}), positions)
    check_count(path, len(triangles.vertices))
    tints = _tints(vertex, face, triangles)
    uvs = _uvs(vertex, face, triangles)
    looks = _looks(files, header.textures, has_uvs=uvs is not None)
    number = _per_triangle(face, ("texnumber",), triangles)
    objects = _per_triangle(face, _OBJECT_NAMES, triangles)
    if objects is None:
        objects = _of_first_corner(vertex, _OBJECT_NAMES, triangles)
    classes = object_classes(files) if objects is not None else {}
    key = np.stack(
        [np.zeros(len(triangles.face), np.int64) if values is None else values for values in (number, objects)], 1
    )
    distinct, which = np.unique(key, axis=0, return_inverse=True)
    order = np.argsort(which.reshape(-1), kind="stable")
    bounds = np.searchsorted(which.reshape(-1)[order], np.arange(len(distinct) + 1))
    for (texture, owner), start, end in zip(distinct.tolist(), bounds[:-1], bounds[1:], strict=True):
        mine = order[start:end]
        yield Surface(
            positions[triangles.vertices[mine]],
            None if uvs is None else uvs[mine],
            looks[texture] if 0 <= texture < len(looks) else PLAIN,
            (),
            owner if objects is not None else None,
            None if tints is None else tints[mine],
            classes.get(owner, ""),
        )


def ply_files(files: SourceFiles) -> None:
    """Finds the files that a PLY file refers to, without reading them."""
    header = read_header(files.path)
    for name in header.textures:
        if files.search(name, by_name_alone=True) is None:
            files.missing.append(name)
    elements = [element for name in ("face", "vertex") if (element := header.element(name)) is not None]
    if any({entry.name for entry in element.properties} & set(_OBJECT_NAMES) for element in elements):
        object_classes(files)


def _triangles(files: SourceFiles, face: Table, strips: Table, positions: np.ndarray) -> _Triangles:
    name = next((name for name in _INDEX_NAMES if isinstance(face.get(name), Lists)), None)
    found = face[name] if name is not None else None
    if isinstance(found, Lists):
        corners = found.values.astype(np.int64)
        _check_corners(files, corners, len(positions))
        place, owner = triangulate(positions, corners, found.counts)
        return _Triangles(corners[place], owner, place)
    listed = next((values for values in strips.values() if isinstance(values, Lists)), None)
    if listed is None:
        raise SceneError(f"{files.path}: its faces have no vertex_indices.")
    vertices = _from_strips(listed.values.astype(np.int64))
    _check_corners(files, vertices, len(positions))
    return _Triangles(vertices, np.zeros(len(vertices), np.int64), np.zeros_like(vertices))


def _check_corners(files: SourceFiles, corners: np.ndarray, size: int) -> None:
    bad = (corners < 0) | (corners >= size)
    if bad.any():
        raise SceneError(
            f"{files.path}: damaged: a face names vertex {int(corners[bad][0])}; there are {size:,}, counted from 0."
        )


def _from_strips(values: np.ndarray) -> np.ndarray:
    """Triangles of strips that are separated by -1; every second one is turned over."""
    found = []
    for strip in np.split(values, np.flatnonzero(values == -1)):
        strip = strip[strip != -1]
        place = np.arange(max(0, len(strip) - 2))
        odd = place % 2
        found.append(np.stack([strip[place], strip[place + 1 + odd], strip[place + 2 - odd]], 1))
    return np.concatenate(found)


def _tints(vertex: Table, face: Table, triangles: _Triangles) -> np.ndarray | None:
    """Linear colours of triangles, with alpha 1: those of the faces if there are any, else the mean of the vertices."""
    for table, of_faces in ((face, True), (vertex, False)):
        colors = next((found for names in _COLOR_NAMES if (found := _columns(table, names)) is not None), None)
        if colors is not None and len(colors):
            linear = srgb_to_linear(unit_range(colors))
            linear = linear[triangles.face] if of_faces else linear[triangles.vertices].mean(1)
            return np.concatenate([linear, np.ones((len(linear), 1))], 1).astype(np.float32)
    return None


def _uvs(vertex: Table, face: Table, triangles: _Triangles) -> np.ndarray | None:
    """Texture coordinates of the corners, v growing downwards."""
    listed = face.get("texcoord")
    counted = next((face[name] for name in _INDEX_NAMES if name in face), None)
    uvs = None
    if isinstance(listed, Lists) and isinstance(counted, Lists) and (listed.counts == 2 * counted.counts).all():
        uvs = listed.values.reshape(-1, 2).astype(np.float32)[triangles.place]
    else:
        found = next((found for names in _UV_NAMES if (found := _columns(vertex, names)) is not None), None)
        if found is not None:
            uvs = found.astype(np.float32)[triangles.vertices]
    return None if uvs is None else uvs * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)


def _looks(files: SourceFiles, names: Sequence[str], has_uvs: bool) -> list[Look]:
    looks = []
    for name in names if has_uvs else ():
        found = files.find(name, by_name_alone=True)
        looks.append(PLAIN if found is None else Look(texture=Texture(read_image(found))))
    return looks


def _per_triangle(face: Table, names: Sequence[str], triangles: _Triangles) -> np.ndarray | None:
    found = next((values for name in names if isinstance(values := face.get(name), np.ndarray)), None)
    return None if found is None or not len(found) else found.astype(np.int64)[triangles.face]


def _of_first_corner(vertex: Table, names: Sequence[str], triangles: _Triangles) -> np.ndarray | None:
    found = next((values for name in names if isinstance(values := vertex.get(name), np.ndarray)), None)
    return None if found is None or not len(found) else found.astype(np.int64)[triangles.vertices[:, 0]]


def _columns(table: Table, names: Sequence[str]) -> np.ndarray | None:
    found = [table.get(name) for name in names]
    columns = [values for values in found if isinstance(values, np.ndarray)]
    return np.stack(columns, 1) if len(columns) == len(names) else None
