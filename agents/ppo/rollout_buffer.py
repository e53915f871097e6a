"""A stretch of experience: T steps of N environments in memory laid out once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Batch:
    """Some environments' columns of a rollout, `[T, M, ...]`, with the policy state `[M, S]` before its first step."""

    observations: dict[str, Tensor]
    previous_actions: Tensor
    episode_start: Tensor
    state: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class Rollout:
    """Tensors `[T, N, ...]`, written in place again by every rollout; the first `length` steps are of the present one.

    Images are kept in half precision: it halves the memory that learning has to read, and 10 m of depth keep a
    resolution of 5 mm.

    - `steps`, `num_envs`: T and N. `observation`, `state`: what environments show and what the policy remembers, any
      number of rows each; they say of what shape and kind the tensors are.
    """

    def __init__(self, steps: int, num_envs: int, observation: Mapping[str, Tensor], state: Tensor) -> None:
        self.steps, self.num_envs = steps, num_envs
        self.length = steps

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(steps, num_envs, *shape, dtype=dtype, device=state.device)

        self.observations = {
            name: zeros(
                *value.shape[1:],
                dtype=torch.float16 if value.dtype == torch.float32 and value.ndim == 4 else value.dtype,
            )
            for name, value in observation.items()
        }
        self.previous_actions = zeros(dtype=torch.int64)
        self.episode_start = zeros(dtype=torch.bool)
        self.actions = zeros(dtype=torch.int64)
        self.log_probs = zeros()
        self.values = zeros()
        self.rewards = zeros()
        self.done = zeros(dtype=torch.bool)
        self.advantages = zeros()
        self.returns = zeros()
        self.state = state.new_zeros(num_envs, *state.shape[1:])

    def parts(self, count: int) -> list[Rollout]:
        """The columns in `count` equal parts: rollouts that write to the same memory."""
        size = self.num_envs // count
        return [self._columns(slice(first, first + size)) for first in range(0, count * size, size)]

    def _columns(self, which: slice) -> Rollout:
        part = copy.copy(self)
        part.num_envs = which.stop - which.start
        part.observations = {name: value[:, which] for name, value in self.observations.items()}
        part.state = self.state[which]
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and name != "state":
                setattr(part, name, value[:, which])
        return part

    def begin(self, state: Tensor) -> None:
        """Forget what is there; `state` `[N, S]` is the policy's before the first step."""
        self.length = self.steps
        self.state.copy_(state)

    def store_decision(
        self,
        t: int,
        observation: Mapping[str, Tensor],
        previous_action: Tensor,
        episode_start: Tensor,
        action: Tensor,
        log_prob: Tensor,
        value: Tensor,
    ) -> None:
        """What the policy saw at step t and what it chose."""
        for name, buffer in self.observations.items():
            buffer[t].copy_(observation[name])
        self.previous_actions[t] = previous_action
        self.episode_start[t] = episode_start
        self.actions[t] = action
        self.log_probs[t] = log_prob
        self.values[t] = value

    def store_outcome(self, t: int, reward: Tensor, done: Tensor) -> None:
        """What step t brought."""
        self.rewards[t] = reward
        self.done[t] = done

    def compute_returns(self, next_value: Tensor, gamma: float, gae_lambda: float) -> None:
        """Generalised advantage estimates (Schulman et al., 2016) and the returns they give.

        The rewards of truncated steps must hold the values of what was cut off.
        """
        advantage = torch.zeros_like(next_value)
        for t in reversed(range(self.length)):
            going_on = (~self.done[t]).float()
            delta = self.rewards[t] + gamma * next_value * going_on - self.values[t]
            advantage = delta + gamma * gae_lambda * going_on * advantage
            self.advantages[t] = advantage
            next_value = self.values[t]
        torch.add(self.advantages, self.values, out=self.returns)

    def minibatches(self, count: int, generator: torch.Generator) -> Iterator[Batch]:
        """The rollout in `count` parts, each the whole stretch of some environments, in random order.

        They are alike in size, up to one environment; there are no more parts than environments.
        """
        filled = slice(self.length)
        order = torch.randperm(self.num_envs, generator=generator)
        for chosen in order.tensor_split(min(count, self.num_envs)):
            columns = chosen.to(self.state.device, non_blocking=True)
            yield Batch(
                {name: _widen(value[filled, columns]) for name, value in self.observations.items()},
                self.previous_actions[filled, columns],
                self.episode_start[filled, columns],
                self.state[columns],
                self.actions[filled, columns],
                self.log_probs[filled, columns],
                self.values[filled, columns],
                self.advantages[filled, columns],
                self.returns[filled, columns],
            )


def _widen(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
