"""Compressed geometry: meshopt buffer views and Draco primitives, through optional packages."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.header import DracoPrimitive, MeshoptView, extension
from batchsim.scenes.sources.surfaces.surface import MAX_TRIANGLES

MESHOPT_NAMES = ("EXT_meshopt_compression", "KHR_meshopt_compression")
DRACO_NAME = "KHR_draco_mesh_compression"

_MAX_VIEW_BYTES = 4 << 30


def decompress_view(container: Container, index: int) -> np.ndarray:
    """Returns the bytes of a buffer view, uint8, decompressed if necessary."""
    view = container.header.bufferViews[index]
    packed = next((found for name in MESHOPT_NAMES if (found := extension(view.extensions, name, MeshoptView))), None)
    if packed is None:
        return container.view(index)
    if find_spec("meshopt") is None:
        if container.has_buffer(view.buffer):
            return container.view(index)  # an uncompressed copy is there as well
        raise SceneError(
            f"{container.path}: is compressed with meshopt, for which the package meshopt is needed: "
            "pip install 'batchsim[scans]'. It needs Python 3.11 or newer."
        )
    return _decode_meshopt(container, packed)


def decode_draco(container: Container, packed: DracoPrimitive) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Decodes a Draco primitive.

    Returns:
        The corners of its triangles, int64 `[3 * T]`, and its attributes by name, each `[V, components]`.
    """
    if find_spec("DracoPy") is None:
        raise SceneError(
            f"{container.path}: is compressed with Draco, for which DracoPy is needed: pip install 'batchsim[draco]'."
        )
    import DracoPy

    try:
        decoded = DracoPy.decode(container.view(packed.bufferView).tobytes())
        faces = np.asarray(decoded.faces, np.int64).reshape(-1)
        found = {entry["unique_id"]: np.asarray(entry["data"]) for entry in decoded.attributes}
        attributes = {name: found[number] for name, number in packed.attributes.items()}
    except Exception as error:
        # DracoPy raises exceptions of all kinds for damaged data.
        raise SceneError(f"{container.path}: its Draco data are damaged ({first_line(error)}).") from error
    return faces, {name: data.reshape(len(data), -1) for name, data in attributes.items()}


def _decode_meshopt(container: Container, packed: MeshoptView) -> np.ndarray:
    import meshopt

    if packed.count > 3 * MAX_TRIANGLES or packed.count * packed.byteStride > _MAX_VIEW_BYTES:
        raise SceneError(f"{container.path}: damaged: a compressed buffer view claims {packed.count:,} elements.")
    data = container.slice(packed.buffer, packed.byteOffset, packed.byteLength)
    try:
        decoded = meshopt.decode_gltf_buffer(
            data.tobytes(),
            packed.count,
            packed.byteStride,
            packed.mode,
            None if packed.filter == "NONE" else packed.filter,
        )
    except Exception as error:
        raise SceneError(f"{container.path}: its meshopt data are damaged ({first_line(error)}).") from error
    return np.frombuffer(np.ascontiguousarray(decoded).tobytes(), np.uint8)
