"""Noise of colour images, on images uint8 `[N, H, W, 3]`. Models and constants as in habitat-sim's `noise_models`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from batchsim.noise.normal import draw_normal, draw_uniform
from batchsim.option_checks import real_number

_PURPOSE = 2
_LARGEST = 512  # above any count drawn for a mean of 255, but for once in 10^40


class RgbNoise(Protocol):
    """Adds noise to colour images."""

    def __call__(self, image: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """Returns uint8 images; `seed`, `counter` int64 `[N]`: the stream of each image and the place in it."""


@dataclass(frozen=True)
class GaussianRgb:
    """Adds normal numbers to all channels of all pixels.

    Args:
        intensity: The deviation, as a share of the full brightness; 0.1 in Habitat's challenges.
    """

    intensity: float = 0.2

    def __post_init__(self) -> None:
        real_number("intensity", self.intensity, 0, 10)

    def __call__(self, image: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """See `RgbNoise`."""
        normal = draw_normal(seed, counter, _PURPOSE, image[0].numel()).view(image.shape)
        return _to_bytes(image.float() + 255 * self.intensity * normal)


@dataclass(frozen=True)
class SpeckleRgb:
    """Multiplies all channels of all pixels by one plus a normal number.

    Args:
        intensity: The deviation of the factor.
    """

    intensity: float = 0.2

    def __post_init__(self) -> None:
        real_number("intensity", self.intensity, 0, 10)

    def __call__(self, image: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """See `RgbNoise`."""
        normal = draw_normal(seed, counter, _PURPOSE, image[0].numel()).view(image.shape)
        return _to_bytes(image.float() * (1 + self.intensity * normal))


@dataclass(frozen=True)
class SaltAndPepperRgb:
    """Makes some pixels white and as many black.

    Args:
        amount: The share of pixels.
    """

    amount: float = 0.05

    def __post_init__(self) -> None:
        real_number("amount", self.amount, 0, 1)

    def __call__(self, image: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """See `RgbNoise`."""
        draw = draw_uniform(seed, counter, _PURPOSE, image.shape[1] * image.shape[2]).view(*image.shape[:3], 1)
        image = torch.where(draw < self.amount / 2, 255, image)
        return torch.where(draw > 1 - self.amount / 2, 0, image).to(torch.uint8)


@dataclass(frozen=True)
class PoissonRgb:
    """Replaces each value by a Poisson number of that mean, as the counting of photons does."""

    def __call__(self, image: Tensor, seed: Tensor, counter: Tensor) -> Tensor:
        """See `RgbNoise`."""
        draw = draw_uniform(seed, counter, _PURPOSE, image[0].numel()).view(image.shape)
        mean = image.float()
        # The smallest count whose cumulative probability is at least the draw, by bisection.
        low, high = torch.full_like(mean, -1.0), torch.full_like(mean, _LARGEST)
        for _ in range(10):
            middle = ((low + high) / 2).floor()
            enough = torch.special.gammaincc(middle + 1, mean.clamp(min=1e-6)) >= draw
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        return _to_bytes(torch.where(mean > 0, high, 0.0))


def _to_bytes(image: Tensor) -> Tensor:
    return image.round().clamp(0, 255).to(torch.uint8)
