"""What changes while a batch of environments runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class State:
    """The batched tensors of N environments, all of length N and on one device.

    Bodies: `position` float32 `[N, 3]` (feet, metres), `heading` float32 (radians), `scene` int64 (resident slot).
    Episodes: `seed` int64 (the stream), `episode` int64 (how many were begun, minus one), `step` int64 (since reset).
    Counters since reset: `path_length` (metres walked), `collisions` int64, `episode_return`.
    `collided` bool: was the last action blocked. `task`: what the task keeps of each environment, by name.
    """

    position: Tensor
    heading: Tensor
    scene: Tensor
    seed: Tensor
    episode: Tensor
    step: Tensor
    path_length: Tensor
    collisions: Tensor
    collided: Tensor
    episode_return: Tensor
    task: dict[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def empty(num_envs: int, device: torch.device) -> State:
        """All zeros; no episode has begun."""

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(num_envs, *shape, dtype=dtype, device=device)

        return State(
            position=zeros(3),
            heading=zeros(),
            scene=zeros(dtype=torch.int64),
            seed=zeros(dtype=torch.int64),
            episode=zeros(dtype=torch.int64) - 1,
            step=zeros(dtype=torch.int64),
            path_length=zeros(),
            collisions=zeros(dtype=torch.int64),
            collided=zeros(dtype=torch.bool),
            episode_return=zeros(),
        )

    def keep(self, begun: Tensor, **values: Tensor) -> None:
        """Write `values`, `[N, ...]` each, into `task` where `begun` (bool `[N]`) is set; the rest stays as it was."""
        for name, value in values.items():
            old = self.task.get(name)
            chosen = begun.view(-1, *[1] * (value.ndim - 1))
            self.task[name] = torch.where(chosen, value, torch.zeros_like(value) if old is None else old)
