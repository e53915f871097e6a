"""How often the host waits for a GPU while an agent learns."""

import warnings

import pytest

from batchsim.agents.networks.policy import Policy, config_for
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.ppo.trainer import Trainer
from batchsim.cuda_graph import sync_debug


def waits(function):
    """Calls `function` and returns torch's warnings about operations that make the host wait."""
    with warnings.catch_warnings(record=True) as caught, sync_debug("warn"):
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught if "synchronizing" in str(warning.message)]


@pytest.fixture
def trainer(make_env, homes, seeded):
    env = make_env(16, homes, sensors=("depth",), width=32, height=32, renderer="raycast", device="cuda")
    spaces = env.single_observation_space, env.single_action_space
    policy = Policy(config_for(*spaces, hidden_size=32)).to(env.device)
    made = Trainer(env, policy, PPOConfig(epochs=2, minibatches=4), 8, 0)
    made.iteration()
    return made


@pytest.mark.gpu
def test_gpu_a_rollout_never_waits(trainer):
    assert waits(trainer.collect) == []


@pytest.mark.gpu
def test_gpu_an_update_waits_twice_at_most(trainer):
    trainer.collect()
    assert len(waits(lambda: trainer.ppo.update(trainer.rollout, trainer.generator))) <= 2
