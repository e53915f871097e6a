"""The faces of an OBJ section to triangles: `f 1/1/1 2/2/2 -1/-1`, of any number of corners."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.obj.statements import Section, Statements
from batchsim.scenes.sources.surfaces.polygons import triangulate

_CORNER = re.compile(r"^(-?\d+)(?:/(-?\d*))?(?:/(-?\d*))?$")


@dataclass(frozen=True)
class Faces:
    """Triangles of a section: indices into the tables, int64 `[T, 3]`; `uvs` is None if any corner has none."""

    positions: np.ndarray
    uvs: np.ndarray | None


def read_faces(section: Section, statements: Statements, path: object) -> Faces:
    """Returns the triangles of a section.

    Raises:
        SceneError: If a face names a corner that does not exist.
    """
    words = [face.split() for face in section.faces]
    counts = np.array([len(corners) for corners in words], np.int64)
    corners = [corner for face in words for corner in face]
    position, uv = _indices(corners, path)
    before = np.repeat(np.array(section.tables_at, np.int64).reshape(-1, 2), counts, axis=0)
    position = _resolved(position, before[:, 0], len(statements.positions), path)
    has_uvs = bool(len(uv)) and bool((uv != 0).all())
    if has_uvs:
        uv = _resolved(uv, before[:, 1], len(statements.uvs), path)
    place, _ = triangulate(statements.positions, position, counts)
    return Faces(position[place], uv[place] if has_uvs else None)


def _indices(corners: Sequence[str], path: object) -> tuple[np.ndarray, np.ndarray]:
    """Indices of positions and texture coordinates as they are written, int64; 0 stands for none."""
    slashes = {corner.count("/") for corner in corners}
    if len(slashes) == 1:
        width = slashes.pop() + 1
        text = " ".join(corners).replace("//", "/0/").replace("/", " ")
        try:
            numbers = np.array(text.split(), np.int64)
        except (ValueError, OverflowError):
            numbers = np.zeros(0, np.int64)
        if len(numbers) == width * len(corners):
            table = numbers.reshape(-1, width)
            return table[:, 0], table[:, 1] if width > 1 else np.zeros(len(table), np.int64)
    found = []
    for corner in corners:
        match = _CORNER.match(corner)
        if match is None or len(corner) > 60:
            raise SceneError(f"{path}: damaged: a face has the corner {corner[:60]!r}.")
        found.append((int(match[1]), int(match[2] or 0)))
    table = np.clip(np.array(found, np.float64).reshape(-1, 2), -(2.0**62), 2.0**62).astype(np.int64)
    return table[:, 0], table[:, 1]


def _resolved(index: np.ndarray, before: np.ndarray, size: int, path: object) -> np.ndarray:
    """Indices from 0: those of the file count from 1, and negative ones back from the line they stand on."""
    index = np.where(index < 0, before + index, index - 1)
    bad = (index < 0) | (index >= size)
    if bad.any():
        raise SceneError(
            f"{path}: damaged: {int(bad.sum())} corners of faces name a vertex that does not exist (there are {size})."
        )
    return index
