"""Copies of units: the tool that makes layers wider without changing what they compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Copies:
    """Which old unit each new unit is a copy of, and its share of what that unit gave to the next layer.

    A copy has all incoming weights of its unit (`rows`), and outgoing weights that add up to those of its unit
    (`columns`), so that the next layer receives what it received before (Chen et al., "Net2Net", ICLR 2016). Net2Net
    divides outgoing weights equally and adds noise, so that copies can become different; here they are divided
    unequally, which does the same without changing the outputs.
    """

    unit: Tensor
    """Index of the old unit, int64 `[new]`."""
    share: Tensor
    """Share of the outgoing weights, float32 `[new]`; the shares of the copies of a unit add up to 1."""

    @staticmethod
    def make(old: int, new: int, generator: torch.Generator) -> Copies:
        """Makes `new` of `old` units, each copied about as often as the others."""
        unit = torch.arange(new) % old
        part = 0.5 + torch.rand(new, generator=generator)
        total = torch.zeros(old).index_add_(0, unit, part)
        share = part / total[unit]
        share[torch.bincount(unit, minlength=old)[unit] == 1] = 1.0  # exactly
        return Copies(unit, share)

    @staticmethod
    def same(count: int) -> Copies:
        """Leaves `count` units as they are."""
        return Copies(torch.arange(count), torch.ones(count))

    @property
    def old(self) -> int:
        """The number of old units."""
        return int(self.unit.max()) + 1

    def rows(self, weight: Tensor, blocks: int = 1) -> Tensor:
        """Copies incoming weights or biases `[blocks * old, ...]` to `[blocks * new, ...]`.

        Args:
            weight: The tensor.
            blocks: Parts of the first dimension that have a row per unit each, such as the gates of a recurrent core.
        """
        return weight.unflatten(0, (blocks, self.old))[:, self.unit].flatten(0, 1)

    def columns(self, weight: Tensor, blocks: int = 1) -> Tensor:
        """Divides outgoing weights `[outputs, blocks * old]` into `[outputs, blocks * new]`."""
        parts = weight.unflatten(1, (blocks, self.old))[:, :, self.unit] * self.share
        return parts.flatten(1)
