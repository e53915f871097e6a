"""The header of a PLY file, checked against the size of the file before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.surfaces.surface import check_count

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("int64",), "i8"),
    **dict.fromkeys(("uint64",), "u8"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_MAX_HEADER_BYTES = 1 << 16
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
# Properties that only Gaussian splats have, plain and compressed.
_SPLAT = frozenset(("f_dc_0", "rot_0", "scale_0", "packed_position", "packed_rotation"))


@dataclass(frozen=True)
class Property:
    """A property of an element; a list if `count_type` is not None."""

    name: str
    type: np.dtype
    count_type: np.dtype | None = None


@dataclass(frozen=True)
class Element:
    """A table of a PLY file."""

    name: str
    count: int
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class Header:
    """What a PLY file holds. `order` is the byte order for numpy, "" for text; `size` the bytes of the header."""

    order: str
    elements: tuple[Element, ...]
    textures: tuple[str, ...]
    size: int

    def element(self, name: str) -> Element | None:
        """Returns the element of that name, or None."""
        return next((element for element in self.elements if element.name == name), None)


def read_header(path: Path) -> Header:
    """Reads the header of a PLY file.

    Raises:
        SceneError: If the file is not PLY, is truncated, has too many triangles, or holds no mesh at all: a point cloud
            or a Gaussian splat.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_HEADER_BYTES)
    end = data.find(b"end_header")
    # As the first line ends: a binary file may go on with the byte of a line feed.
    ending = b"\r" if data[3:4] == b"\r" and data[4:5] != b"\n" else b"\n"
    line_end = data.find(ending, end)
    if not data.startswith(b"ply") or end < 0:
        raise SceneError(f"{path}: not a PLY file (it does not start with 'ply' and a header).")
    lines = [line.split() for line in data[:end].decode("utf-8", "replace").replace("\r", "\n").splitlines()]
    header = _parse(path, lines, len(data) if line_end < 0 else line_end + 1)
    _check_size(path, header)
    _check_is_mesh(path, header)
    return header


def _parse(path: Path, lines: list[list[str]], size: int) -> Header:
    order, textures = None, []
    elements: list[Element] = []
    for words in lines:
        keyword = words[0] if words else ""
        if keyword == "format" and len(words) > 1:
            order = _ORDERS.get(words[1])
        elif keyword == "comment" and len(words) > 2 and words[1].lower() == "texturefile":
            textures.append(" ".join(words[2:]))
        elif keyword == "element":
            if len(words) != 3 or not words[2].isdecimal() or len(words[2]) > 15:
                raise SceneError(f"{path}: its header is damaged: {' '.join(words)!r}.")
            elements.append(Element(words[1], int(words[2]), ()))
        elif keyword == "property":
            if not elements:
                raise SceneError(f"{path}: its header is damaged: a property before any element.")
            last = elements[-1]
            elements[-1] = Element(last.name, last.count, (*last.properties, _property(path, words, order or "")))
    if order is None:
        raise SceneError(f"{path}: its header is damaged: no known format.")
    return Header(order, tuple(elements), tuple(textures), size)


def _property(path: Path, words: list[str], order: str) -> Property:
    is_list = words[1:2] == ["list"]
    types = words[2:4] if is_list else words[1:2]
    if len(words) != (5 if is_list else 3) or any(name not in TYPES for name in types):
        raise SceneError(f"{path}: its header is damaged: {' '.join(words)!r}.")
    dtypes = [np.dtype(order + TYPES[name]) for name in types]
    if is_list and dtypes[0].kind == "f":
        raise SceneError(f"{path}: its header is damaged: {' '.join(words)!r} counts in fractions.")
    return Property(words[-1], dtypes[-1], dtypes[0] if is_list else None)


def _check_size(path: Path, header: Header) -> None:
    needed = 0
    for element in header.elements:
        if element.name == "face":
            check_count(path, element.count)
        for entry in element.properties:
            if header.order:
                # A list's length is not in the header: it may be empty.
                size = entry.type.itemsize if entry.count_type is None else entry.count_type.itemsize
            else:
                size = 2  # a digit and a blank
            needed += element.count * size
    available = path.stat().st_size - header.size
    if needed > available + 8:
        raise SceneError(
            f"{path}: truncated: its header claims at least {needed:,} bytes of data, there are {available:,}."
        )


def _check_is_mesh(path: Path, header: Header) -> None:
    names = {entry.name for element in header.elements for entry in element.properties}
    if names & _SPLAT:
        raise SceneError(f"{path}: is a Gaussian splat, which has no surface to walk on. Convert it to a mesh first.")
    faces, strips = header.element("face"), header.element("tristrips")
    if not (faces and faces.count) and not (strips and strips.count):
        raise SceneError(
            f"{path}: is a point cloud: it has no faces, so no triangles. Reconstruct a mesh from it first."
        )
