"""The closed form of pruning against numbers that were drawn, and the fit against scipy's."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from batchsim.agents.gradients.lognormal import LogNormal, Threshold, fit, ks_distance, pruned_share, solve_log_ratio


def drawn(mu, sigma, count=400_000, seed=0):
    """Signed lognormal numbers."""
    generator = torch.Generator().manual_seed(seed)
    sign = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    return sign * (mu + sigma * torch.randn(count, generator=generator)).exp()


# alpha over the median by sigma, for shares of 0.5, 0.8, 0.85 and 0.9; computed beforehand with another program.
TABLE = {1: (2.40, 7.82, 10.7, 16.3), 2: (2.58, 17.0, 26.7, 47.7), 3: (2.64, 38.1, 71.1, 157)}


@pytest.mark.parametrize("sigma", TABLE)
def test_thresholds_of_the_table(sigma):
    for share, expected in zip((0.5, 0.8, 0.85, 0.9), TABLE[sigma], strict=True):
        ratio = math.exp(float(solve_log_ratio(share, torch.tensor(float(sigma)))))
        assert ratio == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(("sigma", "ratio"), [(0.5, 2.0), (1.0, 7.82), (2.0, 5.0), (3.0, 71.1)])
def test_the_closed_form_against_draws(sigma, ratio):
    size = drawn(-4.0, sigma).double().abs()
    alpha = math.exp(-4.0) * ratio
    # The expected share of zeros, given the sizes: those below alpha are zero with probability 1 - size / alpha.
    zeros = float(torch.where(size < alpha, 1 - size / alpha, 0.0).mean())
    share = float(pruned_share(torch.tensor(math.log(ratio), dtype=torch.float64), torch.tensor(float(sigma))))
    assert share == pytest.approx(zeros, abs=2e-3)


@pytest.mark.parametrize("sigma", [0.06, 0.3, 1.0, 2.7, 7.5])
def test_the_table_of_thresholds_is_as_good_as_solving(sigma):
    exact = math.exp(-2.0) * math.exp(float(solve_log_ratio(0.85, torch.tensor(sigma))))
    found = Threshold(0.85)(LogNormal(torch.tensor(-2.0), torch.tensor(sigma)))
    assert float(found) == pytest.approx(exact, rel=1e-3)


def test_fit_and_distance_are_scipys():
    values = torch.cat([drawn(-3.0, 1.5, 3000), torch.zeros(500)])
    fitted = fit(values)
    logs = np.log(np.abs(values[:3000].double().numpy()))
    assert float(fitted.mu) == pytest.approx(logs.mean(), abs=1e-4)
    assert float(fitted.sigma) == pytest.approx(logs.std(), abs=1e-4)
    expected = stats.kstest(logs, "norm", args=(float(fitted.mu), float(fitted.sigma))).statistic
    assert ks_distance(values, fitted) == pytest.approx(expected, abs=1e-6)


def test_other_distributions_are_farther_from_lognormal():
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1)) + 1e-6
    lognormal = drawn(0.0, 1.0, 20_000)
    assert ks_distance(lognormal, fit(lognormal)) < 0.01
    assert ks_distance(uniform, fit(uniform)) > 0.1
    assert ks_distance(torch.zeros(5), fit(torch.zeros(5))) == 1.0
