import numpy as np
import pytest

from batchsim.scenes import (
    EpisodeSet,
    SceneError,
    sample_episodes,
    standard_episodes,
)
from tests.helpers.episode_files import assert_same

WORLDS = ["one-room", "four-rooms"]


@pytest.fixture(scope="module")
def many(worlds):
    return sample_episodes(worlds, 2000, seed=3)


def test_episodes_obey_habitats_rules(worlds, many):
    assert len(many) == 2000
    assert np.bincount(many.scene_index).tolist() == [1000, 1000]
    for number, scene in enumerate(worlds):
        mine = many.select(many.scene_index == number)
        assert scene.is_navigable(mine.start_position).all()
        np.testing.assert_array_equal(mine.goal, scene.goals[mine.goal_index])
        # Measured anew, not read from the field they were drawn with.
        some = slice(0, 25)
        exact = scene.geodesic_distance(mine.start_position[some], mine.goal[some])
        np.testing.assert_allclose(mine.geodesic_distance[some], exact, rtol=2e-3, atol=0.05)
    assert many.geodesic_distance.min() >= 1
    assert many.geodesic_distance.max() <= 30
    assert np.abs(many.start_position[:, 1] - many.goal[:, 1]).max() <= 0.5
    assert many.start_heading.min() < -3 < 3 < many.start_heading.max()


def test_straight_episodes_are_as_rare_as_the_rule_says(worlds, many):
    """In an empty room all pairs have one ratio, about 1; in four rooms both kinds occur, in known proportion."""
    scene = worlds[1]
    mine = many.select(many.scene_index == 1)
    beeline = np.linalg.norm(mine.goal - mine.start_position, axis=1)
    straight = (mine.geodesic_distance / beeline < 1.1).mean()
    # The same proportion by brute force: every pair of some cells with every goal, weighted by the rule.
    cells = np.random.default_rng(0).integers(scene.walkable.num_cells, size=4000)
    walk = scene.goal_distances[:, cells].astype(float)
    line = np.linalg.norm(scene.walkable.positions[cells] - scene.goals[:, None], axis=-1)
    ratio = walk / np.maximum(line, 1e-6)
    weight = np.where(ratio >= 1.1, 1, np.minimum(1, 20 * (ratio - 0.98) ** 2)) * (walk >= 1) * (walk <= 30)
    assert straight == pytest.approx(weight[ratio < 1.1].sum() / weight.sum(), abs=0.03)


def test_same_seed_same_episodes_and_more_continue_fewer(worlds, many):
    assert_same(many.select(slice(0, 7)), sample_episodes(worlds, 7, seed=3))
    assert (sample_episodes(worlds, 7, seed=4).start_position != many.start_position[:7]).any()
    # A scene's episodes do not depend on which other scenes there are.
    alone = sample_episodes([worlds[1]], 4, seed=3)
    np.testing.assert_array_equal(alone.start_position, many.select(many.scene_index == 1).start_position[:4])


def test_fewer_episodes_than_scenes(worlds):
    assert sample_episodes(worlds, 1).scene_names == ("one-room",)


def test_standard_sets_are_the_same_for_everyone():
    one, two = standard_episodes("homes:val?count=3", 6), standard_episodes("homes:val?count=3", 3)
    assert one.scene_names == ("homes:val/0", "homes:val/1", "homes:val/2")
    assert_same(one.select(slice(0, 3)), two)
    assert one.episode_id == ("0", "0", "0", "1", "1", "1")


def test_episodes_across_floors_climb_or_descend_a_storey(homes):
    """The second of the homes is the one with two storeys."""
    across = sample_episodes(homes, 40, seed=1, floors="cross")
    assert across.scene_names == (homes[1].name,)
    rise = across.goal[:, 1] - across.start_position[:, 1]
    assert (np.abs(rise) >= 2).all()
    # Up and down.
    assert (rise > 0).any()
    assert (rise < 0).any()
    assert ((across.geodesic_distance >= 1) & (across.geodesic_distance <= 30)).all()
    measured = [homes[1].geodesic_distance(across.start_position[e], across.goal[e]) for e in range(3)]
    np.testing.assert_allclose(across.geodesic_distance[:3], measured, rtol=2e-3)
    assert_same(across.select(slice(0, 5)), sample_episodes(homes, 5, seed=1, floors="cross"))


def test_floors_that_are_not_there(worlds):
    with pytest.raises(SceneError, match="no scene has two storeys"):
        sample_episodes(worlds, 3, floors="cross")
    with pytest.raises(SceneError, match="expected one of 'same', 'cross'"):
        sample_episodes(worlds, 3, floors="both")


def test_impossible_demands_are_refused(worlds):
    with pytest.raises(SceneError, match="one-room: found 0 of 1 episodes with a geodesic distance from 20 to 30 m"):
        sample_episodes([worlds[0]], 1, min_distance=20)
    with pytest.raises(SceneError, match="expected 0 <= min < max"):
        sample_episodes(worlds, 1, min_distance=5, max_distance=2)
    with pytest.raises(SceneError, match="count is 0"):
        sample_episodes(worlds, 0)


def test_rotations_are_turns_about_y(many):
    x, y, z, w = many.start_rotation.T
    # The turned -z axis, by the general formula for a rotated vector.
    forward = np.stack([-2 * (x * z + w * y), -2 * (y * z - w * x), -(1 - 2 * (x * x + y * y))], 1)
    heading = many.start_heading
    np.testing.assert_allclose(forward, np.stack([-np.sin(heading), 0 * heading, -np.cos(heading)], 1), atol=1e-5)


def test_lengths_must_agree(many):
    with pytest.raises(SceneError, match=r"EpisodeSet\.goal has"):
        EpisodeSet(("a",), *[np.zeros(1)] * 3, np.zeros((2, 3)), *[np.zeros(1)] * 2, ("0",))


def test_concatenate_merges_scenes_of_one_name(many):
    both = EpisodeSet.concatenate([many.select(slice(0, 3)), many.select(slice(3, 5))])
    assert_same(both, many.select(slice(0, 5)))
