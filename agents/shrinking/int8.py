"""Static quantisation to int8 with ONNX Runtime, calibrated on a policy's own observations."""

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
from batchsim.agents.shrinking.packing import pack
from batchsim.agents.shrinking.walks import WalkStep
from batchsim.scenes.atomic_files import atomic_write
from batchsim.scenes.errors import first_line

# Matrix products and convolutions, and what moves or clips their inputs and outputs, which then are bytes as well.
_OPERATIONS = ["MatMul", "Gemm", "Conv", "Relu", "Reshape", "Transpose"]


def quantise(source: Path, target: Path, steps: Sequence[WalkStep]) -> None:
    """Writes the float ONNX file `source` as int8 to `target`.

    Weights are int8, symmetric around zero; activations are uint8, with ranges that cover what they were in `steps`.

    Raises:
        AgentError: If ONNX Runtime cannot quantise this network.
    """
    import onnx

    require_onnxruntime("--int8")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    metadata = list(onnx.load(source).metadata_props)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            quantize_static(
                str(source),
                f"{folder}/int8.onnx",
                _reader(steps),
                quant_format=QuantFormat.QOperator,
                op_types_to_quantize=_OPERATIONS,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )
        except (RuntimeError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise AgentError(f"--int8: ONNX Runtime cannot quantise this network: {first_line(error)}") from error
        model = onnx.load(f"{folder}/int8.onnx")
    del model.metadata_props[:]
    model.metadata_props.extend(metadata)
    write_packed(model, target)


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
