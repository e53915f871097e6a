"""`RslRlVecEnv`: what RSL-RL's own storage keeps is what the environment showed."""

import pytest
import torch

pytest.importorskip("rsl_rl")
from rsl_rl.runners import OnPolicyRunner

from batchsim.agents.adapters import RslRlVecEnv
from batchsim.agents.errors import AgentError

GOAL = "pointgoal_with_gps_compass"
OPTIONS = {"sensors": ("depth", "rgb"), "action_mode": "velocity", "channels_first": True}
STEPS = 12


def make_runner(env):
    cnn = {"output_channels": [4], "kernel_size": 8, "stride": 4}
    network = {"class_name": "CNNModel", "hidden_dims": [8], "cnn_cfg": cnn}
    groups = ["depth", "rgb", GOAL]
    config = {
        "num_steps_per_env": STEPS,
        "save_interval": 100,
        "obs_groups": {"actor": groups, "critic": groups},
        "actor": {**network, "distribution_cfg": {"class_name": "GaussianDistribution"}},
        "critic": dict(network),
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 1, "num_mini_batches": 1, "gamma": 0.5},
    }
    return OnPolicyRunner(env, config, device="cpu")


def test_the_storage_holds_every_frame(make_pair, monkeypatch):
    env, direct = make_pair(**OPTIONS)
    adapted = RslRlVecEnv(env, seed=3)
    runner = make_runner(adapted)
    kept = {}
    monkeypatch.setattr(runner.alg, "update", lambda: kept.update(storage=runner.alg.storage) or {})
    monkeypatch.setattr(runner.logger, "log", lambda **_: None)
    runner.learn(1)
    storage = kept["storage"]
    observation, _ = direct.reset(seed=3)
    cut_off = 0
    for t in range(STEPS):
        for name, value in observation.items():
            expected = value / 255.0 if value.dtype == torch.uint8 else value
            assert torch.equal(storage.observations[name][t], expected), (t, name)
        observation, reward, terminated, truncated, _ = direct.step(storage.actions[t])
        alone = truncated & ~terminated
        cut_off += int(alone.sum())
        bootstrapped = reward + 0.5 * storage.values[t, :, 0] * alone
        assert torch.allclose(storage.rewards[t, :, 0], bootstrapped, atol=1e-6)
        assert torch.equal(storage.dones[t, :, 0].bool(), terminated | truncated)
    assert cut_off > 0
    # Outside of RSL-RL's inference mode the environment can still be stepped.
    adapted.step(torch.zeros(3, 2))
    assert not adapted.get_observations()["rgb"].is_inference()


def test_first_episodes_of_random_length(make_pair):
    env, _ = make_pair(**OPTIONS)
    adapted = RslRlVecEnv(env, seed=0)
    assert (adapted.num_envs, adapted.num_actions, adapted.max_episode_length) == (3, 2, 7)
    adapted.episode_length_buf = torch.tensor([0, 6, 3])
    ahead = torch.tensor([[1.0, 1.0]] * 3)
    _, _, dones, extras = adapted.step(ahead)
    assert dones.tolist() == [False, True, False]
    assert extras["time_outs"].tolist() == [False, True, False]
    assert extras["log"]["/episode_length"] == extras["final_info"]["episode_length"][1]
    assert adapted.episode_length_buf.tolist() == [1, 0, 4]
    assert adapted.step(ahead)[3]["log"] == {}


def test_discrete_actions_are_refused(make_pair):
    with pytest.raises(AgentError, match="action_mode='velocity'"):
        RslRlVecEnv(make_pair()[0])
