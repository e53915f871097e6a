"""The published means and variances of a LoCoBot's motion, and what is promised of every single action."""

import math

import pytest
import torch

from batchsim.errors import OptionError
from batchsim.noise import ActuationNoise
from batchsim.noise.normal import TRUNCATED_VARIANCE

# Means and variances of forward (along, across, heading) and turn, from habitat-sim's pyrobot_noisy_controls.
PUBLISHED = {
    ("LoCoBot", "ILQR"): (
        (0.014, 0.006),
        (0.009, 0.005),
        (0.008, 0.004),
        (0.003, 0.002),
        (0.003, 0.003),
        (0.023, 0.012),
    ),
    ("LoCoBot", "Proportional"): (
        *((0.017, 0.007), (0.042, 0.023), (0.031, 0.026)),
        *((0.001, 0.001), (0.005, 0.004), (0.043, 0.017)),
    ),
    ("LoCoBot", "Movebase"): (
        *((0.074, 0.019), (0.036, 0.033), (0.189, 0.038)),
        *((0.002, 0.0), (0.003, 0.002), (0.219, 0.019)),
    ),
    ("LoCoBot-Lite", "ILQR"): (
        *((0.142, 0.008), (0.023, 0.008), (0.031, 0.028)),
        *((0.002, 0.001), (0.002, 0.002), (0.122, 0.03)),
    ),
    ("LoCoBot-Lite", "Proportional"): (
        *((0.135, 0.007), (0.043, 0.009), (0.049, 0.009)),
        *((0.002, 0.002), (0.002, 0.001), (0.054, 0.061)),
    ),
    ("LoCoBot-Lite", "Movebase"): (
        *((0.192, 0.055), (0.117, 0.144), (0.128, 0.143)),
        *((0.002, 0.001), (0.001, 0.001), (0.173, 0.025)),
    ),
}
COUNT = 40_000


def disturbed(noise, walk, turn, count=COUNT):
    index = torch.arange(count)
    amounts = torch.full((count,), walk), torch.full((count,), turn)
    return noise.disturb(index % 64, index // 64, index % 7, *amounts)


@pytest.mark.parametrize("model", PUBLISHED, ids="-".join)
@pytest.mark.parametrize("sign", [1, -1])
def test_means_and_variances_are_those_published(model, sign):
    noise = ActuationNoise(*model)
    # Long moves, which the promise to advance does not touch.
    forward, turn = disturbed(noise, 10.0 * sign, 0.0), disturbed(noise, 0.0, 3.0 * sign)
    parts = [forward[0] - 10.0 * sign, forward[1], forward[2], turn[0], turn[1], turn[2] - 3.0 * sign]
    for part, (mean, variance) in zip(parts, PUBLISHED[model], strict=True):
        expected = TRUNCATED_VARIANCE * variance
        assert float(part.mean()) == pytest.approx(sign * mean, abs=5 * math.sqrt(expected / COUNT) + 1e-6)
        assert float(part.var()) == pytest.approx(expected, rel=0.05, abs=1e-9)
        assert ((part - sign * mean).abs() <= 3 * math.sqrt(variance) + 1e-5).all()


@pytest.mark.parametrize("model", PUBLISHED, ids="-".join)
def test_every_action_is_carried_out_by_more_than_a_twentieth(model):
    noise = ActuationNoise(*model)
    assert (disturbed(noise, 0.25, 0.0)[0] >= 0.05 * 0.25 - 1e-5).all()
    assert (disturbed(noise, 0.0, math.radians(30))[2] >= 0.05 * math.radians(30) - 1e-5).all()
    assert (disturbed(noise, 0.0, -math.radians(30))[2] <= -0.05 * math.radians(30) + 1e-5).all()
    assert float(disturbed(noise, 0.25, 0.0)[0].max()) <= 0.25 + noise.farthest


def test_the_multiplier_scales_noise():
    whole, half = (disturbed(ActuationNoise("LoCoBot", "Proportional", m), 10.0, 0.0, 500) for m in (1.0, 0.5))
    for one, other, wanted in zip(whole, half, (10.0, 0.0, 0.0), strict=True):
        torch.testing.assert_close(2 * (other - wanted), one - wanted, atol=2e-5, rtol=1e-4)


def test_standing_still_is_exact_and_streams_do_not_depend_on_others():
    noise = ActuationNoise()
    assert all((part == 0).all() for part in disturbed(noise, 0.0, 0.0, 100))
    for one, many in zip(disturbed(noise, 0.25, 0.0, 3), disturbed(noise, 0.25, 0.0, 300), strict=True):
        assert torch.equal(one, many[:3])


def test_unknown_robots_are_refused():
    with pytest.raises(OptionError, match=r"robot='Roomba': expected one of 'LoCoBot', 'LoCoBot-Lite'"):
        ActuationNoise("Roomba")
    with pytest.raises(OptionError, match="multiplier=-1"):
        ActuationNoise(multiplier=-1)
