"""Looks at a 3D file before it is read: which files belong to it, and whether its header can be true.

A damaged or hostile header may claim any size; what it claims is held against the bytes that are there, so that the
importer neither runs out of memory nor answers with a puzzle.
"""

from __future__ import annotations

import json
import re
import struct
import warnings
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from batchsim.scenes.errors import SceneError

MAX_TRIANGLES = 20_000_000
_MAX_HEADER_BYTES = 256 << 20
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_PLY_BYTES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "int32", "uint32", "float", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}
_UNREADABLE_GEOMETRY = ("EXT_meshopt_compression", "KHR_mesh_quantization")
_UNREADABLE_LOOKS = ("KHR_texture_basisu", "KHR_texture_transform")


def files_of(path: Path) -> list[Path]:
    """`path` and the files it refers to (buffers, images, material libraries) as far as they exist.

    Raises `SceneError` if it refers to a file outside its own folder.
    """
    kind = path.suffix.lower()
    if kind == ".gltf":
        return [path, *_beside(path, _gltf_uris(path, gltf_header(path)))]
    if kind != ".obj":
        return [path]
    libraries = _beside(path, _statements(path, b"mtllib"))
    images = [name for library in libraries for name in _statements(library, b"map_kd")]
    return [path, *libraries, *_beside(path, images)]


def check_file(path: Path) -> None:
    """Raise `SceneError` if `path` is missing, empty, truncated, or claims more than it can hold."""
    if not path.is_file():
        raise SceneError(f"{path}: no such file.")
    if not path.stat().st_size:
        raise SceneError(f"{path}: the file is empty.")
    files_of(path)
    if path.suffix.lower() in (".glb", ".gltf"):
        _check_gltf(path, gltf_header(path))
    elif path.suffix.lower() == ".ply":
        _check_ply(path)


def gltf_header(path: Path) -> dict:
    """The JSON part of a .glb or .gltf file; `SceneError` if there is none."""
    data = _glb_json(path) if path.suffix.lower() == ".glb" else path.read_bytes()
    try:
        header = json.loads(data)
    except ValueError as error:
        raise SceneError(f"{path}: its JSON part is damaged ({error}). Export or copy the file again.") from None
    if not isinstance(header, dict) or "asset" not in header:
        raise SceneError(f"{path}: not a glTF file (its JSON has no 'asset').")
    return header


def _glb_json(path: Path) -> bytes:
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise SceneError(f"{path}: not a .glb file (it does not start with 'glTF' and a header).")
        version, length, json_length, kind = struct.unpack("<4xIIII", head)
        if version != 2:
            raise SceneError(f"{path}: glTF version {version}; only version 2 can be read.")
        if length > size:
            raise SceneError(
                f"{path}: truncated: its header says {length:,} bytes, there are {size:,}. Copy the file again."
            )
        if kind != 0x4E4F534A or json_length > min(size - 20, _MAX_HEADER_BYTES):
            raise SceneError(f"{path}: damaged: the first part of a .glb must be its JSON, and within the file.")
        return file.read(json_length)


def _check_gltf(path: Path, header: dict) -> None:
    _check_extensions(path, header)
    try:
        _check_sizes(path, header)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise SceneError(f"{path}: its glTF header is damaged ({error!r}).") from error


def _check_extensions(path: Path, header: dict) -> None:
    used = set(header.get("extensionsUsed", [])) | set(header.get("extensionsRequired", []))
    for name in _UNREADABLE_GEOMETRY:
        if name in used:
            raise SceneError(f"{path}: uses the glTF extension {name}, which cannot be read; export it without.")
    if "KHR_draco_mesh_compression" in used and find_spec("DracoPy") is None:
        raise SceneError(
            f"{path}: is compressed with Draco, for which DracoPy is needed: pip install 'batchsim[draco]'."
        )
    for name in sorted(used.intersection(_UNREADABLE_LOOKS)):
        warnings.warn(f"{path}: the glTF extension {name} is not supported; textures will be off.", stacklevel=4)


