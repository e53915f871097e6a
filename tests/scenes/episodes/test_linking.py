"""Tests linking episodes to scenes: goals, starts above the floor, scenes far from the origin."""

from dataclasses import replace

import numpy as np
import pytest

from batchsim.scenes import EpisodeSet, link_goals, load_episodes, sample_episodes, save_episodes
from tests.helpers.episode_files import assert_same


@pytest.fixture(scope="module")
def many(worlds):
    return sample_episodes(worlds, 40, seed=3)


def test_link_goals_finds_baked_goals_and_bakes_new_ones(worlds, many, tmp_path):
    save_episodes(many.select(slice(0, 6)), tmp_path / "val.json.gz")
    read = load_episodes(tmp_path / "val.json.gz")
    linked, whole, bad = link_goals(read, worlds)
    assert not bad
    np.testing.assert_array_equal(linked.goal_index, many.goal_index[:6])
    assert [len(scene.goals) for scene in whole] == [len(scene.goals) for scene in worlds]
    goal = read.goal.copy()
    goal[0] = [1, 0, 1]
    goal[2] = [20, 0, 0]
    moved = EpisodeSet(
        *(read.scene_names, read.scene_index, read.start_position, read.start_heading, goal, read.goal_index),
        *(read.geodesic_distance, read.episode_id),
    )
    linked, whole, bad = link_goals(moved, worlds)
    assert [(b.scene_name, b.episode_id, b.reason) for b in bad] == [
        ("one-room", "1", "its goal is not on walkable floor")
    ]
    assert len(linked) == 5
    assert len(whole[0].goals) == len(worlds[0].goals) + 1
    np.testing.assert_allclose(whole[0].goals[linked.goal_index[0]], [1, 0, 1])
    beeline = np.linalg.norm(linked.start_position[0] - linked.goal[0])
    assert linked.geodesic_distance[0] == pytest.approx(beeline, rel=0.02, abs=0.05)


@pytest.mark.parametrize("above", [0.2, -0.2, 0.0])
def test_starts_and_goals_are_put_on_the_floor(worlds, many, above):
    up = np.array([0, above, 0], np.float32)
    raised = replace(many, start_position=many.start_position + up, goal=many.goal + up)
    linked, _, bad = link_goals(raised, worlds)
    assert not bad
    np.testing.assert_array_equal(linked.start_position, many.start_position)
    np.testing.assert_array_equal(linked.goal, many.goal)
    np.testing.assert_array_equal(linked.goal_index, many.goal_index)
    np.testing.assert_allclose(linked.geodesic_distance, many.geodesic_distance, atol=8e-3)


def test_starts_higher_than_a_step_are_not_on_the_floor(worlds, many):
    raised = replace(many, start_position=many.start_position + np.array([0, 0.3, 0], np.float32))
    linked, _, bad = link_goals(raised, worlds)
    assert len(linked) == 0
    assert {b.reason for b in bad} == {"its start is not on walkable floor"}


def test_distances_between_any_points_are_those_of_the_scene(worlds):
    """Not those between centres of cells: up to 7 cm for goals and starts in the corners of theirs."""
    rng = np.random.default_rng(0)
    scene = worlds[1]
    start, goal = scene.sample_navigable(20, rng), scene.sample_navigable(20, rng)
    goal[0], goal[1] = start[0], start[1] + np.array([0.03, 0, 0.02], np.float32)
    nothing = np.zeros(20, np.float32)
    ids = tuple(map(str, range(20)))
    pairs = EpisodeSet(("four-rooms",), nothing.astype(int), start, nothing, goal, nothing.astype(int), nothing, ids)
    linked, _, bad = link_goals(pairs, [scene])
    assert not bad
    exact = scene.geodesic_distance(start, goal)
    # Stored distances are float16: 8 mm at 16 m.
    np.testing.assert_allclose(linked.geodesic_distance, exact, atol=8e-3)
    assert linked.geodesic_distance[0] == 0
    assert linked.geodesic_distance[1] == pytest.approx(np.hypot(0.03, 0.02), abs=1e-6)


FAR = (530_000.25, 37.5, -4_200_000.125)


def test_scenes_far_from_the_origin(worlds, many, tmp_path):
    """Files have coordinates of the scene's file, where float32 is exact to 25 cm."""
    mine = many.select(many.scene_index == 0).without_idle_scenes()
    far = replace(worlds[0], offset=FAR)
    save_episodes(replace(mine, offset=np.tile(np.array(FAR), (len(mine), 1))), tmp_path / "far.json.gz")
    read = load_episodes(tmp_path / "far.json.gz")
    np.testing.assert_allclose(read.start_position + read.offset, mine.start_position.astype(float) + FAR, atol=1e-5)
    linked, _, bad = link_goals(read, [far])
    assert not bad
    assert linked.start_position.dtype == np.float32
    np.testing.assert_allclose(linked.start_position, mine.start_position, atol=1e-5)
    np.testing.assert_array_equal(linked.goal_index, mine.goal_index)
    # And once more, from what is linked already.
    again, _, _ = link_goals(linked, [far])
    assert_same(again, linked)
    save_episodes(linked, tmp_path / "again.json.gz")
    again = load_episodes(tmp_path / "again.json.gz")
    np.testing.assert_allclose(again.goal + again.offset, read.goal + read.offset, rtol=0, atol=1e-5)


def test_sampled_episodes_know_the_offset_of_their_scene(worlds):
    far = replace(worlds[0], offset=FAR)
    episodes = sample_episodes([far, worlds[1]], 4)
    np.testing.assert_array_equal(episodes.offset, [FAR, (0, 0, 0)] * 2)
