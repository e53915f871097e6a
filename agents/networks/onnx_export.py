"""Exports a policy as an ONNX file, which runs without torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy

_ROWS = 2  # of the traced example; the exporter would treat a single row as a constant


def export_onnx(policy: Policy, path: Path, environment: Mapping[str, Any] | None = None) -> None:
    """Writes one step of `policy` to `path`, for any number N of environments; needs the extra `onnx`.

    Inputs: the observations that the policy reads, by name; `previous_action` int64 `[N]`; `episode_start` bool `[N]`,
    where set, previous action and state are ignored; `state` float32 `[N, S]`, zeros at first. Outputs: `logits`
    float32 `[N, A]`, `value` `[N]`, `next_state` `[N, S]`. The file's metadata hold two JSON objects: the policy's
    config under `policy`, and the options of `NavVectorEnv` that it was trained with under `environment`.

    Args:
        policy: The policy.
        path: The file to write.
        environment: The environment's options.

    Raises:
        AgentError: If onnx is not installed, or the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401  (used by torch's exporter)
    except ImportError:
        raise AgentError('--export needs the extra "onnx": pip install "batchsim[onnx]"') from None
    plain = Policy(policy.config).eval()
    plain.load_state_dict(policy.state_dict())
    observation = plain.blank_observation(_ROWS)
    inputs = {**observation, **_memory(plain)}
    batch = torch.export.Dim("num_envs", min=1)
    with _quiet():
        program = torch.onnx.export(
            _Step(plain, list(observation)).eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["logits", "value", "next_state"],
            dynamic_shapes=(tuple({0: batch} for _ in inputs),),
            custom_translation_table={torch.ops.aten.lerp.Tensor: _lerp},
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise AgentError(f"{path}: torch could not export this policy.")
    _remove_annotations(program.model)
    metadata = {"policy": asdict(policy.config), "environment": dict(environment or {})}
    program.model.metadata_props.update({name: json.dumps(value) for name, value in metadata.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        program.save(path)
    except OSError as error:
        raise AgentError(f"{path} cannot be written: {error.strerror}.") from None


def _lerp(start: Any, end: Any, weight: Any) -> Any:
    """Translates `torch.lerp` to three operations; torch's own translation takes eight, to round as torch does."""
    from onnxscript import opset18 as onnx

    return onnx.Add(start, onnx.Mul(weight, onnx.Sub(end, start)))


def _remove_annotations(model: Any) -> None:
    """Removes the names of modules, stack traces and folders of this machine, which are most of a small file."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
    for value in model.graph.initializers.values():
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph:
        for value in node.outputs:
            value.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's warnings of missing optional packages and unused names."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


class _Step(nn.Module):
    """`Policy.step` with its observations as separate inputs."""

    def __init__(self, policy: Policy, names: list[str]) -> None:
        super().__init__()
        self.policy, self._names = policy, names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count = len(self._names)
        return self.policy.step(dict(zip(self._names, inputs[:count], strict=True)), *inputs[count:])


def _memory(policy: Policy) -> dict[str, Tensor]:
    return {
        "previous_action": policy.blank_action(_ROWS),
        "episode_start": torch.ones(_ROWS, dtype=torch.bool),
        "state": policy.initial_state(_ROWS),
    }
