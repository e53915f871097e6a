"""What changes while a batch of environments runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from batchsim.errors import OptionError

_TASK = "task."


@dataclass
class State:
    """The batched tensors of N environments, all of length N and on one device.

    Bodies: `position` float32 `[N, 3]` (feet, metres), `heading` float32 (radians), `scene` int64 (resident slot).
    Episodes: `seed` int64 (the stream), `episode` int64 (how many were episode_start, minus one), `step` int64 (since reset).
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
        """All zeros; no episode has episode_start."""

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

    def keep(self, episode_start: Tensor, **values: Tensor) -> None:
        """Write `values`, `[N, ...]` each, into `task` where `episode_start` (bool `[N]`) is set; the rest stays as it was."""
        for name, value in values.items():
            old = self.task.get(name)
            chosen = episode_start.view(-1, *[1] * (value.ndim - 1))
            self.task[name] = torch.where(chosen, value, torch.zeros_like(value) if old is None else old)

    def tensors(self) -> dict[str, Tensor]:
        """All of them by name, those of the task as `task.NAME`."""
        return {name: getattr(self, name) for name in _OWN} | {_TASK + name: value for name, value in self.task.items()}

    def assign(self, tensors: Mapping[str, Tensor]) -> None:
        """Hold `tensors`, named as `tensors()` names them, in place of those held now."""
        for name in _OWN:
            setattr(self, name, tensors[name])
        self.task = {name.removeprefix(_TASK): value for name, value in tensors.items() if name.startswith(_TASK)}

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all tensors: what `load_state_dict` takes."""
        return {name: value.detach().clone() for name, value in self.tensors().items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave, from any device; raises `OptionError` where it is of another batch."""
        names = {name for name in tensors if not name.startswith(_TASK)}
        if names != set(_OWN):
            raise OptionError(f"A state needs exactly {', '.join(sorted(_OWN))}; got {', '.join(sorted(names))}.")
        for name, value in tensors.items():
            if len(value) != len(self.seed):
                raise OptionError(f"{name}: the state is of {len(value)} environments; expected {len(self.seed)}.")
        device = self.seed.device
        self.assign({name: value.to(device, copy=True) for name, value in tensors.items()})


_OWN = tuple(f.name for f in fields(State) if f.name != "task")
