"""A trained policy as an `Agent`: it keeps its recurrent state and previous actions between calls."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.agents.baselines.sampling import sample_categorical
from batchsim.agents.evaluation.onnx_policy import OnnxPolicy
from batchsim.agents.networks.policy import Policy
from batchsim.noise.normal import draw_normal

# Environments per forward pass. Matrix products round differently for different batch sizes, but alike for all rows of
# one size. With a fixed size, what the policy does in one environment does not depend on how many there are.
_BLOCK = {"cpu": 32, "cuda": 256}


class PolicyAgent:
    """Acts in `num_envs` environments with `policy`; samples actions, or takes the most likely if `deterministic`."""

    def __init__(self, policy: Policy | OnnxPolicy, num_envs: int, deterministic: bool = False) -> None:
        self._policy = policy
        self._inputs = tuple(policy.blank_observation(0))
        self._num_envs = num_envs
        device = policy.initial_state(1).device
        self._block = _BLOCK.get(device.type, 32)
        blocks = -(-num_envs // self._block)
        self._states = [policy.initial_state(self._block) for _ in range(blocks)]
        self._actions = [policy.blank_action(self._block) for _ in range(blocks)]
        self._deterministic = deterministic

    @torch.no_grad()
    def act(self, observation: Mapping[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Choose actions, int64 `[N]` or float32 `[N, A]`.

        The recurrent state is reset where `episode_start` (bool `[N]`) is set.
        """
        for k in range(len(self._states)):
            rows = slice(k * self._block, (k + 1) * self._block)
            inputs = {name: self._padded(observation[name][rows]) for name in self._inputs}
            block = (inputs, self._padded(episode_start[rows]), self._padded(uniform[rows]))
            self._actions[k], self._states[k] = self._act(*block, self._actions[k], self._states[k])
        return torch.cat(self._actions)[: self._num_envs]

    def _act(
        self, observation: Mapping[str, Tensor], episode_start: Tensor, uniform: Tensor, action: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits, _, state = self._policy.step(observation, action, episode_start, state)
        if self._policy.config.continuous:
            mean, log_std = logits.chunk(2, -1)
            if self._deterministic:
                return mean, state
            streams = (uniform.double() * 2**53).long()
            return mean + log_std.exp() * draw_normal(streams, torch.zeros_like(streams), 0, mean.shape[-1]), state
        if self._deterministic:
            return logits.argmax(-1), state
        return sample_categorical(torch.softmax(logits.double(), -1), uniform), state

    def _padded(self, rows: Tensor) -> Tensor:
        """`rows` padded with zeros to a whole block."""
        missing = self._block - len(rows)
        return rows if missing == 0 else torch.cat((rows, rows.new_zeros(missing, *rows.shape[1:])))
