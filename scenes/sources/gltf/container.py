"""The bytes of a .gltf or .glb file: its JSON, its buffers and its images, wherever they are."""

from __future__ import annotations

import base64
import binascii
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import msgspec
import numpy as np

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.gltf.header import GltfImage, Header
from batchsim.scenes.sources.surfaces.source_files import SourceFiles

_MAX_JSON_BYTES = 256 << 20
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_FALLBACKS = ("EXT_meshopt_compression", "KHR_meshopt_compression")


class Container:
    """A glTF file that is open for reading.

    Args:
        files: Access to the file and those beside it.

    Raises:
        SceneError: If the file is not glTF, is truncated, or its JSON has a value of a wrong type.
    """

    def __init__(self, files: SourceFiles) -> None:
        self.path = files.path
        self._files = files
        data = np.memmap(self.path, np.uint8, "r")
        is_binary = self.path.suffix.lower() == ".glb" or data[:4].tobytes() == b"glTF"
        self._binary: np.ndarray | None = None
        text: np.ndarray = data
        if is_binary:
            text, self._binary = _split_glb(self.path, data)
        self.header = parse_header(self.path, text)
        self._buffers: dict[int, np.ndarray] = {}

    def buffer(self, index: int) -> np.ndarray:
        """Returns the bytes of a buffer, uint8, at least as many as its header says."""
        if index not in self._buffers:
            self._buffers[index] = self._read_buffer(index)
        return self._buffers[index]

    def has_buffer(self, index: int) -> bool:
        """Whether a buffer has bytes: one for which only compressed data exist has none."""
        buffer = self.header.buffers[index]
        stand_in = any(buffer.extensions.get(name, {}).get("fallback") for name in _FALLBACKS)
        return buffer.uri is not None or (index == 0 and self._binary is not None and not stand_in)

    def view(self, index: int) -> np.ndarray:
        """Returns the bytes of a buffer view as they are stored, uint8."""
        view = self.header.bufferViews[index]
        return self.slice(view.buffer, view.byteOffset, view.byteLength)

    def slice(self, buffer: int, offset: int, length: int) -> np.ndarray:
        """Returns a part of a buffer, uint8; `SceneError` if it reaches beyond the buffer."""
        data = self.buffer(buffer)
        if offset + length > len(data):
            raise SceneError(f"{self.path}: damaged: a buffer view reaches beyond its buffer.")
        return data[offset : offset + length]

    def image(self, index: int) -> tuple[bytes, str] | None:
        """Returns the encoded bytes of an image and its name for messages, or None if its file was not found."""
        image = self.header.images[index]
        name = f"{self.path}: image {image.name or index}"
        if image.bufferView is not None:
            return self.view(image.bufferView).tobytes(), name
        if image.uri is None:
            raise SceneError(f"{name} has neither a file nor data.")
        if image.uri.startswith("data:"):
            return _decode_data_uri(self.path, image.uri), name
        found = self._files.find(file_name(image.uri))
        return None if found is None else (found.read_bytes(), f"{self.path}: image {found}")

    def _read_buffer(self, index: int) -> np.ndarray:
        buffer = self.header.buffers[index]
        if buffer.uri is None:
            if index != 0 or self._binary is None:
                raise SceneError(f"{self.path}: damaged: buffer {index} has no data.")
            data = self._binary
        elif buffer.uri.startswith("data:"):
            data = np.frombuffer(_decode_data_uri(self.path, buffer.uri), np.uint8)
        else:
            name = file_name(buffer.uri)
            found = self._files.search(name)
            if found is None:
                raise SceneError(f"{self.path}: the file {name!r}, which holds its geometry, was not found.")
            data = np.memmap(found, np.uint8, "r") if found.stat().st_size else np.zeros(0, np.uint8)
        if len(data) < buffer.byteLength:
            raise SceneError(
                f"{self.path}: its header claims {buffer.byteLength:,} bytes of buffers, but there are {len(data):,}."
            )
        return data


def parse_header(path: Path, text: np.ndarray) -> Header:
    """Decodes the JSON part of a glTF file."""
    if len(text) > _MAX_JSON_BYTES:
        raise SceneError(f"{path}: its JSON part has {len(text):,} bytes; at most {_MAX_JSON_BYTES:,} can be read.")
    data = text.tobytes().removeprefix(b"\xef\xbb\xbf")
    try:
        try:
            return msgspec.json.decode(data, type=Header)
        except msgspec.ValidationError:
            # JSON of other programs: 4.0 for 4, null for what is not there.
            return msgspec.convert(_plain(msgspec.json.decode(data)), Header)
    except msgspec.ValidationError as error:
        version = _version(data)
        if version.startswith("1"):
            raise SceneError(f"{path}: glTF version {version}; only version 2 can be read. Export it again.") from error
        raise SceneError(f"{path}: not a glTF file, or damaged: {first_line(error)}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SceneError(f"{path}: its JSON part is damaged ({first_line(error)}). Export or copy it again.") from error


def _plain(value: Any) -> Any:
    """JSON without null, and with whole numbers as integers."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53 else value


def _version(data: bytes) -> str:
    """The version that a file of any version states, "" if none."""
    try:
        asset = msgspec.json.decode(data).get("asset", {})
        return str(asset.get("version", ""))
    except (AttributeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def file_name(uri: str) -> str:
    """Returns the file that a URI names, percent encoding undone."""
    return unquote(uri)


def external_files(header: Header) -> tuple[list[str], list[str]]:
    """Returns the names of the files that hold buffers, and of those that hold images."""
    parts: tuple[list, list] = (header.buffers, header.images)
    buffers, images = (
        [file_name(part.uri) for part in found if part.uri is not None and not part.uri.startswith("data:")]
        for found in parts
    )
    return buffers, images


def has_data(image: GltfImage) -> bool:
    """Whether an image names any data at all."""
    return image.uri is not None or image.bufferView is not None


def _split_glb(path: Path, data: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the JSON and the binary chunk of a .glb file."""
    size = len(data)
    if size < 20 or data[:4].tobytes() != b"glTF":
        raise SceneError(f"{path}: not a .glb file (it does not start with 'glTF' and a header).")
    version, length, json_length, kind = struct.unpack("<IIII", data[4:20].tobytes())
    if version != 2:
        raise SceneError(f"{path}: glTF version {version}; only version 2 can be read.")
    if length > size:
        raise SceneError(
            f"{path}: truncated: its header says {length:,} bytes, there are {size:,}. Copy the file again."
        )
    if kind != _JSON_CHUNK or json_length > size - 20:
        raise SceneError(f"{path}: damaged: the first part of a .glb must be its JSON, and within the file.")
    at = 20 + json_length
    while at + 8 <= length:
        chunk_length, kind = struct.unpack("<II", data[at : at + 8].tobytes())
        if at + 8 + chunk_length > size:
            raise SceneError(f"{path}: truncated: a part of it ends beyond the file. Copy the file again.")
        if kind == _BINARY_CHUNK:
            return data[20 : 20 + json_length], data[at + 8 : at + 8 + chunk_length]
        at += 8 + chunk_length
    return data[20 : 20 + json_length], None


def _decode_data_uri(path: Path, uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise SceneError(f"{path}: damaged: a data URI without data.")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(unquote(body) if "%" in body else body)
    except (binascii.Error, ValueError) as error:
        raise SceneError(f"{path}: damaged: a data URI is not base64 ({first_line(error)}).") from error