def _check_sizes(path: Path, header: dict) -> None:
    buffers = [buffer["byteLength"] for buffer in header.get("buffers", [])]
    if sum(buffers) > sum(file.stat().st_size for file in files_of(path)):
        raise SceneError(f"{path}: its header speaks of {sum(buffers):,} bytes of buffers, which are not there.")
    views = header.get("bufferViews", [])
    for view in views:
        if view.get("byteOffset", 0) + view["byteLength"] > buffers[view["buffer"]]:
            raise SceneError(f"{path}: damaged: a buffer view reaches beyond its buffer.")
    for accessor in header.get("accessors", []):
        count = accessor["count"]
        needed = count * _COMPONENTS[accessor["type"]] * _COMPONENT_BYTES[accessor["componentType"]]
        if "bufferView" in accessor and needed > views[accessor["bufferView"]]["byteLength"]:
            raise SceneError(
                f"{path}: its header claims {count:,} elements with bytes for fewer. Export or copy it again."
            )
        if count > 3 * MAX_TRIANGLES:
            raise SceneError(_too_many(path, count // 3))


def _check_ply(path: Path) -> None:
    with open(path, "rb") as file:
        header = file.read(1 << 16)
    end = header.find(b"end_header")
    if not header.startswith(b"ply") or end < 0:
        raise SceneError(f"{path}: not a PLY file (it does not start with 'ply' and a header).")
    lines = [line.split() for line in header[:end].decode("latin-1").splitlines()]
    binary = any(line[:1] == ["format"] and line[1:2] != ["ascii"] for line in lines)
    needed, count = 0, 0
    for line in lines:
        if line[:1] == ["element"] and len(line) == 3 and line[2].isdecimal():
            count = int(line[2])
            if line[1] == "face" and count > MAX_TRIANGLES:
                raise SceneError(_too_many(path, count))
        elif line[:1] == ["property"] and len(line) >= 3:
            # A list's length is not in the header: at least the three corners of a triangle.
            listed = line[1] == "list"
            size = _PLY_BYTES.get(line[2], 1) + 3 * _PLY_BYTES.get(line[3], 1) if listed else _PLY_BYTES.get(line[1], 1)
            needed += count * (size if binary else 8 if listed else 2)
    available = path.stat().st_size - end
    if needed > available + 8:
        raise SceneError(
            f"{path}: truncated: its header claims at least {needed:,} bytes of data, there are {available:,}."
        )


def _too_many(path: Path, count: int) -> str:
    return f"{path}: has {count:,} triangles or more; at most {MAX_TRIANGLES:,} can be used. Decimate it first."


def _gltf_uris(path: Path, header: dict) -> list[str]:
    try:
        parts = [*header.get("buffers", []), *header.get("images", [])]
        return [unquote(part["uri"]) for part in parts if "uri" in part and not part["uri"].startswith("data:")]
    except (TypeError, AttributeError) as error:
        raise SceneError(f"{path}: its glTF header is damaged ({error!r}).") from error


def _statements(path: Path, keyword: bytes) -> list[str]:
    """What follows `keyword` on the lines of an .obj or .mtl file."""
    pattern = re.compile(rb"^[ \t]*" + keyword + rb"[ \t]+(.+?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
    # An option such as "-s 1 1 1" may stand before the file's name.
    return [name.decode("utf-8", "replace").split("-s ")[-1] for name in pattern.findall(path.read_bytes())]


def _beside(path: Path, names: list[str]) -> list[Path]:
    folder = path.parent.resolve()
    found = []
    for name in names:
        file = (folder / name.replace("\\", "/")).resolve()
        if not file.is_relative_to(folder):
            raise SceneError(f"{path}: refers to {name!r}, outside its own folder. Put that file beside it.")
        if file.is_file():
            found.append(file)
    return found
