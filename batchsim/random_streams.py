"""Counter-based random numbers: one independent stream for each environment, evaluated for the whole batch.

A draw is a pure function of (seed, counter, index), so an environment's trajectory depends neither on the number of
environments nor on the device. The mixing function is SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import torch
from torch import Tensor


def _signed(value: int) -> int:
    """Returns the int64 with the bits of an unsigned 64-bit constant: torch has no uint64 arithmetic."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN_GAMMA = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Shifts logically; torch shifts int64 arithmetically."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def mix(value: Tensor) -> Tensor:
    """Applies SplitMix64's finaliser to int64 tensors: a bijection; every output bit depends on every input bit."""
    value = (value ^ _shift_right(value, 30)) * _MIX_1
    value = (value ^ _shift_right(value, 27)) * _MIX_2
    return value ^ _shift_right(value, 31)


def uniform(seed: Tensor, counter: Tensor, draws: int) -> Tensor:
    """Draws uniform numbers in [0, 1).

    Args:
        seed: int64 `[N]`, the stream of each environment.
        counter: int64 `[N]`, the place in the stream, such as the number of an episode.
        draws: Numbers per environment.

    Returns:
        float32 `[N, draws]`.
    """
    key = mix(mix(seed + _GOLDEN_GAMMA) + (counter + 1) * _GOLDEN_GAMMA)
    index = torch.arange(1, draws + 1, device=seed.device) * _GOLDEN_GAMMA
    return _shift_right(mix(key[:, None] + index), 40).to(torch.float32) * 2.0**-24


def pick(draw: Tensor, count: Tensor) -> Tensor:
    """Maps a uniform draw in [0, 1) to an int64 in [0, count); both broadcast."""
    return torch.minimum((draw * count).long(), count - 1)


def fresh_streams(seed: Tensor, number: Tensor) -> Tensor:
    """Returns new random streams, int64 `[M]`: one for each stream `seed` and `number`, int64 `[M]` both."""
    return mix(mix(seed) + (number + 1) * _GOLDEN_GAMMA)
