"""Noise of images: means and variances against the models' numbers, streams, tables and wrong options."""

import math

import numpy as np
import pytest
import torch

from batchsim.errors import OptionError
from batchsim.noise import GaussianRgb, Noise, PoissonRgb, RedwoodDepth, SaltAndPepperRgb, SpeckleRgb, read_noise
from batchsim.noise.depth import BASELINE, DISPARITY_DEVIATION, PIXEL_DEVIATION

COUNT = 16


def streams(count=COUNT):
    return torch.arange(count), torch.arange(count) % 5


def grey(value, count=COUNT, size=48):
    return torch.full((count, size, size, 3), value, dtype=torch.uint8)


def test_gaussian():
    noisy = GaussianRgb(0.1)(grey(128), *streams()).float()
    assert float(noisy.mean()) == pytest.approx(128, abs=0.3)
    # Rounding to whole numbers adds a twelfth.
    assert float(noisy.var()) == pytest.approx(25.5**2 + 1 / 12, rel=0.02)
    assert GaussianRgb().intensity == 0.2
    clipped = GaussianRgb(0.1)(grey(255), *streams()).float()
    assert float((clipped == 255).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_speckle():
    noisy = SpeckleRgb(0.1)(grey(100), *streams()).float()
    assert float(noisy.mean()) == pytest.approx(100, abs=0.2)
    assert float(noisy.var()) == pytest.approx(10**2 + 1 / 12, rel=0.02)
    assert (SpeckleRgb()(grey(0), *streams()) == 0).all()


@pytest.mark.parametrize("mean", [3, 40, 150])
def test_poisson(mean):
    noisy = PoissonRgb()(grey(mean), *streams()).float()
    assert float(noisy.mean()) == pytest.approx(mean, rel=0.01)
    assert float(noisy.var()) == pytest.approx(mean, rel=0.03)
    share = float((noisy == mean).float().mean())
    exact = math.exp(-mean + mean * math.log(mean) - math.lgamma(mean + 1))
    assert share == pytest.approx(exact, rel=0.05)


def test_salt_and_pepper():
    noisy = SaltAndPepperRgb()(grey(128), *streams())
    assert float((noisy == 255).all(-1).float().mean()) == pytest.approx(0.025, rel=0.1)
    assert float((noisy == 0).all(-1).float().mean()) == pytest.approx(0.025, rel=0.1)
    assert (noisy == 128).all(-1).float().mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("model", [GaussianRgb(), SpeckleRgb(), PoissonRgb(), SaltAndPepperRgb()])
def test_an_image_is_the_same_whatever_is_beside_it(model):
    assert torch.equal(model(grey(77, 2, 8), *streams(2)), model(grey(77, 9, 8), *streams(9))[:2])
    seeds, counters = streams(2)
    assert not torch.equal(model(grey(77, 2, 8), seeds, counters), model(grey(77, 2, 8), seeds, counters + 1))


def test_redwood_rounds_noisy_disparity_to_eighths():
    # Images of one depth each, of many depths: what rounding adds is then spread evenly over an eighth.
    depth = torch.linspace(2, 4, 900).view(-1, 1, 1, 1).expand(-1, 8, 8, 1)
    noisy = RedwoodDepth()(depth, *streams(900))
    steps = 8 * BASELINE / noisy
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    error = BASELINE / noisy - BASELINE / depth
    assert float(error.mean()) == pytest.approx(0, abs=0.002)
    assert float(error.var()) == pytest.approx(DISPARITY_DEVIATION**2 + 1 / (12 * 64), rel=0.05)


def test_redwood_sees_nothing_from_ten_metres_on():
    depth = torch.tensor([0.0, 9.9, 10.0, 12.0]).view(4, 1, 1, 1).expand(4, 4, 4, 1)
    noisy = RedwoodDepth()(depth, *streams(4))
    assert (noisy[0] == 0).all()
    assert (noisy[1] > 9).all()
    assert (noisy[2:] == 0).all()


def test_redwood_moves_pixels_and_samples_even_ones():
    column = torch.arange(64.0).view(1, 1, 64, 1).expand(COUNT, 64, 64, 1) / 64 + 1
    noisy = RedwoodDepth(multiplier=0)(column, *streams())
    seen = ((BASELINE / (BASELINE / noisy) - 1) * 64).round()
    moved = seen[:, :, 20:40, 0] - torch.arange(20, 40)
    # A pixel moves on where the noise is above half a pixel: two deviations.
    even = moved[:, :, ::2]
    share = float((even.abs() > 1.5).float().mean())
    assert share == pytest.approx(0.5 * math.erfc(0.5 / PIXEL_DEVIATION / math.sqrt(2)), abs=0.01)


def test_redwood_divides_by_the_table(tmp_path):
    table = np.ones((80, 80, 5), np.float32)
    table[:, 40:, :] = 1.25
    table[:40, :, 1:] = 2.0  # from 3 m on, in the upper half
    np.save(tmp_path / "table.npy", table)
    model = RedwoodDepth(multiplier=0, table=str(tmp_path / "table.npy"))
    depth = torch.full((1, 480, 640, 1), 2.0)
    near = model(depth, *streams(1))[0, :, :, 0]
    # Half way from 1 to 3 metres: (1 + 2) / 2 above on the left.
    assert float(near[100, 100]) == pytest.approx(2 / 1.5, abs=0.02)
    assert float(near[400, 100]) == pytest.approx(2.0, abs=0.02)
    assert float(near[400, 500]) == pytest.approx(2 / 1.25, abs=0.02)


def test_bad_tables_are_named(tmp_path):
    np.save(tmp_path / "small.npy", np.ones((2, 2)))
    with pytest.raises(OptionError, match=r"expected real numbers of shape \(80, 80, 5\); got float64 \(2, 2\)"):
        RedwoodDepth(table=str(tmp_path / "small.npy"))
    with pytest.raises(OptionError, match=r"cannot be read as an .npy file"):
        RedwoodDepth(table=str(tmp_path / "missing.npy"))


def test_noise_by_name():
    noise = read_noise({"rgb": {"model": "gaussian", "intensity": 0.1}, "depth": "redwood", "actuation": {}})
    assert noise.rgb == GaussianRgb(0.1)
    assert noise.depth == RedwoodDepth()
    assert noise.actuation.robot == "LoCoBot"
    assert read_noise(noise.to_json()) == noise
    assert read_noise(None) == Noise()
    for wrong, message in (
        ({"sound": "loud"}, "some of actuation, rgb, depth"),
        ({"rgb": "grain"}, "expected one of 'gaussian'"),
        ({"rgb": {"model": "gaussian", "sigma": 1}}, "sigma: expected some of intensity"),
        ({"depth": 3}, "expected one of 'redwood'"),
    ):
        with pytest.raises(OptionError, match=message):
            read_noise(wrong)
