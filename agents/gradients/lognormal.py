"""The lognormal distribution of gradients: fit, distance, and the threshold that prunes a given share.

Magnitudes of neural gradients, those with respect to the outputs of layers, are nearly lognormal (Chmiel et al.,
"Neural gradients are near-lognormal", ICLR 2021). The fit uses the natural logarithm of all elements but zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST_SIGMA, _LARGEST_SIGMA, _GRID = 0.05, 8.0, 512


@dataclass(frozen=True)
class LogNormal:
    """Mean and standard deviation of ln|g|, scalars on the device of the gradient."""

    mu: Tensor
    sigma: Tensor


def fit(gradient: Tensor) -> LogNormal:
    """Fits the elements of `gradient` that are not zero, without waiting for the device; of none, both are 0."""
    nonzero = gradient != 0
    count = nonzero.sum().clamp(min=1)
    logs = torch.where(nonzero, gradient.abs(), 1.0).log()  # ln 1 = 0 adds nothing to the sums
    mu = logs.sum() / count
    variance = torch.where(nonzero, (logs - mu).square(), 0.0).sum() / count
    return LogNormal(mu, variance.sqrt())


def ks_distance(gradient: Tensor, fitted: LogNormal) -> float:
    """Returns the Kolmogorov-Smirnov distance of ln|g| from the fitted normal distribution, 0 to 1; zeros are left out.

    It is the largest difference of the two cumulative distribution functions. Gradients without two different
    magnitudes have the distance 1.
    """
    values = gradient[gradient != 0].abs().double().log().sort().values
    count = len(values)
    if count < 2 or not fitted.sigma > 0:
        return 1.0
    expected = torch.special.ndtr((values - fitted.mu) / fitted.sigma)
    places = torch.arange(count, dtype=torch.float64, device=values.device)
    above, below = ((places + 1) / count - expected).max(), (expected - places / count).max()
    return float(torch.maximum(above, below))


def pruned_share(log_ratio: Tensor, sigma: Tensor) -> Tensor:
    """Returns the share of zeros after stochastic pruning at the threshold alpha = median * exp(`log_ratio`).

    S = Phi(z) - exp(sigma^2 / 2) / (alpha / median) Phi(z - sigma) with z = ln(alpha / median) / sigma: the elements
    below alpha, less those of them that become alpha.
    """
    z = log_ratio / sigma
    return torch.special.ndtr(z) - (0.5 * sigma.square() - log_ratio).exp() * torch.special.ndtr(z - sigma)


def solve_log_ratio(share: float, sigma: Tensor) -> Tensor:
    """Returns ln(alpha / median) for which `pruned_share` is `share`, by bisection; float64 of the shape of `sigma`."""
    sigma = sigma.double()
    low, high = torch.zeros_like(sigma) - 5 * sigma, 20 + 10 * sigma
    for _ in range(80):
        middle = (low + high) / 2
        enough = pruned_share(middle, sigma) >= share
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return (low + high) / 2


class Threshold:
    """Thresholds that prune the share `share`, from a table over sigma, so that no step solves an equation."""

    def __init__(self, share: float) -> None:
        grid = torch.linspace(math.log(_SMALLEST_SIGMA), math.log(_LARGEST_SIGMA), _GRID, dtype=torch.float64)
        self._log_ratios = solve_log_ratio(share, grid.exp()).float()
        self._first, self._step = float(grid[0]), float(grid[1] - grid[0])

    def __call__(self, fitted: LogNormal) -> Tensor:
        """Returns alpha for gradients of the distribution `fitted`, a scalar."""
        table = self._log_ratios = self._log_ratios.to(fitted.sigma.device)
        place = (fitted.sigma.clamp(_SMALLEST_SIGMA, _LARGEST_SIGMA).log() - self._first) / self._step
        place = place.clamp(0, _GRID - 1.001)
        index = place.long()
        return (fitted.mu + torch.lerp(table[index], table[index + 1], place - index)).exp()
