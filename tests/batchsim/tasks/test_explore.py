"""Exploring, with cells of the coverage grid counted by hand and by Python sets."""

import math

import numpy as np
import pytest
import torch

from batchsim.scenes import EpisodeSet
from batchsim.scenes.maps.top_down import storey_levels
from tests.helpers.infos import measures

FORWARD, LEFT, RIGHT = range(3)


def episode_at(scene, position, heading):
    return EpisodeSet(
        scene_names=(scene.name,),
        scene_index=np.zeros(1, np.int32),
        start_position=np.array([position], np.float32),
        start_heading=np.array([heading], np.float32),
        goal=np.array([position], np.float32),
        goal_index=np.zeros(1, np.int32),
        geodesic_distance=np.zeros(1, np.float32),
        episode_id=("0",),
    )


def test_a_walk_over_three_cells_and_back(one_room, make_env):
    # From z = 1.025 m on towards -z, a quarter of a metre a step: z = 0.775 is a new cell, and so is -0.225.
    episodes = episode_at(one_room, (0.025, 0, 1.025), 0.0)
    env = make_env(1, one_room, task="explore", episodes=episodes, sensors=(), max_episode_steps=34)
    env.reset(seed=0)
    assert env.simulator.measures()["cells_visited"].tolist() == [1]
    steps = [env.step([action]) for action in [FORWARD] * 8 + [LEFT] * 18 + [FORWARD] * 8]
    worked = [0.25, 0, 0, 0, 0.25, 0, 0, 0] + [0] * 26
    assert [float(step[1]) for step in steps] == worked
    found = {name: float(value) for name, value in measures(steps[-1][4]).items()}
    assert steps[-1][3].all()
    assert found["cells_visited"] == 3
    assert found["explored_share"] == pytest.approx(0.03)  # the room has a hundred
    assert found["episode_return"] == 0.5
    # The next episode has seen nothing but its start.
    assert env.simulator.measures()["cells_visited"].tolist() == [1]
    assert float(env.step([FORWARD])[1]) == 0.25


def test_against_python_sets(homes, four_rooms, make_env):
    num_envs, scenes = 24, [*homes, four_rooms]
    env = make_env(num_envs, scenes, task="explore", sensors=(), max_episode_steps=50, turn_angle=30.0)
    env.reset(seed=2)
    state = env.simulator.state
    levels = [storey_levels(scene) for scene in scenes]
    assert max(map(len, levels)) == 2

    def coverage_cell(k, position):
        # A walkable cell belongs to the coverage cell that contains its centre.
        x, y, z = scenes[k].walkable.positions[scenes[k].walkable.locate(position)]
        return int(np.abs(levels[k] - y).argmin()), math.floor(x), math.floor(z)

    def here():
        return [coverage_cell(k, p) for k, p in zip(state.scene.tolist(), state.position.numpy(), strict=True)]

    count = [len(set(map(tuple, coverage_cells_of(scene, levels[k]).tolist()))) for k, scene in enumerate(scenes)]
    visited = [{place} for place in here()]
    ended = 0
    for action in np.random.default_rng(0).choice(3, (200, num_envs), p=[0.8, 0.1, 0.1]):
        scene = state.scene.tolist()
        _, reward, _, truncated, info = env.step(action)
        start = here()
        for i in range(num_envs):
            place = coverage_cell(scene[i], info["position"][i].numpy())
            assert float(reward[i]) == 0.25 * (place not in visited[i])
            visited[i].add(place)
            assert int(measures(info)["cells_visited"][i]) == len(visited[i])
            share = len(visited[i]) / count[scene[i]]
            assert float(measures(info)["explored_share"][i]) == pytest.approx(share)
            if truncated[i]:
                ended += 1
                visited[i] = {start[i]}
    assert ended == 4 * num_envs


def coverage_cells_of(scene, levels):
    positions = scene.walkable.positions
    storey = np.abs(positions[:, 1:2] - levels).argmin(1)
    return np.column_stack([storey, np.floor(positions[:, [0, 2]])])


def test_one_environment_begun_anew_leaves_the_others_as_they_are(one_room, make_env):
    env = make_env(3, one_room, task="explore", sensors=())
    env.reset(seed=0)
    for _ in range(12):
        env.step([FORWARD] * 3)
    before = env.simulator.state.task["visited"].clone()
    assert (before.sum(1) > 1).all()
    env.reset(options={"reset_mask": np.array([False, True, False])})
    after = env.simulator.state.task["visited"]
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert after.sum(1).tolist() == [*before[:1].sum(1).tolist(), 1, *before[2:].sum(1).tolist()]


def test_room_is_made_for_larger_scenes(one_room, make_env):
    env = make_env(2, one_room, task="explore", sensors=())
    env.reset(seed=0)
    for _ in range(8):
        env.step([FORWARD] * 2)
    before = env.simulator.state.task["visited"].clone()
    env.simulator.scenes.max_coverage_cells = 250
    env.step([LEFT] * 2)
    after = env.simulator.state.task["visited"]
    assert after.shape == (2, 250)
    assert torch.equal(after[:, :100], before)
    assert not after[:, 100:].any()
