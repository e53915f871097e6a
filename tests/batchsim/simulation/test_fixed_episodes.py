"""Episodes of a fixed set are dealt out in turn."""

from dataclasses import replace

import numpy as np
import pytest

from batchsim import OptionError
from batchsim.scenes import sample_episodes


@pytest.fixture(scope="module")
def episodes(homes):
    return sample_episodes(homes, 7, seed=2)


def starts(env, scenes, episodes):
    """Which of the set each environment stands at the start of."""
    state = env.simulator.state
    gap = np.linalg.norm(state.position.numpy()[:, None] - episodes.start_position, axis=-1)
    turn = np.abs(state.heading.numpy()[:, None] - episodes.start_heading)
    names = [scenes[k].name for k in state.scene]
    same_scene = np.array([[name == episodes.scene_names[k] for k in episodes.scene_index] for name in names])
    found = (gap < 1e-4) & (turn < 1e-4) & same_scene
    assert (found.sum(1) == 1).all()
    return found.argmax(1).tolist()


def test_dealt_in_turn_and_begun_again(homes, episodes, make_env):
    env = make_env(3, homes, episodes=episodes, sensors=())
    env.reset(seed=0)
    seen = [starts(env, homes, episodes)]
    for _ in range(4):
        env.step([0, 0, 0])
        seen.append(starts(env, homes, episodes))
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0]]


def test_each_environment_goes_on_by_itself(homes, episodes, make_env):
    env = make_env(3, homes, episodes=episodes, sensors=())
    env.reset(seed=0)
    env.step([0, 1, 0])
    env.step([0, 1, 1])
    env.step([1, 0, 1])
    assert env.simulator.state.episode.tolist() == [2, 1, 1]


def test_a_seed_begins_the_set_again(homes, episodes, make_env):
    env = make_env(2, homes, episodes=episodes, sensors=())
    for seed in (0, 99):
        env.reset(seed=seed)
        assert starts(env, homes, episodes) == [0, 1]
    env.reset()
    assert starts(env, homes, episodes) == [2, 3]


def test_goals_and_distances_are_those_of_the_set(homes, episodes, make_env):
    # The scenes in another order than the set names them.
    scenes = homes[::-1]
    env = make_env(7, scenes, episodes=episodes, sensors=())
    observation, _ = env.reset(seed=0)
    assert starts(env, scenes, episodes) == list(range(7))
    gap = episodes.goal - episodes.start_position
    rho = observation["pointgoal_with_gps_compass"][:, 0].numpy()
    assert np.allclose(rho, np.hypot(gap[:, 0], gap[:, 2]), atol=1e-4)
    start = env.simulator.measures()["start_distance"].numpy()
    assert np.allclose(start, episodes.geodesic_distance, atol=0.02)


def test_more_environments_than_episodes(homes, episodes, make_env):
    env = make_env(9, homes, episodes=episodes, sensors=())
    env.reset(seed=0)
    assert starts(env, homes, episodes) == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_goals_without_a_distance_field_are_refused(homes, episodes, make_env):
    unlinked = replace(episodes, goal_index=np.full(7, -1, np.int32))
    with pytest.raises(OptionError, match=r"Scene\.with_goals"):
        make_env(2, homes, episodes=unlinked, sensors=())
