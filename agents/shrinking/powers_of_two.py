"""Incremental quantisation: step by step, all weights become zero or a power of two."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy
from batchsim.agents.shrinking.pruning import matrices

# (fraction of retraining, share of the weights that are quantised from then on); shares as in the paper.
_STAGES = ((0.0, 0.5), (0.25, 0.75), (0.5, 0.875), (0.8, 1.0))


class PowersOfTwo:
    """Makes the weights of each matrix and kernel zero or plus or minus a power of two (Zhou et al., "INQ", 2017).

    With b bits there are 2^(b - 2) powers per layer: the largest is 2^n1 with n1 = floor(log2(4 max|W| / 3)), and the
    others follow downwards. In four stages the largest half, 75%, 87.5% and all of the weights are quantised and
    frozen; those that are left are retrained meanwhile. Weights that are zero at the beginning, such as pruned ones,
    remain zero.
    """

    def __init__(self, policy: Policy, bits: int) -> None:
        self._weights = matrices(policy)
        self._highest = [highest_power(weight) for weight in self._weights]
        self._levels = 2 ** (bits - 2)
        self._values = [
            to_powers(weight.detach(), highest, self._levels)
            for weight, highest in zip(self._weights, self._highest, strict=True)
        ]
        # Weights that are powers already were frozen before a stop, or are zero.
        self._frozen = [weight == value for weight, value in zip(self._weights, self._values, strict=True)]
        self._zeros = [int((weight == 0).sum()) for weight in self._weights]
        self._share = 0.0

    @torch.no_grad()
    def tighten(self, done: float) -> None:
        """See `Constraint`."""
        share = max(quantised for start, quantised in _STAGES if done >= start)
        if share > self._share:
            self._share = share
            for k in range(len(self._weights)):
                self._freeze_largest(k)
        self.apply()

    def _freeze_largest(self, k: int) -> None:
        """Quantises and freezes the largest weights of matrix k, until the share of this stage is frozen."""
        weight, frozen = self._weights[k], self._frozen[k]
        target = self._zeros[k] + math.ceil(self._share * (weight.numel() - self._zeros[k]))
        more = max(0, target - int(frozen.sum()))
        chosen = torch.where(frozen, -1.0, weight.abs()).flatten().argsort(descending=True)[:more]
        self._values[k].view(-1)[chosen] = to_powers(weight, self._highest[k], self._levels).flatten()[chosen]
        frozen.view(-1)[chosen] = True

    @torch.no_grad()
    def apply(self) -> None:
        """See `Constraint`."""
        for weight, frozen, value in zip(self._weights, self._frozen, self._values, strict=True):
            weight.copy_(torch.where(frozen, value, weight))


def highest_power(weight: Tensor) -> int:
    """Returns n1 = floor(log2(4 max|W| / 3)), the exponent of the largest power for `weight`."""
    largest = float(weight.detach().abs().max())
    return math.floor(math.log2(4 * largest / 3)) if largest else 0


def to_powers(weight: Tensor, highest: int, levels: int) -> Tensor:
    """Rounds to zero or plus or minus one of the `levels` powers of two up to 2^`highest`.

    Between the neighbours a < b of that set, |w| becomes b from (a + b) / 2 on.
    """
    size = weight.abs()
    lowest = highest - levels + 1
    # (a + b) / 2 is 0.75 b for b = 2 a, and 0.5 b for the lowest power, whose neighbour is 0.
    exponent = torch.floor(torch.log2(size.clamp(min=2.0 ** (lowest - 2)) / 0.75)).clamp(lowest, highest)
    rounded = torch.where(size >= 2.0 ** (lowest - 1), torch.exp2(exponent), torch.zeros_like(size))
    return rounded.copysign(weight)
