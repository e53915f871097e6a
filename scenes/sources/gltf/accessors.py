"""Accessors to numpy arrays: strides, normalised integers, sparse elements and compressed buffer views."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.gltf.compression import decompress_view
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.header import Accessor
from batchsim.scenes.sources.surfaces.surface import check_count

COMPONENT_TYPES: dict[int, np.dtype] = {
    5120: np.dtype(np.int8),
    5121: np.dtype(np.uint8),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Accessors:
    """Reads the accessors of a glTF file; a buffer view is decompressed once."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._path = container.path
        self._views: dict[int, np.ndarray] = {}

    def floats(self, index: int, normalize: bool = False) -> np.ndarray:
        """Returns an accessor as float32 `[count, components]`.

        Args:
            index: The accessor.
            normalize: Divide integers by their largest value even if the accessor does not say that they are
                normalised: colours and texture coordinates have no other meaning.
        """
        accessor = self._container.header.accessors[index]
        return normalized(self._elements(index), accessor.normalized or normalize)

    def integers(self, index: int) -> np.ndarray:
        """Returns an accessor of integers, as indices are, as int64 `[count]`."""
        elements = self._elements(index)
        if elements.dtype.kind not in "ui" or elements.shape[1] != 1:
            raise SceneError(f"{self._path}: damaged: accessor {index} holds indices, but is not of single integers.")
        return elements[:, 0].astype(np.int64)

    def restart_index(self, index: int) -> int:
        """Returns the index that starts a new strip or fan: the largest of the accessor's type."""
        return int(np.iinfo(_layout(self._path, self._container.header.accessors[index])[0]).max)

    def _elements(self, index: int) -> np.ndarray:
        accessor = self._container.header.accessors[index]
        dtype, components = _layout(self._path, accessor)
        if accessor.bufferView is None:
            check_count(self._path, accessor.count // 3)
            elements = np.zeros((accessor.count, components), dtype)
        else:
            stride = self._container.header.bufferViews[accessor.bufferView].byteStride
            data = self._view(accessor.bufferView)
            elements = self._strided(data, accessor.byteOffset, accessor.count, components, dtype, stride)
        if accessor.sparse is not None:
            elements = self._with_sparse(elements, accessor)
        return elements

    def _with_sparse(self, elements: np.ndarray, accessor: Accessor) -> np.ndarray:
        sparse = accessor.sparse
        assert sparse is not None
        index_type = COMPONENT_TYPES.get(sparse.indices.componentType)
        if index_type is None or index_type.kind != "u":
            raise SceneError(f"{self._path}: damaged: a sparse accessor's indices are not unsigned integers.")
        places = self._strided(
            self._view(sparse.indices.bufferView), sparse.indices.byteOffset, sparse.count, 1, index_type
        )[:, 0]
        values = self._strided(
            self._view(sparse.values.bufferView),
            sparse.values.byteOffset,
            sparse.count,
            elements.shape[1],
            elements.dtype,
        )
        if len(places) and int(places.max()) >= len(elements):
            raise SceneError(f"{self._path}: damaged: a sparse accessor replaces elements that it does not have.")
        elements = elements.copy()
        elements[places] = values
        return elements

    def _view(self, index: int) -> np.ndarray:
        if index not in self._views:
            self._views[index] = decompress_view(self._container, index)
        return self._views[index]

    def _strided(
        self, data: np.ndarray, offset: int, count: int, components: int, dtype: np.dtype, stride: int | None = None
    ) -> np.ndarray:
        """Elements `[count, components]` of `dtype` in the bytes `data`, `stride` bytes apart, without a copy."""
        width = components * dtype.itemsize
        stride = stride or width
        if count and offset + stride * (count - 1) + width > len(data):
            raise SceneError(
                f"{self._path}: its header claims {count:,} elements with bytes for fewer. Export or copy it again."
            )
        if not count:
            return np.zeros((0, components), dtype)
        raw = np.ascontiguousarray(data[offset : offset + stride * (count - 1) + width])
        return np.ndarray((count, components), dtype, raw, strides=(stride, dtype.itemsize))


def normalized(elements: np.ndarray, is_normalized: bool) -> np.ndarray:
    """Converts elements of any component type to float32; normalised signed integers lie in [-1, 1]."""
    values = elements.astype(np.float32)
    if elements.dtype.kind == "f" or not is_normalized:
        return values
    values /= np.iinfo(elements.dtype).max
    return np.maximum(values, -1.0) if elements.dtype.kind == "i" else values


def _layout(path: object, accessor: Accessor) -> tuple[np.dtype, int]:
    if accessor.componentType not in COMPONENT_TYPES or accessor.type not in COMPONENTS:
        raise SceneError(
            f"{path}: its glTF header is damaged: an accessor of type {accessor.type!r} and component type "
            f"{accessor.componentType}."
        )
    return COMPONENT_TYPES[accessor.componentType], COMPONENTS[accessor.type]
