"""What collecting a step of experience asks of torch must not grow with the number of environments, nor beyond limits.

The limit is what a step took when it was last set, and a little more; see tests/batchsim/test_step_counts.py.
"""

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.training.build import make_trainer
from batchsim.tasks.pointnav import FORWARD
from tests.helpers.step_counts import counted

LAUNCHES = 560
"""Operations a step, the environment's and the policy's together, where nothing is drawn."""


@pytest.fixture
def count_collect(one_room, monkeypatch):
    """Counts what a rollout of `steps` asks for, without an episode that ends."""

    def count(num_envs, steps):
        # The first episodes are spread over an episode's length: a long one, so that none ends here.
        config = TrainConfig(
            scenes=one_room, num_envs=num_envs, rollout_steps=steps, blind=True, max_episode_steps=9999
        )
        trainer = make_trainer(config)
        with torch.no_grad():
            trainer.policy.actor.bias.fill_(-50.0)[FORWARD] = 50.0
        trainer.collect()
        with counted(monkeypatch) as counts:
            trainer.collect()
        trainer.env.close()
        return counts

    return count


def test_experience_costs_the_same_operations_for_any_number_of_environments(count_collect):
    few, many = (count_collect(n, 4) for n in (3, 60))
    assert few.ops == many.ops


def test_a_step_more_costs_no_more_than_it_did(count_collect):
    short, long = (count_collect(3, steps) for steps in (4, 8))
    assert 0 < (long.launches - short.launches) / 4 <= LAUNCHES
    assert (sum(long.waits.values()) - sum(short.waits.values())) / 4 <= 6
