"""Normal random numbers from counter-based uniform ones: every environment has its own stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim.random_streams import mix, uniform

STEPS_PER_EPISODE = 1 << 20
"""Counters of an episode: one for each step."""

_SMALLEST = 2.0**-25  # uniform numbers are multiples of 2^-24; the middle of the first one's interval


def draw_uniform(seed: Tensor, counter: Tensor, purpose: int, count: int) -> Tensor:
    """Returns uniform numbers in (0, 1), float32 `[N, count]`.

    Args:
        seed: int64 `[N]`, each environment's stream.
        counter: int64 `[N]`, the place in it (`step_counter`).
        purpose: Keeps the numbers of different kinds of noise, and of episodes, apart.
        count: How many for each environment.
    """
    return uniform(mix(seed + (purpose << 32)), counter, count) + _SMALLEST


def draw_normal(seed: Tensor, counter: Tensor, purpose: int, count: int) -> Tensor:
    """Returns standard normal numbers, float32 `[N, count]`; arguments as in `draw_uniform`."""
    return torch.special.ndtri(draw_uniform(seed, counter, purpose, count))


def truncated_normal(uniform_number: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Maps uniform numbers in (0, 1) to standard normal ones between `low` and `high`."""
    below, above = _cdf(low, uniform_number), _cdf(high, uniform_number)
    number = torch.special.ndtri((below + uniform_number * (above - below)).clamp(1e-7, 1 - 1e-7))
    return torch.maximum(torch.minimum(number, torch.as_tensor(high)), torch.as_tensor(low))


def step_counter(episode: Tensor, step: Tensor) -> Tensor:
    """Returns the counter (int64 `[N]`) of a step of an episode."""
    return episode * STEPS_PER_EPISODE + step


def _cdf(limit: Tensor | float, like: Tensor) -> Tensor:
    return torch.special.ndtr(torch.as_tensor(limit, dtype=like.dtype, device=like.device))


TRUNCATED_VARIANCE = 1 - 6 * math.exp(-4.5) / (math.sqrt(2 * math.pi) * math.erf(3 / math.sqrt(2)))
"""Variance of a standard normal number truncated to three deviations."""
