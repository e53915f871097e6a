"""A policy in an ONNX file, computed by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.scenes.user_files import reading

if TYPE_CHECKING:
    import onnxruntime

INT8_FILE = "policy.int8.onnx"
"""The file in a run folder that is evaluated instead of the checkpoint's weights."""
_OUTPUTS = ["logits", "value", "next_state"]


class OnnxPolicy:
    """Acts as the ONNX file `path` says, with the methods of `Policy` that `PolicyAgent` calls.

    Args:
        path: A file as `export_onnx` writes it.
        twin: The policy of which it is an export: it has the same inputs and the same state.
        device: Where observations are, and where results are wanted.

    Raises:
        AgentError: If ONNX Runtime is not installed, or the file is no export of such a policy.
    """

    def __init__(self, path: Path, twin: Policy, device: torch.device | str = "cpu") -> None:
        self.config: PolicyConfig = twin.config
        self._device = torch.device(device)
        self._state_size = twin.initial_state(0).shape[1]
        self._blank = {name: value.cpu() for name, value in twin.blank_observation(1).items()}
        self._action = twin.blank_action(1).cpu()
        self._session = open_session(path)
        expected = {*self._blank, "previous_action", "episode_start", "state"}
        found = {entry.name for entry in self._session.get_inputs()}
        outputs = [entry.name for entry in self._session.get_outputs()]
        if found != expected or outputs != _OUTPUTS:
            raise AgentError(f"{path} has the inputs {sorted(found)}; the run's policy has {sorted(expected)}.")
        with reading(path, "an export of the run's policy", AgentError):
            logits, _, state = self.step(
                self.blank_observation(2),
                self.blank_action(2),
                torch.ones(2, dtype=torch.bool, device=self._device),
                self.initial_state(2),
            )
            if logits.shape[1] != self.config.num_actions * (1 + self.config.continuous) or not logits.isfinite().all():
                raise ValueError(f"its logits are {tuple(logits.shape)}")
            if state.shape != (2, self._state_size):
                raise ValueError(f"its state is {tuple(state.shape)}")

    def blank_observation(self, *shape: int) -> dict[str, Tensor]:
        """See `Policy`."""
        return {
            name: torch.zeros(*shape, *value.shape[1:], dtype=value.dtype, device=self._device)
            for name, value in self._blank.items()
        }

    def blank_action(self, *shape: int) -> Tensor:
        """See `Policy`."""
        return torch.zeros(*shape, *self._action.shape[1:], dtype=self._action.dtype, device=self._device)

    def initial_state(self, num_envs: int) -> Tensor:
        """See `Policy`."""
        return torch.zeros(num_envs, self._state_size, device=self._device)

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Policy`."""
        inputs = {name: observation[name].to(value.dtype) for name, value in self._blank.items()}
        inputs |= {"previous_action": previous_action, "episode_start": episode_start, "state": state}
        feed = {name: value.cpu().numpy() for name, value in inputs.items()}
        logits, value, following = (torch.from_numpy(part) for part in self._session.run(_OUTPUTS, feed))
        return logits.to(self._device), value.to(self._device), following.to(self._device)


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Returns the ONNX file `path`, ready to run on the CPU with so many threads (0: all cores).

    Raises:
        AgentError: If ONNX Runtime is not installed, or the file cannot be read.
    """
    runtime = require_onnxruntime(str(path))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    with reading(path, "an ONNX file", AgentError):
        if not path.is_file():
            raise FileNotFoundError(2, "missing", str(path))
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def require_onnxruntime(what: str) -> Any:
    """Returns the module `onnxruntime`; raises `AgentError` that says that `what` needs the extra."""
    try:
        import onnxruntime
    except ImportError:
        raise AgentError(f'{what} needs the extra "onnx": pip install "batchsim[onnx]"') from None
    return onnxruntime
