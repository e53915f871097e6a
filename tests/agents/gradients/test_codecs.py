"""Changed gradients are what they were on average, take the bytes that are counted, and hold few values."""

import pytest
import torch

from batchsim.agents.gradients.codecs import SixBits, StochasticPruning, make_codec
from batchsim.agents.gradients.small_floats import FP6, FloatFormat, format_index, round_stochastically
from tests.agents.gradients.test_lognormal import drawn


@pytest.mark.parametrize("coding", ["pruned", "fp6"])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_the_expectation_is_the_gradient(coding, sigma):
    """To three decimals: the mean of many draws of each of some elements, in units of their mean size."""
    codec = make_codec(coding, 0.85)
    gradient = drawn(-7.0, sigma, 2000)
    gradient = gradient / gradient.abs().mean()
    many = 4000
    total = torch.zeros_like(gradient, dtype=torch.float64)
    for _ in range(many):
        total += codec(gradient)
    bias = total / many - gradient
    assert abs(float(bias.mean())) < 1e-3
    # Nor do magnitudes drift, neither up nor down.
    assert abs(float((bias * gradient.sign()).mean())) < 1e-3


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_the_share_of_zeros_is_the_one_asked_for(sigma):
    gradient = torch.cat([drawn(2.0, sigma), torch.zeros(1000)])
    codec = StochasticPruning(0.85)
    arrived = codec(gradient)
    assert float((arrived[:-1000] == 0).float().mean()) == pytest.approx(0.85, abs=3e-3)
    assert not arrived[-1000:].any()
    kept = arrived != 0
    assert (arrived[kept].sign() == gradient[kept].sign()).all()
    # A bit per element, and four bytes for each that is left.
    expected = (4 * int(kept.sum()) + len(gradient) / 8) / (4 * len(gradient))
    assert float(codec.bytes_share()) == pytest.approx(expected, rel=1e-6)


def test_large_elements_arrive_unchanged():
    gradient = drawn(0.0, 1.0, 10_000)
    arrived = StochasticPruning(0.5)(gradient)
    alpha = arrived[arrived != 0].abs().min()
    large = gradient.abs() >= alpha
    assert 0 < large.sum() < 10_000
    assert torch.equal(arrived[large], gradient[large])
    assert torch.allclose(arrived[~large & (arrived != 0)].abs(), alpha.expand(1), rtol=1e-6)


@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_six_bits_are_at_most_64_numbers(sigma):
    codec = SixBits()
    arrived = codec(drawn(-3.0, sigma))
    assert len(arrived.unique()) <= 64
    assert arrived.isfinite().all()
    assert float(codec.bytes_share()) == pytest.approx(6 / 32, rel=1e-4)


def numbers(form):
    """All magnitudes of a format, written out bit by bit."""
    found = []
    for exponent in range(2**form.exponent):
        for fraction in range(2**form.mantissa):
            share = fraction / 2**form.mantissa
            found.append(share if exponent == 0 else (1 + share) * 2.0 ** (exponent - 1))
    return torch.tensor(sorted(set(found)))


@pytest.mark.parametrize("form", [*FP6, FloatFormat(4, 3), FloatFormat(2, 1)])
def test_rounding_gives_the_neighbours_in_the_format(form):
    grid = numbers(form)
    assert grid[-1] == form.largest
    values = torch.cat([torch.rand(2000, generator=torch.Generator().manual_seed(0)) * grid[-1], grid])
    values = torch.cat([values, torch.logspace(-3, 0, 500) * grid[-1]])
    low = round_stochastically(values, (form,), torch.tensor(0), torch.zeros(len(values)))
    high = round_stochastically(values, (form,), torch.tensor(0), torch.full((len(values),), 1 - 2.0**-24))
    index = torch.searchsorted(grid, values, right=True) - 1
    assert torch.equal(low, grid[index])
    exact = grid[index] == values
    assert torch.equal(high[~exact], grid[index[~exact] + 1])


@pytest.mark.parametrize(("sigma", "best"), [(0.7, 0), (1.4, 0), (2.0, 1), (3.0, 1), (4.5, 2)])
def test_the_format_of_a_spread_has_the_least_relative_error(sigma, best):
    """With the best scale of each format, and rounding to the nearest number."""
    size = drawn(0.0, sigma, 4000).abs()
    errors = []
    for form in FP6:
        grid = numbers(form)
        middle = (grid[1:] + grid[:-1]) / 2
        scales = torch.logspace(-3, 3, 61) * size.median() / grid[-1].sqrt()
        nearest = [grid[torch.bucketize((size / s).contiguous(), middle)] * s for s in scales]
        errors.append(min(float(((n - size).abs() / size).mean()) for n in nearest))
    assert errors.index(min(errors)) == best
    assert int(format_index(torch.tensor(sigma))) == best


def test_nothing_stays_nothing():
    for coding in ("pruned", "fp6"):
        assert not make_codec(coding, 0.85)(torch.zeros(7)).any()


def test_a_seed_repeats_the_draws():
    codec, gradient = SixBits(), drawn(0.0, 1.0, 100)
    codec.seed(3)
    first = codec(gradient)
    codec.seed(3)
    assert torch.equal(codec(gradient), first)
    codec.seed(4)
    assert not torch.equal(codec(gradient), first)
