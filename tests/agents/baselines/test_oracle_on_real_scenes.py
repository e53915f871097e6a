"""The shortest-path follower where scenes come from files, over several floors, and through many homes."""

import pytest

from batchsim import scenes
from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.evaluation.run_episodes import run_episodes
from tests.helpers.paths import SHARED_SCENES

FILES = SHARED_SCENES


def follow(make_env, loaded, count, num_envs=None, floors="same", **options):
    episodes = scenes.sample_episodes(loaded, count, seed=0, floors=floors)
    env = make_env(num_envs or count, loaded, episodes=episodes, sensors=(), **options)
    return run_episodes(env, make_baseline("oracle", env), episodes, "oracle", "test")


def assert_arrives(found, success, spl=0.93):
    assert found.values("success").mean() >= success
    assert found.values("spl").mean() >= spl


@pytest.fixture(scope="module", params=["dungeon.obj", "nav_test.obj"])
def building(request, cache_of_this_session):
    if not (FILES / request.param).exists():
        pytest.skip(f"{request.param} is not there")
    return scenes.load(FILES / request.param, num_goals=24)


@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
def test_it_arrives_in_buildings_from_files(make_env, building, turn_angle):
    assert_arrives(follow(make_env, building, 30, turn_angle=turn_angle), 0.98)


def test_it_arrives_on_other_floors_of_buildings_from_files(make_env, building):
    assert_arrives(follow(make_env, building, 20, floors="cross", turn_angle=30.0), 0.98)


@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
def test_it_climbs_the_stairs_of_homes(make_env, homes, turn_angle):
    found = follow(make_env, homes, 30, floors="cross", turn_angle=turn_angle)
    assert_arrives(found, 0.98)
    for record in found.records:
        # The body starts a storey away from the goal and ends at its height.
        heights = [point[1] for point in record.path]
        assert abs(heights[0] - record.goal[1]) >= 2
        assert abs(heights[-1] - record.goal[1]) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
def test_it_arrives_in_all_test_homes(make_env, cache_of_this_session, turn_angle):
    loaded = scenes.load_all("homes:test", progress=False)
    assert_arrives(follow(make_env, loaded, 200, 100, turn_angle=turn_angle), 0.99)
