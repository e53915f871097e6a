"""Learning rates computed by hand."""

from dataclasses import replace

import pytest

from batchsim.agents.config import TrainConfig
from batchsim.agents.ppo.lr_schedule import batch_scale, decay_factor
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.presets import preset


def test_the_rate_grows_with_the_square_root_of_a_minibatch():
    assert batch_scale(1024 * 32, 2) == 8.0  # 16,384 frames = 64 x 256
    assert batch_scale(4 * 1024 * 32, 2) == 16.0
    assert batch_scale(256, 1) == 1.0
    assert batch_scale(64, 2) == 1.0  # never less than 1


@pytest.mark.parametrize(
    ("share", "linear", "cosine"),
    [
        (0.0, 0.0, 0.0),
        (0.05, 0.5, 0.5),
        (0.1, 1.0, 1.0),
        (0.4, 1 - 0.9 / 3, 0.1 + 0.9 * 0.75),  # a third of the way down: (1 + cos 60 degrees) / 2 = 0.75
        (0.55, 0.55, 0.55),
        (1.0, 0.1, 0.1),
        (1.2, 0.1, 0.1),
    ],
)
def test_decay_by_hand(share, linear, cosine):
    assert decay_factor(share, "linear", warmup=0.1, final=0.1) == pytest.approx(linear)
    assert decay_factor(share, "cosine", warmup=0.1, final=0.1) == pytest.approx(cosine)


def test_the_quickstarts_rate_falls_straight_from_the_start():
    config = TrainConfig(final_lr_fraction=0.05, ppo=PPOConfig(learning_rate=1e-3))
    assert config.learning_rate_at(0.0) == pytest.approx(1e-3)
    assert config.learning_rate_at(0.5) == pytest.approx(1e-3 * (1 - 0.95 * 0.5))
    assert config.learning_rate_at(1.0) == pytest.approx(5e-5)
    assert config.learning_rate_at(0.5, ranks=4) == config.learning_rate_at(0.5)


def test_the_large_presets_rate():
    config = replace(preset("pointnav-depth"), num_envs=1024)
    assert config.learning_rate_at(0.005) == pytest.approx(0.5 * 5e-4 * 8)
    assert config.learning_rate_at(0.01) == pytest.approx(5e-4 * 8)
    assert config.learning_rate_at(0.01, ranks=4) == pytest.approx(5e-4 * 16)
    assert config.learning_rate_at(0.505) == pytest.approx(5e-4 * 4)
    assert config.learning_rate_at(1.0) == pytest.approx(0.0)
