"""A trained policy as an `Agent`: it keeps its recurrent state and previous actions between calls."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.agents.baselines.sampling import sample_categorical
from batchsim.agents.evaluation.onnx_policy import OnnxPolicy
from batchsim.agents.networks.fixed_blocks import step_in_blocks
from batchsim.agents.networks.policy import Policy
from batchsim.noise.normal import draw_normal


class PolicyAgent:
    """Acts in `num_envs` environments with `policy`; samples actions, or takes the most likely if `deterministic`.

    Attributes:
        logits: What the policy said when it chose the last actions, `[N, ...]`.
        values: The values that the critic expected then, `[N]`.
    """

    logits: Tensor
    values: Tensor

    def __init__(self, policy: Policy | OnnxPolicy, num_envs: int, deterministic: bool = False) -> None:
        self._policy = policy
        self._inputs = tuple(policy.blank_observation(0))
        self._state = policy.initial_state(num_envs)
        self._action = policy.blank_action(num_envs)
        self._deterministic = deterministic

    def act(self, observation: Mapping[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Choose actions, int64 `[N]` or float32 `[N, A]`.

        The recurrent state is reset where `episode_start` (bool `[N]`) is set.
        """
        inputs = {name: observation[name] for name in self._inputs}
        step = step_in_blocks(self._policy, inputs, self._action, episode_start, self._state)
        self.logits, self.values, self._state = step
        self._action = self._choose(uniform)
        return self._action

    def _choose(self, uniform: Tensor) -> Tensor:
        if self._policy.config.continuous:
            mean, log_std = self.logits.chunk(2, -1)
            if self._deterministic:
                return mean
            streams = (uniform.double() * 2**53).long()
            return mean + log_std.exp() * draw_normal(streams, torch.zeros_like(streams), 0, mean.shape[-1])
        if self._deterministic:
            return self.logits.argmax(-1)
        return sample_categorical(torch.softmax(self.logits.double(), -1), uniform)
