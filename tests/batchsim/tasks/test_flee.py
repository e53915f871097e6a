"""Fleeing, against distances worked out by hand and by the scene's own shortest paths."""

import math

import numpy as np
import pytest
import torch

from batchsim import OptionError
from batchsim.scenes import EpisodeSet, sample_episodes
from batchsim.scenes.walking.geodesic import distance_fields
from batchsim.tasks import Flee
from tests.helpers.infos import measures

FORWARD, LEFT, RIGHT = range(3)
ABOUT_TURN = [LEFT] * 18


def at(scene, positions, headings):
    """Episodes that begin where a test wants them."""
    count = len(positions)
    return EpisodeSet(
        scene_names=(scene.name,),
        scene_index=np.zeros(count, np.int32),
        start_position=np.array(positions, np.float32),
        start_heading=np.array(headings, np.float32),
        goal=np.array(positions, np.float32),
        goal_index=np.full(count, -1, np.int32),
        geodesic_distance=np.full(count, np.nan, np.float32),
        episode_id=tuple(map(str, range(count))),
    )


def test_a_walk_out_and_half_the_way_back(one_room, make_env):
    start = (0.025, 0, 1.025)
    env = make_env(1, one_room, task="flee", episodes=at(one_room, [start], [0.0]), sensors=(), max_episode_steps=30)
    env.reset(seed=0)
    steps = [env.step([action]) for action in [FORWARD] * 8 + ABOUT_TURN + [FORWARD] * 4]
    rewards = np.array([float(step[1]) for step in steps])
    worked = [0.25] * 8 + [0] * 18 + [-0.25] * 4
    assert rewards == pytest.approx(worked, abs=0.01)
    found = {name: float(value) for name, value in measures(steps[-1][4]).items()}
    assert steps[-1][3].all()
    assert found["distance_from_start"] == pytest.approx(1.0, abs=0.01)
    assert found["max_distance"] == pytest.approx(2.0, abs=0.01)
    assert found["episode_return"] == pytest.approx(1.0, abs=0.01)
    # The farthest cell of the empty room stands in a corner, 4.9 m off in x and 5.9 m in z.
    assert found["flee_ratio"] == pytest.approx(1.0 / np.hypot(4.9, 5.9), abs=0.01)
    assert env.simulator.measures()["max_distance"].tolist() == [0]


def test_distances_are_walks_around_walls(four_rooms, homes, make_env):
    env = make_env(12, [*homes, four_rooms], task="flee", sensors=(), max_episode_steps=60)
    env.reset(seed=3)
    state, resident = env.simulator.state, env.simulator.scenes.scenes
    start, scene = state.position.numpy().copy(), state.scene.tolist()
    returns, farthest = np.zeros(12), np.zeros(12)
    for action in np.random.default_rng(3).choice(3, (60, 12), p=[0.7, 0.2, 0.1]):
        _, reward, _, truncated, info = env.step(action)
        returns += reward.numpy()
        farthest = np.maximum(farthest, measures(info)["distance_from_start"].numpy())
    assert truncated.all()
    found = {name: value.numpy() for name, value in measures(info).items()}
    end = info["position"].numpy()
    walks = np.array([float(resident[scene[i]].geodesic_distance(start[i], end[i])) for i in range(12)])
    assert walks.max() > 5
    assert found["distance_from_start"] == pytest.approx(walks, abs=0.06)
    assert returns == pytest.approx(found["distance_from_start"], abs=1e-4)
    assert found["max_distance"] == pytest.approx(farthest, abs=1e-5)
    reach = [walk_to_the_farthest(resident[scene[i]], start[i]) for i in range(12)]
    assert found["flee_ratio"] == pytest.approx(walks / reach, abs=0.02)


def walk_to_the_farthest(scene, point):
    (walks,) = distance_fields(scene.walkable, point[None])
    return walks[np.isfinite(walks)].max()


def test_any_start_of_a_fixed_set_has_its_distances(homes, make_env):
    episodes = sample_episodes(homes, 6, seed=4)
    env = make_env(6, homes[::-1], task="flee", episodes=episodes, sensors=())
    env.reset(seed=0)
    for action in [FORWARD, LEFT, FORWARD, FORWARD, RIGHT] * 8:
        *_, info = env.step([action] * 6)
    by_name = {scene.name: scene for scene in homes}
    for i, end in enumerate(info["position"].numpy()):
        scene = by_name[episodes.scene_names[episodes.scene_index[i]]]
        walk = float(scene.geodesic_distance(episodes.start_position[i], end))
        assert float(measures(info)["distance_from_start"][i]) == pytest.approx(walk, abs=0.06)


def test_preparing_twice_adds_nothing(homes):
    scenes, episodes = Flee().prepare(homes, sample_episodes(homes, 6, seed=4))
    assert [len(scene.goals) for scene in scenes] == [len(scene.goals) + 2 for scene in homes]
    again, same = Flee().prepare(scenes, episodes)
    assert [len(scene.goals) for scene in again] == [len(scene.goals) for scene in scenes]
    assert np.array_equal(same.goal_index, episodes.goal_index)
    assert np.array_equal(same.goal, same.start_position)


def test_starts_off_the_floor_are_named(one_room, make_env):
    with pytest.raises(OptionError, match=r"1 episodes.*The first is 1 of one-room.*not on walkable floor"):
        make_env(1, one_room, task="flee", episodes=at(one_room, [(0, 0, 0), (20, 0, 0)], [0, 0]), sensors=())


def test_each_new_episode_flees_from_its_own_start(homes, make_env):
    env = make_env(8, homes, task="flee", sensors=(), max_episode_steps=5)
    env.reset(seed=0)
    for step in range(20):
        _, _, _, truncated, info = env.step(torch.zeros(8, dtype=torch.int64))
        distance, walked = measures(info)["distance_from_start"], measures(info)["path_length"]
        # Nobody is farther off than the way walked in this episode, and on the straight nobody is nearer.
        assert (distance <= 1.02 * walked + 0.03).all()
        straight = measures(info)["collisions"] == 0
        assert torch.allclose(distance[straight], walked[straight], rtol=0.02, atol=0.03)
        assert truncated.all() == (step % 5 == 4)
        assert (walked <= 0.25 * (step % 5 + 1) * math.sqrt(2)).all()
