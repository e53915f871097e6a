"""Evaluation runs each episode exactly once, and the same whatever the number of environments."""

import numpy as np
import pytest

from agents.baselines import make_baseline
from agents.evaluate import run_episodes
from agents.evaluation import MEASURES
from batchsim import NavVectorEnv, OptionError
from scenes import sample_episodes


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
    for record, expected in zip(found.records, alone.records, strict=True):
        assert record.measures == pytest.approx(expected.measures, abs=1e-5)
        assert np.allclose(record.path, expected.path, atol=2e-3)
    # The summaries, with their resampled intervals, are the same in every digit that is shown.
    for name in MEASURES:
        assert found.summary()[name]["mean"] == pytest.approx(alone.summary()[name]["mean"], abs=1e-6)


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
        assert record.start_distance == pytest.approx(float(episodes.geodesic_distance[k]))
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


def test_pictures_change_nothing_for_agents_that_do_not_look(make_env, homes, episodes, alone):
    found, _ = run(make_env, homes, episodes, 6, sensors=("depth",), width=16, height=16, renderer="raster")
    assert np.allclose(found.values("reward"), alone.values("reward"), atol=1e-5)


def test_single_episodes_and_subsets(make_env, homes, episodes, alone):
    for which in (slice(7, 8), np.array([3, 11, 5])):
        chosen = episodes.select(which)
        found, _ = run(make_env, homes, chosen, 2)
        expected = alone.values("reward")[which]
        assert np.allclose(found.values("reward"), expected, atol=1e-5)


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
