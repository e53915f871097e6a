"""Weights and shares at each moment of training, and options that are refused."""

import pytest

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.imitation.schedule import Imitation, ImitationConfig


def test_nothing_is_imitated_by_default():
    assert ImitationConfig().at(0.0) == Imitation()
    assert not Imitation().needs_labels
    assert not TrainConfig().imitation.at(0.0).needs_labels


@pytest.mark.parametrize(
    ("share", "weight", "expert_share", "learns_reward"),
    [
        (0.0, 0.9, 0.6, False),
        (0.1, 0.8, 0.45, False),
        (0.2, 0.7, 0.3, True),
        (0.4, 0.5, 0.0, True),
        (1.0, 0.1, 0.0, True),
    ],
)
def test_decays_by_hand(share, weight, expert_share, learns_reward):
    config = ImitationConfig(
        imitation=True,
        imitation_weight=0.9,
        final_imitation_weight=0.1,
        imitation_end=0.8,
        pure_imitation=0.2,
        expert_share=0.6,
        expert_share_end=0.4,
        stop_weight=3.0,
    )
    now = config.at(share)
    assert (now.weight, now.expert_share) == (pytest.approx(weight), pytest.approx(expert_share))
    assert now.learns_reward is learns_reward
    assert now.stop_weight == 3.0
    assert now.needs_labels


def test_labels_are_not_needed_after_the_end():
    config = ImitationConfig(imitation=True, imitation_end=0.5, expert_share_end=0.0, expert_share=0.3)
    assert config.at(0.49).needs_labels
    assert not config.at(0.5).needs_labels


def test_behaviour_cloning_lasts():
    config = ImitationConfig(imitation=True, expert_share=1.0)
    for share in (0.0, 0.7, 1.0):
        assert config.at(share) == Imitation(0.5, 1.0, False, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("imitation_weight", -1.0), ("expert_share", 1.5), ("pure_imitation", -0.1), ("stop_weight", float("nan"))],
)
def test_values_out_of_range(name, value):
    with pytest.raises(AgentError, match=name):
        TrainConfig(imitation=ImitationConfig(**{name: value})).check()


def test_velocities_are_not_imitated():
    with pytest.raises(AgentError, match="--action-mode discrete"):
        TrainConfig(action_mode="velocity", imitation=ImitationConfig(imitation=True)).check()
