"""Pruning: the smallest weights of each layer become zero and stay zero."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy

_FULL_AT = 0.5  # the fraction of retraining after which all zeros are there


class Pruning:
    """Makes the fraction `share` of the weights of each matrix and kernel zero, the smallest ones (Han et al., 2015).

    The fraction rises over the first half of retraining as 1 - (1 - t)^3 (Zhu and Gupta, 2017), because few weights can
    be removed at a time. Biases and other vectors are not pruned. Weights that are zero remain zero, and so a policy
    that was pruned before can be pruned further.
    """

    def __init__(self, policy: Policy, share: float) -> None:
        self._weights = matrices(policy)
        self._share = share
        self._masks = [weight != 0 for weight in self._weights]

    @torch.no_grad()
    def tighten(self, done: float) -> None:
        """See `Constraint`."""
        left = max(0.0, 1 - done / _FULL_AT)
        self._masks = [_largest(weight, self._share * (1 - left**3)) for weight in self._weights]
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """See `Constraint`."""
        for weight, mask in zip(self._weights, self._masks, strict=True):
            weight.mul_(mask)


def matrices(policy: Policy) -> list[Tensor]:
    """Returns the weights with two or more dimensions."""
    return [weight for weight in policy.parameters() if weight.ndim >= 2]


def _largest(weight: Tensor, share: float) -> Tensor:
    """Returns where the weights are that remain if the fraction `share`, the smallest, and all zeros are removed."""
    remove = round(share * weight.numel())
    mask = weight != 0
    if remove:
        smallest = weight.abs().flatten().argsort()[:remove]
        mask.view(-1)[smallest] = False
    return mask
