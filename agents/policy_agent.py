"""A trained policy as an `Agent`: it keeps its memory and its last actions between calls."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.networks.policy import Policy


class PolicyAgent:
    """Acts by `policy` in `num_envs` environments; actions are drawn, or the likeliest if `deterministic`."""

    def __init__(self, policy: Policy, num_envs: int, seed: int = 0, deterministic: bool = False) -> None:
        self._policy = policy
        self._state = policy.initial_state(num_envs)
        self._action = torch.zeros(num_envs, dtype=torch.int64, device=self._state.device)
        self._generator = torch.Generator().manual_seed(seed)
        self._deterministic = deterministic

    @torch.no_grad()
    def act(self, observation: dict[str, Tensor], begun: Tensor) -> Tensor:
        """Actions int64 `[N]`; memory is wiped where `begun` (bool `[N]`) is set."""
        begun = begun.to(self._state.device)
        logits, _, self._state = self._policy.step(observation, self._action, begun, self._state)
        if self._deterministic:
            self._action = logits.argmax(-1)
        else:
            # The generator lives on the CPU, so that a seed draws the same everywhere.
            chances = torch.softmax(logits, -1).cpu()
            action = torch.multinomial(chances, 1, generator=self._generator).squeeze(-1)
            self._action = action.to(logits.device)
        return self._action
