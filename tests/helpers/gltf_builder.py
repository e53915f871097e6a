"""Writes small glTF files byte by byte, each with the one feature that a test asks for."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COMPONENTS = {"b": 5120, "B": 5121, "h": 5122, "H": 5123, "I": 5125, "f": 5126}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
SQUARE = np.array([[-2, 0, 2], [2, 0, 2], [2, 0, -2], [-2, 0, -2]], np.float32)
SQUARE_UVS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
SQUARE_CORNERS = np.array([0, 1, 2, 0, 2, 3], np.uint16)


class GltfBuilder:
    """A glTF file in the making: `header` may be changed freely before `write`."""

    def __init__(self) -> None:
        self.binary = b""
        self.header: dict[str, Any] = {
            "asset": {"version": "2.0"},
            **{name: [] for name in ("bufferViews", "accessors", "meshes", "nodes", "materials", "images", "textures")},
        }

    def view(self, data: bytes, **fields: Any) -> int:
        """Adds a buffer view; returns its number."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)} | fields
        self.header["bufferViews"].append(view)
        self.binary += data
        return len(self.header["bufferViews"]) - 1

    def accessor(self, array: np.ndarray, **fields: Any) -> int:
        """Adds an array `[n]` or `[n, k]`, its rows padded to four bytes; returns the accessor's number."""
        table = array.reshape(len(array), -1)
        width = table.shape[1] * table.itemsize
        stride = width if table.shape[1] == 1 else -(-width // 4) * 4
        rows = np.zeros((len(table), stride), np.uint8)
        rows[:, :width] = np.ascontiguousarray(table).view(np.uint8).reshape(len(table), -1)
        spread = {"byteStride": stride} if stride != width else {}
        kind = {"componentType": COMPONENTS[array.dtype.char], "count": len(array), "type": KINDS[table.shape[1]]}
        self.header["accessors"].append({"bufferView": self.view(rows.tobytes(), **spread)} | kind | fields)
        return len(self.header["accessors"]) - 1

    def image(self, pixels: np.ndarray | Image.Image, kind: str = "png", **options: Any) -> int:
        """Adds an embedded image, and a texture that shows it; returns the texture's number."""
        packed = io.BytesIO()
        (Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels).save(packed, kind, **options)
        self.header["images"].append({"bufferView": self.view(packed.getvalue()), "mimeType": f"image/{kind}"})
        self.header["textures"].append({"source": len(self.header["images"]) - 1})
        return len(self.header["textures"]) - 1

    def material(self, **fields: Any) -> int:
        """Adds a material; returns its number."""
        self.header["materials"].append(fields)
        return len(self.header["materials"]) - 1

    def textured(self, texture: int, info: dict[str, Any] | None = None, **fields: Any) -> int:
        """Adds a material with a base colour texture; returns its number."""
        return self.material(pbrMetallicRoughness={"baseColorTexture": {"index": texture} | (info or {})}, **fields)

    def mesh(self, attributes: dict[str, int], name: str = "floor", **fields: Any) -> int:
        """Adds a mesh of one primitive, and a node that shows it; returns the mesh's number."""
        self.header["meshes"].append({"name": name, "primitives": [{"attributes": attributes} | fields]})
        self.header["nodes"].append({"mesh": len(self.header["meshes"]) - 1})
        return len(self.header["meshes"]) - 1

    def square(self, uvs: np.ndarray | None = None, more: dict[str, int] | None = None, **fields: Any) -> int:
        """Adds a level square of 4 x 4 m around the origin; returns the mesh's number."""
        attributes = {"POSITION": self.accessor(SQUARE)} | (more or {})
        if uvs is not None:
            attributes["TEXCOORD_0"] = self.accessor(uvs.astype(np.float32))
        return self.mesh(attributes, indices=self.accessor(SQUARE_CORNERS), **fields)

    def write(self, path: Path) -> Path:
        """Writes a .glb, or a .gltf with its buffer in a .bin file beside it."""
        header = {name: value for name, value in self.header.items() if value != []}
        header |= {"scene": 0, "scenes": [{"nodes": list(range(len(header["nodes"])))}]} | {
            name: header[name] for name in ("scene", "scenes") if name in header
        }
        header.setdefault("buffers", [{"byteLength": len(self.binary)}])
        if path.suffix == ".gltf":
            header["buffers"][0].setdefault("uri", path.with_suffix(".bin").name)
            path.with_suffix(".bin").write_bytes(self.binary)
            path.write_text(json.dumps(header), "utf-8")
            return path
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
        path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
        return path
