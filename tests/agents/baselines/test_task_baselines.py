"""Baselines of Flee and Explore, where it is known how well they must do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from batchsim.agents.baselines.registry import baselines_of, default_baselines, make_baseline
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes import sample_episodes
from batchsim.tasks import Explore, Flee, PointNav
from tests.helpers.infos import measures


def evaluate(make_env, name, task, scenes, count, **options):
    scenes, episodes = task.prepare(scenes, sample_episodes(scenes, count, seed=1))
    env = make_env(count, scenes, task=task, episodes=episodes, sensors=(), turn_angle=30.0, **options)
    env.reset(seed=0)
    agent, episode_start = make_baseline(name, env), torch.ones(count, dtype=torch.bool)
    draws = torch.Generator().manual_seed(0)
    for _ in range(options["max_episode_steps"]):
        *_, truncated, info = env.step(agent.act({}, episode_start, torch.rand(count, generator=draws)))
        episode_start = truncated
    assert truncated.all()
    return {key: value.numpy() for key, value in measures(info).items()}


def test_the_oracle_flees_almost_as_far_as_can_be(make_env, homes, four_rooms):
    found = evaluate(make_env, "oracle", Flee(), [*homes, four_rooms], 12, max_episode_steps=120)
    # The scenes here have few goals to choose the direction by.
    assert found["flee_ratio"].mean() > 0.85
    assert found["flee_ratio"].min() > 0.6
    # It stays where it has come to.
    assert found["max_distance"] - found["distance_from_start"] == pytest.approx(np.zeros(12), abs=0.3)


def test_the_oracle_explores_more_than_those_who_do_not_know_the_map(make_env, homes, four_rooms):
    share = {
        name: evaluate(make_env, name, Explore(), [*homes, four_rooms], 12, max_episode_steps=120)["explored_share"]
        for name in ("random", "forward", "oracle")
    }
    assert share["oracle"].mean() > 2 * share["random"].mean()
    assert share["oracle"].mean() > 1.2 * share["forward"].mean()


def test_forward_turns_left_where_it_bumps(make_env, one_room):
    env = make_env(1, one_room, task="explore", sensors=(), allow_sliding=False)
    env.reset(seed=0)
    agent, actions = make_baseline("forward", env), []
    for _ in range(120):
        collided = bool(env.simulator.state.collided[0])
        actions.append(int(agent.act({}, torch.zeros(1, dtype=torch.bool), torch.zeros(1))[0]))
        assert env.task.action_names[actions[-1]] == ("left" if collided else "forward")
        env.step(actions[-1:])
    assert 0 < np.mean(np.array(actions) == 1) < 0.5


@pytest.mark.parametrize("task", [Flee(), Explore()])
def test_random_walks_and_turns_alike(make_env, one_room, task):
    env = make_env(3000, one_room, task=task, sensors=())
    env.reset(seed=0)
    chance = torch.rand(3000, generator=torch.Generator().manual_seed(0))
    actions = make_baseline("random", env).act({}, torch.zeros(3000, dtype=torch.bool), chance)
    assert torch.bincount(actions, minlength=3) / 3000 == pytest.approx(torch.full((3,), 1 / 3), abs=0.03)


@pytest.mark.parametrize("task", ["flee", "explore"])
@pytest.mark.parametrize("name", ["random", "forward", "oracle"])
def test_they_do_the_same_however_many_run_beside(make_env, homes, task, name):
    episodes = sample_episodes(homes, 7, seed=4)
    found = []
    for num_envs in (2, 7):
        env = make_env(num_envs, homes, task=task, episodes=episodes, sensors=(), max_episode_steps=25)
        found.append(run_episodes(env, make_baseline(name, env), episodes, name, "test", seed=3))
    assert found[0].records == found[1].records


def test_who_is_compared():
    assert default_baselines(PointNav()) == ("random", "greedy", "oracle")
    assert default_baselines(Flee()) == default_baselines(Explore()) == ("random", "forward", "oracle")

    @dataclass(frozen=True)
    class Own(Flee):
        pass

    # A task has the baselines of the one that it is derived from.
    assert set(baselines_of(Own())) == {"random", "forward", "oracle"}
