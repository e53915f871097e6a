"""Packed files hold the same weights in fewer bytes, and say the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from batchsim.agents.shrinking.packing import pack

SHAPE = (40, 30)


def model_of(weight):
    """y = x W, or for int8 weights their float values."""
    kind = helper.np_dtype_to_tensor_dtype(weight.dtype)
    nodes = [
        helper.make_node("Cast", ["weight"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "cast"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [numpy_helper.from_array(weight, "weight")])
    assert kind in (TensorProto.FLOAT, TensorProto.INT8)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answer(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.eye(SHAPE[0], dtype=np.float32)})[0]


def weights(kind):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=SHAPE).astype(np.float32)
    kept = rng.random(SHAPE) < 0.2
    powers = np.sign(dense) * np.exp2(rng.integers(-7, 1, SHAPE)).astype(np.float32)
    integers = rng.integers(-127, 128, SHAPE).astype(np.int8)
    lonely = np.zeros(SHAPE, np.float32)
    lonely.flat[[3, 900, 1199]] = 1.37, -2.0, 0.1  # gaps wider than a byte counts
    return {
        "dense": dense,
        "sparse": dense * kept,
        "powers": powers,
        "sparse powers": powers * kept,
        "int8": integers,
        "sparse int8": integers * kept.astype(np.int8),
        "lonely": lonely,
        "zeros": np.zeros(SHAPE, np.float32),
    }[kind].astype(np.int8 if "int8" in kind else np.float32)


# Bytes per weight that are left, at most; the operations that restore them take a few hundred in all.
@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("dense", 4),
        ("sparse", 1.1),
        ("powers", 1),
        ("sparse powers", 0.45),
        ("int8", 1),
        ("sparse int8", 0.45),
        ("lonely", 0.02),
        ("zeros", 0.01),
    ],
)
def test_the_same_in_fewer_bytes(kind, share):
    weight = weights(kind)
    model = model_of(weight)
    before = len(model.SerializeToString())
    pack(model)
    onnx.checker.check_model(model)
    assert np.array_equal(answer(model), weight.astype(np.float32))
    size = len(model.SerializeToString())
    assert size <= min(before, share * weight.size + 800)


def test_nothing_is_left_to_compute_at_each_step(tmp_path):
    """ONNX Runtime restores the weights when it loads the file."""
    model = model_of(weights("sparse powers"))
    pack(model)
    assert len(model.graph.node) > 5
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    left = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert [node.op_type for node in left] == ["MatMul"]


def test_small_weights_are_left_alone():
    weight = torch.zeros(4, 5).numpy()
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "weight"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
            [numpy_helper.from_array(weight, "weight")],
        )
    )
    pack(model)
    assert len(model.graph.node) == 1
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["x", "y"]
