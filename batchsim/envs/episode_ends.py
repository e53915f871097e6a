"""`EpisodeEnds`: which episodes have ended and wait for the next one, in each autoreset mode."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim.simulation.transition import StepResult
from batchsim.world.state import replaced_rows


class EpisodeEnds:
    """How the episodes ended that no other one has followed yet (modes NEXT_STEP and DISABLED).

    Args:
        num_envs: N.
        mode: The autoreset mode.
        device: Where the flags are.
    """

    def __init__(self, num_envs: int, mode: AutoresetMode, device: torch.device) -> None:
        self.mode, self.device = mode, device
        self._terminated = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._truncated = self._terminated.clone()

    def waiting(self, is_asked: bool) -> Tensor | None:
        """Returns the environments that do not act in this step, bool `[N]`; None if there are none for certain.

        Args:
            is_asked: Whether the host may ask if there are any. On a CPU this is free and saves work; on a GPU it
                would wait for the device.
        """
        if self.mode == AutoresetMode.SAME_STEP:
            return None
        waiting = self._terminated | self._truncated
        return None if is_asked and self.mode == AutoresetMode.DISABLED and not waiting.any() else waiting

    def update(self, result: StepResult) -> Tensor:
        """Records the ends of a step. Mode DISABLED repeats the ends of earlier steps in `result`.

        Returns:
            Whether environments acted, instead of starting an episode, bool `[N]`.
        """
        acted = ~(self._terminated | self._truncated)
        if self.mode == AutoresetMode.DISABLED:
            result.terminated |= self._terminated
            result.truncated |= self._truncated
            acted = torch.ones_like(acted)
        if self.mode != AutoresetMode.SAME_STEP:
            self._terminated, self._truncated = result.terminated.clone(), result.truncated.clone()
        return acted

    def clear(self, mask: Tensor | None) -> None:
        """Forgets the ends of the environments in `mask`, bool `[N]`, or of all."""
        kept = torch.zeros_like(self._terminated) if mask is None else ~mask
        self._terminated, self._truncated = self._terminated & kept, self._truncated & kept

    def fork(self, source: Tensor, target: Tensor) -> None:
        """Copies the flags of the environments `source` to `target`, int64 `[M]` both."""
        self._terminated = self._terminated.index_copy(0, target, self._terminated[source])
        self._truncated = self._truncated.index_copy(0, target, self._truncated[source])

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Returns copies of the flags of the environments `index`, int64 `[M]`."""
        return {"terminated": self._terminated[index], "truncated": self._truncated[index]}

    def put_rows(self, tensors: Mapping[str, Tensor], index: Tensor) -> None:
        """Replaces the flags of the environments `index` by the result of `rows`."""
        self._terminated = replaced_rows("terminated", self._terminated, tensors, index)
        self._truncated = replaced_rows("truncated", self._truncated, tensors, index)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of the flags by name."""
        return {"terminated": self._terminated.clone(), "truncated": self._truncated.clone()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the result of `state_dict`."""
        self._terminated = tensors["terminated"].to(self.device, copy=True)
        self._truncated = tensors["truncated"].to(self.device, copy=True)
