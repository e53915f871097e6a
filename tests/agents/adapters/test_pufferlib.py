"""`PufferNavEnv`: it fills PufferLib's buffers. Without PufferLib, a base class with the same buffers stands in."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch


class BufferedEnv:
    """What `pufferlib.PufferEnv` sets up for an environment of several agents."""

    def __init__(self, buf=None):
        agents = self.num_agents
        self.observations = np.zeros((agents, *self.single_observation_space.shape), np.float32)
        self.rewards = np.zeros(agents, np.float32)
        self.terminals, self.truncations = np.zeros(agents, bool), np.zeros(agents, bool)


@pytest.fixture
def puffer_env(monkeypatch):
    try:
        import pufferlib  # noqa: F401
    except ImportError:
        stand_in = ModuleType("pufferlib")
        stand_in.PufferEnv = BufferedEnv
        monkeypatch.setitem(sys.modules, "pufferlib", stand_in)
    from batchsim.agents.adapters.pufferlib import PufferNavEnv

    yield PufferNavEnv
    sys.modules.pop("batchsim.agents.adapters.pufferlib")


def test_buffers_hold_the_steps(make_pair, actions, puffer_env):
    env, direct = make_pair(sensors=("depth", "rgb"))
    adapted = puffer_env(env)
    buffer = adapted.observations
    observations, infos = adapted.reset(seed=2)
    expected, _ = direct.reset(seed=2)
    assert infos == []
    ends = 0
    for action in actions:
        assert observations is buffer
        seen = adapted.unflatten(torch.as_tensor(observations))
        assert torch.equal(seen["depth"], expected["depth"])
        assert torch.equal(seen["rgb"], expected["rgb"] / 255.0)
        observations, rewards, terminals, truncations, infos = adapted.step(action.numpy())
        expected, reward, terminated, truncated, info = direct.step(action)
        assert np.array_equal(rewards, reward)
        assert np.array_equal(terminals, terminated)
        assert np.array_equal(truncations, truncated)
        done = terminated | truncated
        ends += int(done.any())
        assert len(infos) == int(done.any())
        if infos:
            assert infos[0]["spl"] == pytest.approx(float(info["final_info"]["spl"][done].mean()))
    assert ends > 5
