"""The rollout buffer: T steps of N environments in tensors that are allocated once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor


@dataclass
class Batch:
    """Some environments' columns of a rollout, `[T, M, ...]`, with the policy state `[M, S]` before its first step.

    Attributes:
        labels: The expert's actions, int64 `[T, M]`; None without imitation.
        by_expert: Which of `actions` the expert took, bool `[T, M]`; None without imitation.
    """

    observations: dict[str, Tensor]
    previous_actions: Tensor
    episode_start: Tensor
    state: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    labels: Tensor | None = None
    by_expert: Tensor | None = None


class RolloutBuffer:
    """Tensors `[T, N, ...]` that every rollout overwrites; the first `length` steps belong to the current one.

    Depth images are stored in half precision, which halves the memory traffic of learning and resolves 10 m to 5 mm,
    unless `prepare` gives them another form.

    Args:
        steps: T, the steps of a rollout.
        num_envs: N, the number of environments.
        observation_space: The observation space of one environment.
        state_size: The size of the policy's recurrent state.
        device: Where the tensors are.
        action_size: Real numbers of an action; 0: an action is one integer.
        prepare: What `store_decision` is given of the environment's observations, such as `Policy.prepare`; None: all.
        with_labels: Whether there is room for the expert's actions.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        observation_space: gym.spaces.Dict,
        state_size: int,
        device: torch.device | str = "cpu",
        action_size: int = 0,
        prepare: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None,
        with_labels: bool = False,
    ) -> None:
        self.steps, self.num_envs = steps, num_envs
        self.length = steps

        def zeros(dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(steps, num_envs, dtype=dtype, device=device)

        sample: Mapping[str, Tensor] = zero_observations(observation_space, 1, device=device)
        self.prepare = prepare or dict
        sample = self.prepare(sample)
        self.observations = {
            name: torch.zeros(steps, num_envs, *value.shape[1:], dtype=_stored_dtype(value), device=device)
            for name, value in sample.items()
        }
        actions = (steps, num_envs, action_size) if action_size else (steps, num_envs)
        kind = torch.float32 if action_size else torch.int64
        self.previous_actions = torch.zeros(actions, dtype=kind, device=device)
        self.episode_start = zeros(torch.bool)
        self.actions = torch.zeros(actions, dtype=kind, device=device)
        self.log_probs = zeros()
        self.values = zeros()
        self.rewards = zeros()
        self.done = zeros(torch.bool)
        self.advantages = zeros()
        self.returns = zeros()
        self.labels = zeros(torch.int64) if with_labels else None
        self.by_expert = zeros(torch.bool) if with_labels else None
        self.state = torch.zeros(num_envs, state_size, device=device)

    def split(self, count: int) -> list[RolloutBuffer]:
        """Returns `count` buffers of equally many environments each, which share this one's memory."""
        size = self.num_envs // count
        return [self._columns(slice(first, first + size)) for first in range(0, count * size, size)]

    def _columns(self, which: slice) -> RolloutBuffer:
        part = copy.copy(self)
        part.num_envs = which.stop - which.start
        part.observations = {name: value[:, which] for name, value in self.observations.items()}
        part.state = self.state[which]
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and name != "state":
                setattr(part, name, value[:, which])
        return part

    def begin(self, state: Tensor) -> None:
        """Starts a new rollout; `state` `[N, S]` is the policy's before the first step."""
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
        """Stores what the policy saw at step `t` and what it chose, each `[N, ...]`."""
        for name, buffer in self.observations.items():
            buffer[t].copy_(observation[name])
        self.previous_actions[t] = previous_action
        self.episode_start[t] = episode_start
        self.actions[t] = action
        self.log_probs[t] = log_prob
        self.values[t] = value

    def store_labels(self, t: int, labels: Tensor, by_expert: Tensor) -> None:
        """Stores the expert's actions at step `t`, and which of the actions taken are the expert's, `[N]` each."""
        assert self.labels is not None
        assert self.by_expert is not None
        self.labels[t] = labels
        self.by_expert[t] = by_expert

    def store_outcome(self, t: int, reward: Tensor, done: Tensor) -> None:
        """Stores the rewards of step `t`, and where it ended the episode, `[N]` each."""
        self.rewards[t] = reward
        self.done[t] = done

    def compute_returns(self, next_value: Tensor, gamma: float, gae_lambda: float) -> None:
        """Computes generalised advantage estimates (Schulman et al., 2016) and returns.

        The rewards of truncated steps must include the bootstrapped values, see `TruncationBootstrap`.

        Args:
            next_value: The values `[N]` of the observations after the last step.
            gamma: The discount factor.
            gae_lambda: The decay of the estimate.
        """
        advantage = torch.zeros_like(next_value)
        for t in reversed(range(self.length)):
            continues = (~self.done[t]).float()
            delta = self.rewards[t] + gamma * next_value * continues - self.values[t]
            advantage = delta + gamma * gae_lambda * continues * advantage
            self.advantages[t] = advantage
            next_value = self.values[t]
        torch.add(self.advantages, self.values, out=self.returns)

    def minibatches(self, count: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yields the rollout in `count` minibatches, each all steps of some environments, in random order.

        Their sizes differ by one environment at most. There are no more minibatches than environments.
        """
        order = torch.randperm(self.num_envs, generator=generator)
        for chosen in order.tensor_split(min(count, self.num_envs)):
            columns = chosen.to(self.state.device, non_blocking=True)

            def pick(value: Tensor, columns: Tensor = columns) -> Tensor:
                return value[: self.length].index_select(1, columns)  # on a CPU faster than value[:length, columns]

            yield Batch(
                {name: _widen(pick(value)) for name, value in self.observations.items()},
                pick(self.previous_actions),
                pick(self.episode_start),
                self.state[columns],
                pick(self.actions),
                pick(self.log_probs),
                pick(self.values),
                pick(self.advantages),
                pick(self.returns),
                None if self.labels is None else pick(self.labels),
                None if self.by_expert is None else pick(self.by_expert),
            )


def zero_observations(space: gym.spaces.Dict, *lead: int, device: torch.device | str) -> dict[str, Tensor]:
    """Returns zeros `[*lead, ...]` with the shapes and dtypes of the observations in `space`."""
    zeros = {}
    for name, part in space.spaces.items():
        if part.shape is None or part.dtype is None:
            raise TypeError(f"The observation {name} has no fixed shape: {part}.")
        dtype = torch.from_numpy(np.zeros(0, part.dtype)).dtype
        zeros[name] = torch.zeros(*lead, *part.shape, dtype=dtype, device=device)
    return zeros


def _stored_dtype(value: Tensor) -> torch.dtype:
    """Returns the dtype in which observations such as `value` `[N, ...]` are stored."""
    return torch.float16 if value.dtype == torch.float32 and value.ndim == 4 else value.dtype


def _widen(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
