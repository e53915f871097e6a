"""`State`: the tensors that change while a batch of environments runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.scenes.prefixes import without_prefix

_TASK = "task."


@dataclass
class State:
    """The state of N environments as batched tensors of length N on one device.

    Attributes:
        position: float32 `[N, 3]`, metres: where each agent's feet are.
        heading: float32 `[N]`, radians.
        pitch: float32 `[N]`, radians by which each camera is tilted up.
        scene: int64 `[N]`, the resident slot of each agent's scene.
        seed: int64 `[N]`, the random stream that each environment draws its episodes from.
        episode: int64 `[N]`, number of the current episode in that stream; -1 before the first one.
        step: int64 `[N]`, steps taken in the current episode.
        path_length: float32 `[N]`, metres walked in the current episode.
        collisions: int64 `[N]`, blocked actions in the current episode.
        collided: bool `[N]`, whether the last action was blocked.
        episode_return: float32 `[N]`, sum of the current episode's rewards.
        task: tensors that the task keeps for each environment, `[N, ...]`, by name.
    """

    position: Tensor
    heading: Tensor
    pitch: Tensor
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
        """Returns a state of zeros in which no episode has started."""

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(num_envs, *shape, dtype=dtype, device=device)

        return State(
            position=zeros(3),
            heading=zeros(),
            pitch=zeros(),
            scene=zeros(dtype=torch.int64),
            seed=zeros(dtype=torch.int64),
            episode=zeros(dtype=torch.int64) - 1,
            step=zeros(dtype=torch.int64),
            path_length=zeros(),
            collisions=zeros(dtype=torch.int64),
            collided=zeros(dtype=torch.bool),
            episode_return=zeros(),
        )

    def keep(self, mask: Tensor, **values: Tensor) -> None:
        """Stores `values` (`[N, ...]` each) in `task` for the environments in `mask` (bool `[N]`).

        Other rows keep their value, or are zero if the name is new.
        """
        for name, value in values.items():
            old = self.task.get(name)
            chosen = mask.view(-1, *[1] * (value.ndim - 1))
            self.task[name] = torch.where(chosen, value, torch.zeros_like(value) if old is None else old)

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors by name; those of the task are called `task.NAME`."""
        return {name: getattr(self, name) for name in _OWN} | {_TASK + name: value for name, value in self.task.items()}

    def assign(self, tensors: Mapping[str, Tensor]) -> None:
        """Replaces all tensors by `tensors`, named as in `tensors()`. Nothing is copied."""
        for name in _OWN:
            setattr(self, name, tensors[name])
        self.task = without_prefix(_TASK, tensors)

    def fork(self, source: Tensor, target: Tensor) -> None:
        """Copies the environments `source` (int64 `[M]`) into those of `target` (int64 `[M]`, all different)."""
        self.assign({name: value.index_copy(0, target, value[source]) for name, value in self.tensors().items()})

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Returns copies of the rows `index` (int64 `[M]`) of all tensors, by the names of `tensors()`."""
        return {name: value[index] for name, value in self.tensors().items()}

    def put_rows(self, tensors: Mapping[str, Tensor], index: Tensor) -> None:
        """Replaces the rows `index` (int64 `[M]`, all different) by the result of `rows`.

        Raises:
            OptionError: If a tensor is missing or has another shape.
        """
        self.assign({name: replaced_rows(name, value, tensors, index) for name, value in self.tensors().items()})

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of all tensors, for `load_state_dict`."""
        return {name: value.detach().clone() for name, value in self.tensors().items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the result of `state_dict`, from any device.

        Raises:
            OptionError: If names or the number of environments differ.
        """
        names = {name for name in tensors if not name.startswith(_TASK)}
        if names != set(_OWN):
            raise OptionError(
                f"A state has exactly the tensors {', '.join(sorted(_OWN))}; got {', '.join(sorted(names))}."
            )
        for name, value in tensors.items():
            if len(value) != len(self.seed):
                raise OptionError(f"{name}: the saved state has {len(value)} environments; expected {len(self.seed)}.")
        device = self.seed.device
        self.assign({name: value.to(device, copy=True) for name, value in tensors.items()})


def replaced_rows(name: str, value: Tensor, tensors: Mapping[str, Tensor], index: Tensor) -> Tensor:
    """Returns a copy of `value` `[N, ...]` with the rows `index` (int64 `[M]`) of `tensors[name]`, from any device.

    Saved rows that are shorter are padded with zeros: they come from before a larger scene was loaded.

    Raises:
        OptionError: If the tensor is missing, or its shape or dtype differs.
    """
    saved = tensors.get(name)
    if saved is None:
        raise OptionError(f"The saved rows lack {name}: they come from another task, or from before the first reset().")
    saved = saved.to(value.device)
    if saved.ndim == value.ndim > 1 and saved.shape[-1] < value.shape[-1]:
        saved = torch.nn.functional.pad(saved, (0, value.shape[-1] - saved.shape[-1]))
    if saved.shape != (len(index), *value.shape[1:]) or saved.dtype != value.dtype:
        raise OptionError(
            f"{name}: the saved rows are {saved.dtype} of shape {tuple(saved.shape)}; expected {value.dtype} of shape "
            f"{(len(index), *value.shape[1:])}."
        )
    return value.index_copy(0, index, saved)


_OWN = tuple(f.name for f in fields(State) if f.name != "task")
