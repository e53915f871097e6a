"""Files of baked scenes: safetensors of packed arrays (nothing executable), with the rest as JSON in the header.

A file may come from anyone. Reading checks the type of every value in the header, and unpacks no more than
`MAX_UNPACKED_BYTES`, or `MAX_RATIO` times the file's size. `scene_checks` checks the arrays.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.baking.packing import differences, from_differences, pack, unpack
from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import Material
from batchsim.scenes.user_files import reading

FORMAT = "batchsim-scene"
FORMAT_VERSION = 4
SCENE_SUFFIX = ".scene"

MAX_HEADER_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 512 << 20
MAX_RATIO = 32
"""Homes unpack to about three times their file's size; a texture of one colour compresses a thousand times."""
BYTES_PER_CELL = 200
"""Memory for each walkable cell that loading takes in addition to the arrays."""

_KIND = "a baked scene"
_DTYPES = ("<f2", "<f4", "<f8", "<i4", "<u4", "<u2", "|u1")
_DISTANCES = ("goal_distances", "objects.category_distances", "objects.goal_distances")

Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


@dataclass(frozen=True)
class SceneHeader:
    """What a scene file holds besides arrays; see `Scene` for the meaning."""

    name: str
    materials: tuple[Material, ...]
    num_textures: Size
    body: AgentBody
    label_names: tuple[str, ...]
    categories: tuple[str, ...]
    offset: tuple[float, float, float]


@dataclass(frozen=True)
class _StoredHeader(SceneHeader):
    """The header as it is stored: `arrays` gives the dtype and the shape of every packed array."""

    arrays: dict[str, tuple[str, tuple[Size, ...]]] = field(default_factory=dict)


def write_scene_file(path: Path, header: SceneHeader, arrays: dict[str, np.ndarray]) -> None:
    """Writes a scene to `path`. Readers see the old file or the whole new one.

    Raises:
        SceneError: If the file cannot be written, or would unpack to more than readers accept.
    """
    arrays = arrays | {name: differences(arrays[name]) for name in _DISTANCES}
    layout = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    metadata = {"format": FORMAT, "version": str(FORMAT_VERSION)}
    # A name may come from a path that is not UTF-8, which JSON cannot hold.
    name = header.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    metadata["scene"] = json.dumps(asdict(header) | {"name": name, "arrays": layout})
    data = save({name: pack(array) for name, array in arrays.items()}, metadata)
    unpacked = sum(array.nbytes for array in arrays.values()) + BYTES_PER_CELL * len(arrays["walkable.heights"])
    _check_unpacked_size(path, unpacked, len(data))
    write_user_file(path, data)


def read_scene_file(path: Path) -> tuple[SceneHeader, dict[str, np.ndarray]]:
    """Reads what `write_scene_file` wrote.

    Raises:
        SceneError: If `path` is missing, damaged, of another kind, or unpacks to too much; the message names it.
    """
    with reading(path, _KIND), safe_open(path, framework="numpy") as file:
        header = _read_header(path, file.metadata() or {})
        _check_unpacked_size(path, _unpacked_size(header), path.stat().st_size)
        arrays = {name: unpack(file.get_tensor(name), *layout) for name, layout in header.arrays.items()}
        return header, arrays | {name: from_differences(arrays[name]) for name in _DISTANCES}


def _read_header(path: Path, metadata: dict[str, str]) -> _StoredHeader:
    if metadata.get("format") != FORMAT:
        raise SceneError(f"{path} is a safetensors file, but not {_KIND} (its header lacks format={FORMAT!r}).")
    if metadata.get("version") != str(FORMAT_VERSION):
        raise SceneError(
            f"{path} has format version {metadata.get('version')}, but this version of batchsim reads "
            f"{FORMAT_VERSION}. Bake it again from its mesh."
        )
    text = metadata["scene"].encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"its header has more than {MAX_HEADER_BYTES:,} bytes")
    header = msgspec.json.decode(text, type=_StoredHeader)
    if unknown := {dtype for dtype, _ in header.arrays.values()} - set(_DTYPES):
        raise ValueError(f"arrays of type {', '.join(sorted(unknown))[:100]}")
    return header


def _unpacked_size(header: _StoredHeader) -> int:
    total = sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in header.arrays.values())
    return total + BYTES_PER_CELL * math.prod(header.arrays["walkable.heights"][1])


def _check_unpacked_size(path: Path, unpacked: int, packed: int) -> None:
    limit = max(MAX_UNPACKED_BYTES, MAX_RATIO * packed)
    if unpacked > limit:
        raise SceneError(
            f"{path} would need {unpacked / 1e6:,.0f} MB of memory for a file of {packed / 1e6:.3g} MB; at most "
            f"{limit / 1e6:,.0f} MB are allowed."
        )
