"""The lines of an OBJ file: corner tables, and faces with what was in force where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from batchsim.scenes.errors import SceneError


@dataclass(frozen=True)
class Section:
    """Faces that follow each other without a change of object, group or material.

    `tables_at` are the lengths of the tables of positions and texture coordinates where each face stands, from which
    negative indices count back.
    """

    object_name: str
    group: str
    material: str
    faces: list[str] = field(default_factory=list)
    tables_at: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Statements:
    """What an OBJ file says.

    `positions` float64 `[V, 3]`; `colors` float64 `[V, 3]`, sRGB, or None; `uvs` float64 `[U, 2]`, v upwards;
    `libraries`: the text after each `mtllib`.
    """

    positions: np.ndarray
    colors: np.ndarray | None
    uvs: np.ndarray
    sections: list[Section]
    libraries: list[str]


def library_lines(text: str) -> list[str]:
    """Returns the text after each `mtllib` of an OBJ file."""
    lines = (line.strip() for line in _joined(text).splitlines() if "mtllib" in line)
    return [line[len("mtllib") :].strip() for line in lines if line.split(maxsplit=1)[:1] == ["mtllib"]]


def parse(text: str, path: object) -> Statements:
    """Reads the text of an OBJ file.

    Raises:
        SceneError: If a number is malformed; the message names `path` and the line.
    """
    positions: list[str] = []
    uvs: list[str] = []
    libraries: list[str] = []
    sections: list[Section] = []
    object_name = group = material = ""
    current: Section | None = None
    for line in _joined(text).splitlines():
        keyword, _, rest = line.lstrip().partition(" ")
        if "\t" in keyword:
            keyword, _, more = keyword.partition("\t")
            rest = f"{more} {rest}"
        if keyword == "v":
            positions.append(rest)
        elif keyword == "vt":
            uvs.append(rest)
        elif keyword in ("f", "fo"):
            if current is None:
                current = Section(object_name, group, material)
                sections.append(current)
            current.faces.append(rest)
            current.tables_at.append((len(positions), len(uvs)))
        elif keyword in ("o", "g", "usemtl"):
            value = rest.strip()
            if keyword == "o":
                object_name, group = value, ""
            elif keyword == "g":
                group = value
            else:
                material = value
            current = None
        elif keyword == "mtllib":
            libraries.append(rest.strip())
    points = _table(positions, (3, 4, 6, 7), "v", path)
    coordinates = _table(uvs, (1, 2, 3), "vt", path)
    if coordinates.shape[1] == 1:
        coordinates = np.concatenate([coordinates, np.zeros_like(coordinates)], 1)
    # Six or seven numbers: a position (with weight) and a colour.
    colors = points[:, -3:] if points.shape[1] > 4 else None
    return Statements(points[:, :3], colors, coordinates[:, :2], sections, libraries)


def _joined(text: str) -> str:
    """The text with lines joined that end in a backslash, and comments removed."""
    if "\\" in text:
        text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    if "#" in text:
        text = "\n".join(
            line.partition(" #")[0] if not line.lstrip().startswith("#") else "" for line in text.splitlines()
        )
    return text


def _table(lines: list[str], lengths: tuple[int, ...], keyword: str, path: object) -> np.ndarray:
    """Numbers float64 `[len(lines), n]`; lines of different lengths are cut to the shortest."""
    if not lines:
        return np.zeros((0, max(lengths[0], 2)))
    width = len(lines[0].split())
    try:
        values = np.array(" ".join(lines).split(), np.float64)
        if width in lengths and len(values) == width * len(lines):
            return values.reshape(-1, width)
        rows = [[float(word) for word in line.split()] for line in lines]
    except ValueError as error:
        raise SceneError(
            f"{path}: damaged: a line {keyword!r} has {str(error).split(':')[-1].strip()}, no number."
        ) from None
    shortest = min(len(row) for row in rows)
    if shortest < lengths[0]:
        raise SceneError(f"{path}: damaged: a line {keyword!r} has {shortest} numbers; expected {lengths[0]} or more.")
    width = max(n for n in lengths if n <= shortest)
    return np.array([row[:width] for row in rows])
