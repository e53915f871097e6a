"""The interface of recurrent cores, whose state is reset where an episode starts."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class RecurrentCore(nn.Module, ABC):
    """Base class of recurrent cores, whose state is one tensor `[N, state_size]`."""

    state_size: int
    """Size of an environment's state."""

    @abstractmethod
    def step(self, features: Tensor, episode_start: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Maps features `[N, inputs]`, `episode_start` bool `[N]`, state `[N, S]` to `[N, hidden]` and next state."""

    @abstractmethod
    def sequence(self, features: Tensor, episode_start: Tensor, state: Tensor) -> Tensor:
        """Maps features `[T, N, inputs]` and `episode_start` `[T, N]` of T steps to `[T, N, hidden]`.

        The host does not read `episode_start`, which packing the episodes for cuDNN's LSTM would require. The inputs'
        part of the gates is one matrix product over all steps; the rest of the loop is cheap beside the encoder.
        """

    @abstractmethod
    def compile_cell(self) -> None:
        """Fuses the elementwise operations of the cell with `torch.compile`."""


def keep_mask(episode_start: Tensor, like: Tensor) -> Tensor:
    """Maps bool `[..., N]` to `[..., N, 1]`: 0 where an episode starts, else 1, in the dtype of `like`."""
    return (~episode_start).unsqueeze(-1).to(like.dtype)
