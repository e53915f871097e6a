"""What is done to gradients before they would be sent or multiplied, and the bytes that this would take."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from batchsim.agents.gradients.lognormal import Threshold, fit
from batchsim.agents.gradients.small_floats import FP6, format_index, round_stochastically

_FULL = 4  # bytes of a float32


class Codec(ABC):
    """Changes gradients at random so that their expectation stays; counts the bytes of what is left.

    Everything is computed in float32: bytes are those that the coding would take, and nothing becomes faster.
    """

    def __init__(self) -> None:
        self._generator: torch.Generator | None = None
        self._seed = 0
        self._bytes: Tensor | None = None
        self._full_bytes = 0

    def seed(self, seed: int) -> None:
        """Sets the seed of the random numbers from here on."""
        self._seed, self._generator = seed, None

    @abstractmethod
    def encode(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what arrives instead of `gradient`, and the bytes that it takes, a scalar."""

    def __call__(self, gradient: Tensor) -> Tensor:
        """Returns what arrives instead of `gradient`."""
        arrived, size = self.encode(gradient)
        self._bytes = size if self._bytes is None else self._bytes + size
        self._full_bytes += _FULL * gradient.numel()
        return arrived

    def bytes_share(self) -> Tensor:
        """Returns the bytes since the last call as a fraction of those of float32, a scalar, and counts from 0."""
        share = torch.ones(()) if self._bytes is None else self._bytes / max(1, self._full_bytes)
        self._bytes, self._full_bytes = None, 0
        return share

    def _uniform(self, like: Tensor) -> Tensor:
        if self._generator is None:
            self._generator = torch.Generator(like.device).manual_seed(self._seed)
        return torch.rand(like.shape, generator=self._generator, device=like.device)


class StochasticPruning(Codec):
    """Elements smaller than alpha become alpha, with their sign, with probability |g| / alpha, and else zero.

    Alpha is that for which the share `share` of the elements that are not zero becomes zero if they are lognormal.
    Counted are the values that are not zero, in float32, and a bit per element that says where they are.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._threshold = Threshold(share)

    def encode(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See `Codec`."""
        alpha = self._threshold(fit(gradient))
        size = gradient.abs()
        raised = torch.where(self._uniform(gradient) * alpha < size, alpha, 0.0)
        arrived = torch.where(size >= alpha, size, raised).copysign(gradient)
        return arrived, _FULL * arrived.count_nonzero() + arrived.numel() / 8


class SixBits(Codec):
    """Floats of 6 bits in the format that suits the spread of the gradient, and a float32 scale per tensor."""

    def encode(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See `Codec`."""
        which = format_index(fit(gradient).sigma)
        arrived = round_stochastically(gradient, FP6, which, self._uniform(gradient))
        return arrived, torch.full((), 6 / 8 * gradient.numel() + _FULL, device=gradient.device)


def make_codec(coding: str, pruned: float) -> Codec:
    """Returns the codec called `coding`, "pruned" or "fp6"; `pruned` is the share that "pruned" makes zero."""
    return StochasticPruning(pruned) if coding == "pruned" else SixBits()
