"""What a time limit cuts off: its value goes into the reward of the last step, so that learning does not take it for 0.

As in Pardo et al., "Time limits in reinforcement learning" (ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.rollout_buffer import Rollout


class TruncationBootstrap:
    """Adds to a rollout's rewards the discounted values of what was truncated in it.

    On a CPU each is worked out at its step. On a GPU a look at which environments are concerned would make the host
    wait: there the last observations are kept, and valued together when the rollout ends.

    `shortest`: the fewest steps between two truncations of one environment, its limit of steps.
    """

    def __init__(self, rollout: Rollout, observation: Mapping[str, Tensor], shortest: int, gamma: float) -> None:
        self.rollout = rollout
        self.gamma = gamma
        self.at_once = rollout.state.device.type == "cpu"
        self._shortest = shortest
        self._observation = observation
        self._kept: list[_Kept] = []

    def add(
        self, t: int, policy: Policy, truncated: Tensor, final: Mapping[str, Tensor], action: Tensor, state: Tensor
    ) -> None:
        """Count the environments where `truncated` (bool `[N]`) is set at step `t`, which `final` was the last view of.

        `action` int64 `[N]` led there, and `state` `[N, S]` was the policy's memory afterwards.
        """
        if not self.at_once:
            self._slot(t).keep(t, truncated, final, action, state)
        elif truncated.any():
            which = truncated.nonzero().squeeze(-1)
            last = {name: value[which] for name, value in final.items()}
            episode_start = torch.zeros(len(which), dtype=torch.bool)
            _, value, _ = policy.step(last, action[which], episode_start, state[which])
            self.rollout.rewards[t].index_add_(0, which, self.gamma * value)

    def finish(self, policy: Policy) -> None:
        """Put into the rewards what was kept, and forget it."""
        for kept in self._kept:
            _, value, _ = policy.step(kept.observation, kept.action, kept.episode_start, kept.state)
            value = torch.where(kept.time >= 0, self.gamma * value, 0.0)
            self.rollout.rewards.scatter_add_(0, kept.time.clamp(min=0).unsqueeze(0), value.unsqueeze(0))
            kept.time.fill_(-1)

    def _slot(self, t: int) -> _Kept:
        """Where step `t` keeps things: no environment is truncated twice in the steps that share it."""
        if not self._kept:
            count = math.ceil(self.rollout.steps / self._shortest)
            self._kept = [_Kept(self._observation, self.rollout.state) for _ in range(count)]
        return self._kept[t // self._shortest]


class _Kept:
    """For each environment the last observation of one truncated episode, and the step of its end, -1 where none."""

    def __init__(self, observation: Mapping[str, Tensor], state: Tensor) -> None:
        self.observation = {name: torch.zeros_like(value) for name, value in observation.items()}
        self.state = torch.zeros_like(state)
        self.time = torch.full((len(state),), -1, dtype=torch.int64, device=state.device)
        self.action = torch.zeros_like(self.time)
        self.episode_start = torch.zeros_like(self.time, dtype=torch.bool)

    def keep(self, t: int, truncated: Tensor, final: Mapping[str, Tensor], action: Tensor, state: Tensor) -> None:
        for name, kept in self.observation.items():
            _write_where(truncated, final[name], kept)
        _write_where(truncated, action, self.action)
        _write_where(truncated, state, self.state)
        self.time.masked_fill_(truncated, t)


def _write_where(mask: Tensor, value: Tensor, into: Tensor) -> None:
    torch.where(mask.view(-1, *[1] * (value.ndim - 1)), value, into, out=into)
