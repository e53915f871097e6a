"""Stores the weights of an ONNX model in fewer bytes without changing one of them.

Standard operations restore the weights, so that any runtime reads the file. ONNX Runtime computes them once, when it
loads the file, and a step costs the same as before.

- Weights with many zeros: the values that are not zero, and the gaps between them as bytes (as in Deep Compression; Han
  et al., 2016).
- Powers of two, and other numbers with two bits of mantissa: FLOAT8E5M2, one byte each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

_LEAST = 256  # elements; the operations that restore a smaller tensor would take more bytes than they save
_NODES = 400  # bytes that the operations take, about
_LARGEST_GAP = 255


def pack(model: Any) -> None:
    """Packs the initializers of an `onnx.ModelProto`, and shortens the names within its graph."""
    graph = model.graph
    for tensor in list(graph.initializer):
        packed = _Packed(tensor)
        if packed.is_smaller:
            graph.initializer.remove(tensor)
            graph.initializer.extend(packed.tensors)
            for node in reversed(packed.nodes):
                graph.node.insert(0, node)
    del graph.value_info[:]
    _shorten_names(graph)


class _Packed:
    """An initializer as tensors in fewer bytes, and the nodes that restore it."""

    def __init__(self, tensor: Any) -> None:
        from onnx import TensorProto, numpy_helper

        self.tensors: list[Any] = []
        self.nodes: list[Any] = []
        self.is_smaller = False
        kinds = (TensorProto.FLOAT, TensorProto.INT8)
        if tensor.data_type not in kinds or np.prod(tensor.dims) < _LEAST:
            return
        self._name, self._type = tensor.name, tensor.data_type
        dense = numpy_helper.to_array(tensor)
        gaps, kept = _as_gaps(dense.ravel())
        sparse = len(gaps) + kept.nbytes
        if sparse > len(gaps) and _fits_float8(kept):
            sparse = 2 * len(gaps)
        whole = dense.size if _fits_float8(dense) else dense.nbytes
        if min(sparse, whole) + _NODES >= dense.nbytes:
            return
        self.is_smaller = True
        if sparse < whole:
            self._scatter(gaps, kept, dense.shape)
        else:
            self._values(dense, self._name)

    def _add(self, part: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"{self._name}/{part}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def _values(self, values: np.ndarray, output: str) -> str:
        """Stores `values`, as FLOAT8E5M2 if that is exact; returns the name of the restored tensor."""
        from onnx import TensorProto, helper

        if not _fits_float8(values):
            return self._add("values", values)
        # A FLOAT8E5M2 is the upper byte of a half-precision number.
        upper = (values.astype(np.float16).view(np.uint16) >> 8).astype(np.uint8)
        name = f"{self._name}/float8"
        self.tensors.append(helper.make_tensor(name, TensorProto.FLOAT8E5M2, values.shape, upper.tobytes(), raw=True))
        self.nodes.append(helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT))
        return output

    def _scatter(self, gaps: np.ndarray, kept: np.ndarray, shape: tuple[int, ...]) -> None:
        """Zeros, into which the kept values are written at the sums of the gaps."""
        from onnx import TensorProto, helper

        name = self._name
        size = self._add("size", np.array([np.prod(shape)], np.int64))
        zero = helper.make_tensor("value", self._type, [1], [0])
        places = [f"{name}/{part}" for part in ("zeros", "gaps64", "places", "flat")]
        zeros, wide, place, flat = places
        values = self._values(kept, f"{name}/kept")
        self.nodes += [
            helper.make_node("ConstantOfShape", [size], [zeros], value=zero),
            helper.make_node("Cast", [self._add("gaps", gaps)], [wide], to=TensorProto.INT64),
            helper.make_node("CumSum", [wide, self._add("axis", np.array(0, np.int64))], [place]),
            helper.make_node("ScatterElements", [zeros, place, values], [flat]),
            helper.make_node("Reshape", [flat, self._add("shape", np.array(shape, np.int64))], [name]),
        ]


def _fits_float8(values: np.ndarray) -> bool:
    """Whether all numbers are equal to a FLOAT8E5M2."""
    if values.dtype != np.float32:
        return False
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return bool((half.astype(np.float32) == values).all() and not (half.view(np.uint16) & 0xFF).any())


def _as_gaps(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gaps between kept elements, uint8 `[K]`, whose sums are their places, and their values `[K]`.

    The kept elements are those that are not zero, and zeros where a gap would be larger than a byte holds.
    """
    places = np.flatnonzero(flat)
    before = np.concatenate([[0], places[:-1]]) if len(places) else places
    fillers = [np.arange(a + _LARGEST_GAP, b, _LARGEST_GAP) for a, b in zip(before, places, strict=True)]
    every = np.unique(np.concatenate([places, *fillers]).astype(np.int64))
    return np.diff(every, prepend=0).astype(np.uint8), flat[every]


def _shorten_names(graph: Any) -> None:
    """Gives all tensors within the graph names of a few letters; inputs and outputs keep theirs."""
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    short = _short_names()

    def renamed(old: str) -> str:
        if old not in names:
            names[old] = next(name for name in short if name not in names)
        return names[old]

    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]


def _short_names() -> Iterator[str]:
    for number in count():
        yield f"_{number:x}"
