"""A trained policy as an `Agent`: it keeps its memory and its last actions between calls."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.agents.baselines.registry import sample_categorical
from batchsim.agents.networks.policy import Policy

# Rows that go through the network together. Matrix products round differently for different numbers of rows, but alike
# for all rows of such a block, so that what the policy does in one environment does not depend on how many there are.
_BLOCK = {"cpu": 32, "cuda": 256}


class PolicyAgent:
    """Acts by `policy` in `num_envs` environments; actions are drawn, or the likeliest if `deterministic`."""

    def __init__(self, policy: Policy, num_envs: int, deterministic: bool = False) -> None:
        self._policy = policy
        self._reads = (*policy.config.images, *policy.config.vectors)
        self._num_envs = num_envs
        device = policy.initial_state(1).device
        self._block = _BLOCK.get(device.type, 32)
        blocks = -(-num_envs // self._block)
        self._states = [policy.initial_state(self._block) for _ in range(blocks)]
        self._actions = [torch.zeros(self._block, dtype=torch.int64, device=device) for _ in range(blocks)]
        self._deterministic = deterministic

    @torch.no_grad()
    def act(self, observation: Mapping[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Actions int64 `[N]`; memory is wiped where `episode_start` (bool `[N]`) is set."""
        for k in range(len(self._states)):
            rows = slice(k * self._block, (k + 1) * self._block)
            seen = {name: self._whole(observation[name][rows]) for name in self._reads}
            block = (seen, self._whole(episode_start[rows]), self._whole(uniform[rows]))
            self._actions[k], self._states[k] = self._act(*block, self._actions[k], self._states[k])
        return torch.cat(self._actions)[: self._num_envs]

    def _act(
        self, observation: Mapping[str, Tensor], episode_start: Tensor, uniform: Tensor, action: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits, _, state = self._policy.step(observation, action, episode_start, state)
        if self._deterministic:
            return logits.argmax(-1), state
        return sample_categorical(torch.softmax(logits.double(), -1), uniform), state

    def _whole(self, rows: Tensor) -> Tensor:
        """`rows`, with zeros below them up to a whole block."""
        missing = self._block - len(rows)
        return rows if missing == 0 else torch.cat((rows, rows.new_zeros(missing, *rows.shape[1:])))
