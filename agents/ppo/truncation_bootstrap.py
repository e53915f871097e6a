"""Bootstraps truncated episodes: adds the discounted value of the final observation to the last reward.

As in Pardo et al., "Time limits in reinforcement learning" (ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.rollout_buffer import RolloutBuffer


class TruncationBootstrap:
    """Adds the discounted values of final observations to the rewards in a rollout buffer.

    On a CPU each value is computed at its step. On a GPU, looking at which environments were truncated would make the
    host wait: there the final observations are kept, and evaluated together at the end of the rollout.

    Args:
        buffer: The rollout buffer, of N environments.
        observations: Any observations of the environments, `[N, ...]` each, for their shapes.
        time_limit: The time limit in steps: no environment is truncated twice within so many.
        gamma: The discount factor.
    """

    def __init__(
        self, buffer: RolloutBuffer, observations: Mapping[str, Tensor], time_limit: int, gamma: float
    ) -> None:
        self.buffer = buffer
        self.gamma = gamma
        self.at_once = buffer.state.device.type == "cpu"
        self._time_limit = time_limit
        self._observations = observations
        self._kept: list[_FinalObservations] = []

    def add(
        self, t: int, policy: Policy, truncated: Tensor, final: Mapping[str, Tensor], action: Tensor, state: Tensor
    ) -> None:
        """Handles step `t`.

        Args:
            t: The step.
            policy: The policy, whose critic gives the values.
            truncated: Where the time limit ended the episode, bool `[N]`.
            final: The final observations, `[N, ...]` each.
            action: The actions that led there, `[N, ...]`.
            state: The policy's recurrent state after them, `[N, S]`.
        """
        if not self.at_once:
            self._slot(t).keep(t, truncated, final, action, state)
        elif truncated.any():
            which = truncated.nonzero().squeeze(-1)
            last = {name: value[which] for name, value in final.items()}
            episode_start = torch.zeros(len(which), dtype=torch.bool)
            _, value, _ = policy.step(last, action[which], episode_start, state[which])
            self.buffer.rewards[t].index_add_(0, which, self.gamma * value)

    def finish(self, policy: Policy) -> None:
        """Adds the values of the observations that were kept, and forgets these."""
        for kept in self._kept:
            _, value, _ = policy.step(kept.observation, kept.action, kept.episode_start, kept.state)
            value = torch.where(kept.time >= 0, self.gamma * value, 0.0)
            self.buffer.rewards.scatter_add_(0, kept.time.clamp(min=0).unsqueeze(0), value.unsqueeze(0))
            kept.time.fill_(-1)

    def _slot(self, t: int) -> _FinalObservations:
        """Where step `t` keeps its observations: no environment is truncated twice in the steps that share a slot."""
        if not self._kept:
            count = math.ceil(self.buffer.steps / self._time_limit)
            sample = self.buffer.state, self.buffer.actions[0]
            self._kept = [_FinalObservations(self._observations, *sample) for _ in range(count)]
        return self._kept[t // self._time_limit]


class _FinalObservations:
    """For each environment the final observation of one truncated episode, and its last step, -1 if there is none."""

    def __init__(self, observation: Mapping[str, Tensor], state: Tensor, action: Tensor) -> None:
        self.observation = {name: torch.zeros_like(value) for name, value in observation.items()}
        self.state = torch.zeros_like(state)
        self.time = torch.full((len(state),), -1, dtype=torch.int64, device=state.device)
        self.action = torch.zeros_like(action)
        self.episode_start = torch.zeros_like(self.time, dtype=torch.bool)

    def keep(self, t: int, truncated: Tensor, final: Mapping[str, Tensor], action: Tensor, state: Tensor) -> None:
        for name, kept in self.observation.items():
            _write_where(truncated, final[name], kept)
        _write_where(truncated, action, self.action)
        _write_where(truncated, state, self.state)
        self.time.masked_fill_(truncated, t)


def _write_where(mask: Tensor, value: Tensor, into: Tensor) -> None:
    torch.where(mask.view(-1, *[1] * (value.ndim - 1)), value, into, out=into)
