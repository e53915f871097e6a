"""Floats of a few bits, emulated in float32, with stochastic rounding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FloatFormat:
    """A sign, `exponent` and `mantissa` bits; subnormal numbers, but neither infinity nor nan."""

    exponent: int
    mantissa: int

    @property
    def bits(self) -> int:
        """Bits of a number."""
        return 1 + self.exponent + self.mantissa

    @property
    def highest(self) -> int:
        """The largest exponent, if that of the smallest normal number is 0."""
        return 2**self.exponent - 2

    @property
    def largest(self) -> float:
        """The largest number, in units of the smallest normal one."""
        return (2 - 2.0**-self.mantissa) * 2.0**self.highest


FP6 = (FloatFormat(3, 2), FloatFormat(4, 1), FloatFormat(5, 0))
"""Formats of 6 bits, for narrow to wide distributions."""
_SIGMA_LIMITS = (1.75, 3.5)


def format_index(sigma: Tensor) -> Tensor:
    """Returns the index in `FP6` of the format with the least mean relative error for lognormal numbers.

    1-3-2 is best up to sigma = 1.5, 1-4-1 for 2 to 3, 1-5-0 from 4 on, each with its best scale; the limits in between
    are halfway.
    """
    return (sigma > _SIGMA_LIMITS[0]).long() + (sigma > _SIGMA_LIMITS[1]).long()


def round_stochastically(values: Tensor, formats: tuple[FloatFormat, ...], which: Tensor, uniform: Tensor) -> Tensor:
    """Rounds to numbers of a format up or down at random, so that the expectation is the value itself.

    The scale of a tensor is that for which its largest magnitude is the format's largest number; nothing overflows, and
    so nothing biases the result.

    Args:
        values: The numbers.
        formats: The formats to choose from.
        which: The index of the format, an int64 scalar on the device.
        uniform: Random numbers in [0, 1) of the shape of `values`.
    """
    device = values.device
    highest = torch.tensor([f.highest for f in formats], device=device)[which]
    mantissa = torch.tensor([f.mantissa for f in formats], device=device)[which]
    largest = torch.tensor([f.largest for f in formats], device=device)[which]
    size = values.abs()
    scale = size.max() / largest
    scale = torch.where(scale > 0, scale, 1.0)
    units = size / scale
    exponent = (torch.frexp(units).exponent - 1).clamp(min=0)  # below the smallest normal number steps are equal
    step = torch.exp2((torch.minimum(exponent, highest) - mantissa).float())
    rounded = torch.floor(units / step + uniform) * step
    return rounded.clamp(max=largest).mul(scale).copysign(values)
