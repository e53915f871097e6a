"""Quantisation to int8: of the weights and of the arithmetic, or of the weights alone, whichever is faster.

On a small network, quantising and restoring activations can take longer than int8 arithmetic saves.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.onnx_policy import require_onnxruntime
from batchsim.agents.shrinking.costs import latencies
from batchsim.agents.shrinking.packing import pack
from batchsim.agents.shrinking.walks import WalkStep
from batchsim.scenes.atomic_files import atomic_write
from batchsim.scenes.errors import first_line

_LEAST, _LARGEST = 256, 127  # elements of a tensor that is worth quantising; the largest int8
# Matrix products and convolutions, and what moves or clips their inputs and outputs, which then are bytes as well.
_OPERATIONS = ["MatMul", "Gemm", "Conv", "Relu", "Reshape", "Transpose"]


def quantise(source: Path, target: Path, steps: Sequence[WalkStep]) -> str:
    """Writes the float ONNX file `source` as int8 to `target`, in the way that takes a step faster.

    Args:
        source: The float file.
        target: The int8 file.
        steps: Inputs of the policy, for calibration and timing.

    Returns:
        "static" or "weights", see `quantise_static` and `quantise_weights`. The file's metadata say it as `int8`.

    Raises:
        AgentError: If ONNX Runtime cannot quantise this network.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {"static": Path(folder) / "static.onnx", "weights": Path(folder) / "weights.onnx"}
        quantise_static(source, files["static"], steps)
        quantise_weights(source, files["weights"])
        times = latencies(files, dict.fromkeys(files, steps))
        fastest = min(times, key=lambda name: times[name])
        atomic_write(target, files[fastest].read_bytes())
    return fastest


def quantise_weights(source: Path, target: Path) -> None:
    """Stores the weights of the float ONNX file `source` in int8 in `target`; ONNX Runtime restores them at loading.

    A step is computed in float32. Each matrix and kernel has one scale, and is symmetric around zero.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST or not values.any():
            continue
        name, scale = tensor.name, np.abs(values).max() / _LARGEST
        integers = np.round(values / scale).astype(np.int8)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(integers, f"{name}/int8"))
        graph.initializer.append(numpy_helper.from_array(np.float32(scale), f"{name}/scale"))
        graph.node.insert(0, helper.make_node("Mul", [f"{name}/wide", f"{name}/scale"], [name]))
        graph.node.insert(0, helper.make_node("Cast", [f"{name}/int8"], [f"{name}/wide"], to=TensorProto.FLOAT))
    _say_how(model, "weights")
    write_packed(model, target)


def quantise_static(source: Path, target: Path, steps: Sequence[WalkStep]) -> None:
    """Quantises the arithmetic of the float ONNX file `source` too, with ONNX Runtime's static quantisation.

    Weights are int8, symmetric around zero; activations are uint8, with ranges that cover what they were in `steps`.

    Raises:
        AgentError: If ONNX Runtime cannot quantise this network.
    """
    import onnx

    require_onnxruntime("--int8")
    from onnxruntime import quantization

    metadata = list(onnx.load(source).metadata_props)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            quantization.quantize_static(
                str(source),
                f"{folder}/int8.onnx",
                _reader(steps),
                quant_format=quantization.QuantFormat.QOperator,
                op_types_to_quantize=_OPERATIONS,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )
        except (RuntimeError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise AgentError(f"--int8: ONNX Runtime cannot quantise this network: {first_line(error)}") from error
        model = onnx.load(f"{folder}/int8.onnx")
    del model.metadata_props[:]
    model.metadata_props.extend(metadata)
    _say_how(model, "static")
    write_packed(model, target)


def _say_how(model: Any, how: str) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = "int8", how


def write_packed(model: Any, path: Path) -> None:
    """Packs an `onnx.ModelProto` and writes it."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    pack(model)
    atomic_write(path, model.SerializeToString())


def _reader(steps: Sequence[WalkStep]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Hands out the inputs of one step after the other."""

        def __init__(self) -> None:
            self._left = iter(steps)

        def get_next(self) -> dict[str, np.ndarray] | None:
            step = next(self._left, None)
            return None if step is None else step.inputs

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences advice to preprocess the model, which torch's exporter has done."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
