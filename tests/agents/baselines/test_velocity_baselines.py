"""Baselines in environments with velocity control."""

import numpy as np
import pytest
import torch

from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes import sample_episodes


def evaluate(make_env, name, scenes, task="pointnav", count=8, **options):
    env = make_env(4, scenes, task=task, sensors=(), action_mode="velocity", device="cpu", **options)
    chosen = sample_episodes(list(env.simulator.scenes.scenes), count, seed=1)
    _, episodes = env.task.prepare(list(env.simulator.scenes.scenes), chosen)
    env = make_env(4, scenes, task=task, episodes=episodes, sensors=(), action_mode="velocity", device="cpu", **options)
    return run_episodes(env, make_baseline(name, env), episodes, name, "here")


@pytest.mark.parametrize("task", ["pointnav", "objectnav", "imagenav", "multi_objectnav"])
def test_the_oracle_arrives_by_velocities(make_env, homes, task):
    found = evaluate(make_env, "oracle", homes[:1], task, max_episode_steps=1500)
    assert found.values("success").mean() == 1.0
    assert found.values("spl").mean() > 0.9


def test_speeds_do_what_the_actions_do(make_env, four_rooms):
    by_speed = evaluate(make_env, "oracle", four_rooms, count=4)
    by_action_env = make_env(4, four_rooms, sensors=(), device="cpu")
    episodes = sample_episodes([four_rooms], 4, seed=1)
    by_action_env = make_env(4, four_rooms, episodes=episodes, sensors=(), device="cpu")
    by_action = run_episodes(by_action_env, make_baseline("oracle", by_action_env), episodes, "oracle", "here")
    for one, other in zip(by_speed.records, by_action.records, strict=True):
        assert np.allclose(one.path, other.path, atol=2e-3)
        assert len(one.actions[0]) == 2


@pytest.mark.parametrize("name", ["random", "forward", "greedy"])
def test_others_act_by_velocities_too(make_env, one_room, name):
    env = make_env(3, one_room, sensors=(), action_mode="velocity", device="cpu")
    observation, _ = env.reset(seed=0)
    agent, start = make_baseline(name, env), torch.ones(3, dtype=torch.bool)
    before = env.simulator.state.position.clone()
    draws = torch.Generator().manual_seed(0)
    for _ in range(20):
        action = agent.act(observation, start, torch.rand(3, generator=draws))
        assert action.shape == (3, 2)
        assert action.abs().max() <= 1
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
    assert (env.simulator.state.position - before).norm(dim=-1).max() > 0.2


def test_speeds_without_standing_still_are_refused(make_env, one_room):
    env = make_env(1, one_room, sensors=(), action_mode="velocity", velocity={"lin_vel_range": (0.1, 0.3)})
    with pytest.raises(AgentError, match=r"the speeds from 0.1 to 0.3 of the velocity control leave out 0"):
        make_baseline("random", env)
