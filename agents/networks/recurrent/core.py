"""Recurrent cores: the memory of a policy, wiped where an episode begins."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class RecurrentCore(nn.Module, ABC):
    """What every core does. Its whole memory is one tensor `[N, state_size]`, so that any core fits any caller."""

    state_size: int
    """Numbers of memory an environment has."""

    @abstractmethod
    def step(self, features: Tensor, episode_start: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: features `[N, inputs]`, `episode_start` bool `[N]` and state `[N, S]` to `[N, hidden]` and next state."""

    @abstractmethod
    def sequence(self, features: Tensor, episode_start: Tensor, state: Tensor) -> Tensor:
        """T steps with episode starts anywhere inside: features `[T, N, inputs]`, `episode_start` `[T, N]` to `[T, N, hidden]`.

        Without a look at `episode_start` from the host, which packing the episodes for cuDNN's LSTM would need: the inputs'
        share of the gates is one product over all steps, and what is left in the loop is small beside the encoder.
        """

    @abstractmethod
    def compile_cell(self) -> None:
        """Fuse what a cell does element by element, by `torch.compile`."""


def keep_mask(episode_start: Tensor, like: Tensor) -> Tensor:
    """1 where the memory goes on and 0 where an episode begins: bool `[..., N]` to `[..., N, 1]`."""
    return (~episode_start).unsqueeze(-1).to(like.dtype)
