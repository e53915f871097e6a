"""Evaluation runs each episode exactly once, and the same whatever the number of environments."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim import NavVectorEnv, OptionError
from batchsim.agents.baselines.registry import baselines_of, make_baseline
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.evaluation.results import MEASURES
from batchsim.agents.evaluation.run_episodes import episode_streams, run_episodes
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.scenes import sample_episodes
from batchsim.tasks import PointNav


@pytest.fixture(scope="module")
def episodes(homes):
    return sample_episodes(homes, 20, seed=4)


def run(make_env, scenes, episodes, num_envs, **options):
    """Greedy agents, and how far they had come at each call."""
    env = make_env(num_envs, scenes, episodes=episodes, **{"sensors": (), "max_episode_steps": 40, **options})
    calls = []

    def on_progress(done, total):
        calls.append((done, total))

    found = run_episodes(env, make_baseline("greedy", env), episodes, "greedy", "test", on_progress=on_progress)
    return found, calls


@pytest.fixture(scope="module")
def alone(homes, episodes):
    """One environment that runs all episodes in turn."""
    return run(NavVectorEnv, homes, episodes, 1)[0]


@pytest.mark.parametrize("num_envs", [3, 20, 32])
def test_each_episode_once(make_env, homes, episodes, alone, num_envs):
    found, calls = run(make_env, homes, episodes, num_envs)
    assert [(r.scene, r.episode_id) for r in found.records] == [
        (episodes.scene_names[k], name) for k, name in zip(episodes.scene_index, episodes.episode_id, strict=True)
    ]
    assert calls[-1] == (20, 20)
    done = [c[0] for c in calls]
    assert done == sorted(done)
    assert found.records == alone.records
    assert found.summary() == alone.summary()


def test_records(alone, episodes, homes):
    for k, record in enumerate(alone.records):
        scene = homes[episodes.scene_index[k]]
        length = int(record.measures["episode_length"])
        path = np.array(record.path)
        assert set(MEASURES) <= set(record.measures)
        assert len(path) == length + 1
        assert 1 <= length <= 40
        assert np.allclose(path[0], episodes.start_position[k], atol=1e-3)
        assert np.allclose(record.goal, episodes.goal[k])
        assert record.start_distance == pytest.approx(float(episodes.geodesic_distance[k]), abs=0.01)
        assert record.start_distance == pytest.approx(record.measures["start_distance"], abs=1e-6)
        steps = np.diff(path, axis=0)
        assert np.linalg.norm(steps[:, [0, 2]], axis=1).max() < 0.252
        assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(record.measures["path_length"], abs=0.05)
        left = float(scene.geodesic_distance(path[-1], episodes.goal[k]))
        assert record.measures["distance_to_goal"] == pytest.approx(left, abs=0.06)
        if record.measures["success"]:
            assert left < 0.26
        best = record.start_distance
        efficiency = best / max(best, record.measures["path_length"])
        assert record.measures["spl"] == pytest.approx(record.measures["success"] * efficiency, abs=0.03)


def test_images_change_nothing_for_agents_that_do_not_look(make_env, homes, episodes, alone):
    found, _ = run(make_env, homes, episodes, 6, sensors=("depth",), width=16, height=16, renderer="raster")
    assert np.allclose(found.values("reward"), alone.values("reward"), atol=1e-5)


def test_single_episodes_and_subsets(make_env, homes, episodes, alone):
    for which in ([7], [3, 11, 5]):
        found, _ = run(make_env, homes, episodes.select(np.array(which)), 2)
        assert found.records == tuple(alone.records[k] for k in which)


def test_episodes_that_cannot_be_run(make_env, homes, one_room, episodes):
    with pytest.raises(OptionError, match="not loaded: homes:train/0"):
        make_env(2, one_room, episodes=episodes, sensors=())
    with pytest.raises(OptionError, match="empty"):
        make_env(2, homes, episodes=episodes.select(slice(0, 0)), sensors=())


def test_recorded_headings_and_actions_explain_the_path(alone):
    for record in alone.records:
        steps = int(record.measures["episode_length"])
        assert (len(record.headings), len(record.actions)) == (steps + 1, steps)
        turns = np.diff(record.headings)
        turned = np.degrees(np.arctan2(np.sin(turns), np.cos(turns)))
        assert np.allclose(turned, np.choose(record.actions, [0, 0, 10, -10]), atol=0.02)
        moves = np.diff(np.array(record.path), axis=0)[:, [0, 2]]
        lengths = np.linalg.norm(moves, axis=1)
        assert (lengths[np.array(record.actions) != 1] == 0).all()
        for move, heading, length in zip(moves, record.headings[1:], lengths, strict=True):
            if length > 0.248:  # a whole step: nothing was in the way
                assert np.allclose(move, [-0.25 * np.sin(heading), -0.25 * np.cos(heading)], atol=4e-3)


class Decisive(Policy):
    """A policy as if trained a little: its actions depend on what it sees and remembers, and differ in likelihood."""

    def __init__(self, env):
        torch.manual_seed(0)
        config = config_for(env.single_observation_space, env.single_action_space)
        # Whatever else an environment shows, this one looks at depth.
        super().__init__(replace(config, images=("depth",)))
        with torch.no_grad():
            self.actor.weight.mul_(100)


def act_by_policy(make_env, homes, episodes, num_envs, deterministic=False, seed=0, on_step=None, sensors=("depth",)):
    options = {"sensors": sensors, "width": 32, "height": 32, "renderer": "raycast", "max_episode_steps": 30}
    env = make_env(num_envs, homes, episodes=episodes, **options)
    agent = PolicyAgent(Decisive(env).eval(), num_envs, deterministic)
    return run_episodes(env, agent, episodes, "policy", "test", seed, on_step=on_step)


@pytest.fixture(scope="module")
def drawn_alone(homes, episodes):
    return act_by_policy(NavVectorEnv, homes, episodes, 1)


@pytest.mark.parametrize("num_envs", [3, 7, 64])
def test_a_policy_draws_the_same_however_many_run_beside(make_env, homes, episodes, drawn_alone, num_envs):
    found = act_by_policy(make_env, homes, episodes, num_envs)
    assert found.records == drawn_alone.records
    assert found.summary() == drawn_alone.summary()
    # It does draw: all actions, not the same in all episodes.
    taken = [action for record in found.records for action in record.actions]
    assert set(taken) == {0, 1, 2, 3}


def test_the_likeliest_actions_are_the_same_however_many_run_beside(make_env, homes, episodes, drawn_alone):
    found = [act_by_policy(make_env, homes, episodes, n, deterministic=True) for n in (5, 16)]
    assert found[0].records == found[1].records
    assert found[0].records != drawn_alone.records


@pytest.mark.parametrize("name", baselines_of(PointNav()))
def test_baselines_do_the_same_however_many_run_beside(make_env, homes, episodes, name):
    found = []
    for num_envs in (2, 11):
        env = make_env(num_envs, homes, episodes=episodes, sensors=(), max_episode_steps=30)
        found.append(run_episodes(env, make_baseline(name, env), episodes, name, "test", seed=3))
    assert found[0].records == found[1].records


def test_chosen_episodes_are_run_again_with_images(make_env, homes, episodes, drawn_alone):
    which = np.array([13, 2, 6])
    seen = {int(k): [] for k in range(len(which))}

    def look(snapshot):
        for env, index in enumerate(snapshot.index.tolist()):
            if index >= 0:
                assert int(snapshot.step[env]) == len(seen[index])
                assert bool(snapshot.episode_start[env]) == (not seen[index])
                image = snapshot.observation["rgb"][env].numpy().copy()
                seen[index].append((int(snapshot.action[env]), image))

    found = act_by_policy(make_env, homes, episodes.select(which), 2, on_step=look, sensors=("rgb", "depth"))
    assert found.records == tuple(drawn_alone.records[k] for k in which)
    for k, record in enumerate(found.records):
        assert [action for action, _ in seen[k]] == record.actions
        for (_, before), (_, after), action in zip(seen[k], seen[k][1:], record.actions, strict=False):
            assert before.shape == (32, 32, 3)
            moved = action != 1 or not record.measures["collisions"]
            assert (before != after).any() or not moved


def test_other_seeds_draw_otherwise(make_env, homes, episodes, drawn_alone):
    assert act_by_policy(make_env, homes, episodes, 20, seed=1).records != drawn_alone.records


def test_streams_know_episodes_wherever_they_stand(episodes):
    streams = episode_streams(episodes, 5)
    assert len(set(streams.tolist())) == len(episodes)
    order = np.random.default_rng(0).permutation(len(episodes))
    assert (episode_streams(episodes.select(order), 5) == streams[order]).all()
    elsewhere = replace(episodes, scene_names=tuple("/somewhere/" + name for name in episodes.scene_names))
    assert (episode_streams(elsewhere, 5) == streams).all()
    assert not (episode_streams(episodes, 6) == streams).any()
