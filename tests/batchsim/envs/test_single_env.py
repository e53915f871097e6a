"""The single environment, and making either by name."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import batchsim
from batchsim import NavEnv, NavVectorEnv

SMALL = {"width": 16, "height": 16, "renderer": "raster"}
ID = "batchsim/PointNav-v0"


def test_gymnasiums_own_checker(one_room, gl_watched):
    env = NavEnv(one_room, render_mode="rgb_array", **SMALL)
    check_env(env)
    env.close()


def test_types(one_room, gl_watched):
    env = NavEnv(one_room, **SMALL)
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert info == {}
    observation, reward, terminated, truncated, info = env.step(1)
    assert observation in env.observation_space
    assert [type(x) for x in (reward, terminated, truncated)] == [float, bool, bool]
    assert {"success", "spl", "distance_to_goal", "episode_length"} <= set(info)
    assert env.render() is None
    env.close()
    env.close()


def test_make_by_name(gl_watched):
    env = gym.make(ID, scenes="one-room", max_episode_steps=7, **SMALL)
    assert isinstance(env.unwrapped, NavEnv)
    env.reset(seed=0)
    ends = [env.step(2)[3] for _ in range(7)]
    assert ends == [False] * 6 + [True]
    env.close()


def test_make_can_lengthen_episodes(gl_watched):
    env = gym.make(ID, scenes="one-room", max_episode_steps=600, sensors=())
    env.reset(seed=0)
    ends = [env.step(2)[3] for _ in range(600)]
    assert ends == [False] * 599 + [True]
    env.close()


def test_make_vec_by_name(gl_watched):
    envs = gym.make_vec(ID, num_envs=5, scenes="one-room", max_episode_steps=4, output="numpy", **SMALL)
    assert isinstance(envs, NavVectorEnv)
    assert envs.spec.id == ID
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    truncated = [envs.step(np.full(5, 2))[3].all() for _ in range(4)]
    assert truncated == [False, False, False, True]
    envs.close()


def test_the_registered_limit_is_habitats(gl_watched):
    assert gym.spec(ID).max_episode_steps == 500
    envs = gym.make_vec(ID, num_envs=1, scenes="one-room", sensors=())
    assert envs.simulator.options.max_episode_steps == 500
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.close()


def test_public_names():
    assert all(hasattr(batchsim, name) for name in batchsim.__all__)


@pytest.mark.parametrize("name", ["num_envs", "output", "autoreset_mode"])
def test_options_of_the_vector_environment_are_refused(one_room, name):
    with pytest.raises(TypeError, match=name):
        NavEnv(one_room, sensors=(), **{name: "numpy"})
