"""Every wrapper of Gymnasium that fits the observations works on our environments."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium import wrappers as single
from gymnasium.wrappers import vector

from batchsim import NavEnv

GOAL = "pointgoal_with_gps_compass"
OPTIONS = {
    "sensors": ("depth", "rgb"),
    "width": 16,
    "height": 12,
    "renderer": "raycast",
    "device": "cpu",
    "max_episode_steps": 6,
    "render_mode": "rgb_array",
}
RGB = spaces.Box(0, 255, (12, 16, 3), np.uint8)
GOALS = spaces.Box(np.float32([0, -np.pi]), np.float32([1e6, np.pi]))


def only(name, space):
    """A wrapper for `gym.Env` that gives one part of the observation."""
    return lambda env: single.TransformObservation(env, lambda observation: observation[name], space)


def only_in_vector(name, space):
    return lambda env: vector.TransformObservation(env, lambda obs: obs[name], single_observation_space=space)


def chain(*parts):
    def wrap(env):
        for part in parts:
            env = part(env)
        return env

    return wrap


goal, rgb = only(GOAL, GOALS), only("rgb", RGB)
SINGLE = {
    "Autoreset": single.Autoreset,
    "AddRenderObservation": lambda env: single.AddRenderObservation(env, render_only=False),
    "AddWhiteNoise": lambda env: single.AddWhiteNoise(env, 0.1),
    "ArrayConversion": lambda env: single.ArrayConversion(env, np, torch),
    "ClipReward": lambda env: single.ClipReward(env, -1, 1),
    "DelayObservation": lambda env: single.DelayObservation(env, 2),
    "DiscretizeObservation": chain(goal, lambda env: single.DiscretizeObservation(env, 10)),
    "DtypeObservation": chain(rgb, lambda env: single.DtypeObservation(env, np.float32)),
    "FilterObservation": lambda env: single.FilterObservation(env, ["depth"]),
    "FlattenObservation": single.FlattenObservation,
    "FrameStackObservation": lambda env: single.FrameStackObservation(env, 3),
    "GrayscaleObservation": chain(rgb, single.GrayscaleObservation),
    "MaxAndSkipObservation": chain(rgb, lambda env: single.MaxAndSkipObservation(env, 2)),
    "NormalizeObservation": chain(goal, single.NormalizeObservation),
    "NormalizeReward": single.NormalizeReward,
    "NumpyToTorch": single.NumpyToTorch,
    "ObstructView": lambda env: single.ObstructView(env, 0.3, 2),
    "OrderEnforcing": single.OrderEnforcing,
    "PassiveEnvChecker": single.PassiveEnvChecker,
    "RecordEpisodeStatistics": single.RecordEpisodeStatistics,
    "RenderCollection": single.RenderCollection,
    "RepeatAction": lambda env: single.RepeatAction(env, 2),
    "RescaleObservation": chain(rgb, lambda env: single.RescaleObservation(env, np.uint8(0), np.uint8(1))),
    "ReshapeObservation": chain(rgb, lambda env: single.ReshapeObservation(env, (12, 48))),
    "StickyAction": lambda env: single.StickyAction(env, 0.3),
    "TimeAwareObservation": lambda env: single.TimeAwareObservation(single.TimeLimit(env, 6)),
    "TimeLimit": lambda env: single.TimeLimit(env, 3),
    "TransformObservation": goal,
    "TransformAction": lambda env: single.TransformAction(env, lambda action: 3 - action, spaces.Discrete(4)),
    "TransformReward": lambda env: single.TransformReward(env, lambda reward: 2 * reward),
}
# Both need continuous actions, and these a module that need not be there.
UNFIT = {"ClipAction", "RescaleAction", "DiscretizeAction", "AtariPreprocessing", "JaxToNumpy", "JaxToTorch"}
NEEDS = {"ResizeObservation": "cv2", "RecordVideo": "moviepy", "HumanRendering": "pygame"}


def test_all_single_wrappers_are_listed():
    assert set(SINGLE) | UNFIT | NEEDS.keys() == set(single.__all__) - {"vector"}


@pytest.mark.filterwarnings("error:.*observation.*:UserWarning")
@pytest.mark.parametrize("name", SINGLE)
def test_single_environment(one_room, gl_watched, name):
    env = SINGLE[name](NavEnv(one_room, **OPTIONS))
    run_single(env, converted=name in ("NumpyToTorch", "ArrayConversion"))
    env.close()


@pytest.mark.parametrize("name", ["RecordVideo", "ResizeObservation"])
def test_single_environment_with_optional_modules(one_room, gl_watched, tmp_path, name):
    pytest.importorskip(NEEDS[name])
    env = NavEnv(one_room, **OPTIONS)
    if name == "RecordVideo":
        env = single.RecordVideo(env, str(tmp_path), episode_trigger=lambda _: True)
    else:
        env = single.ResizeObservation(rgb(env), (6, 8))
    run_single(env)
    env.close()
    assert name != "RecordVideo" or list(tmp_path.glob("*.mp4"))


def run_single(env, converted=False):
    observation, _ = env.reset(seed=0)
    for _ in range(15):
        if not converted:
            assert observation in env.observation_space
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(torch.tensor(action) if converted else action)
        assert np.isfinite(float(reward))
        if (terminated or truncated) and not isinstance(env, single.Autoreset):
            observation, _ = env.reset()


goals, images = only_in_vector(GOAL, GOALS), only_in_vector("rgb", RGB)
VECTOR = {
    "ArrayConversion": lambda envs: vector.ArrayConversion(envs, np, torch),
    "ClipReward": lambda envs: vector.ClipReward(envs, -1, 1),
    "DictInfoToList": vector.DictInfoToList,
    "DtypeObservation": chain(images, lambda envs: vector.DtypeObservation(envs, np.float32)),
    "FilterObservation": lambda envs: vector.FilterObservation(envs, ["depth"]),
    "FlattenObservation": vector.FlattenObservation,
    "GrayscaleObservation": chain(images, vector.GrayscaleObservation),
    "NormalizeObservation": chain(goals, vector.NormalizeObservation),
    "NormalizeReward": vector.NormalizeReward,
    "NumpyToTorch": vector.NumpyToTorch,
    "RecordEpisodeStatistics": vector.RecordEpisodeStatistics,
    "RescaleObservation": chain(images, lambda envs: vector.RescaleObservation(envs, np.uint8(0), np.uint8(1))),
    "ReshapeObservation": chain(images, lambda envs: vector.ReshapeObservation(envs, (12, 48))),
    "TransformAction": lambda envs: vector.TransformAction(envs, lambda actions: 3 - actions),
    "TransformObservation": goals,
    "TransformReward": lambda envs: vector.TransformReward(envs, lambda reward: 2 * reward),
    "VectorizeTransformAction": lambda envs: vector.VectorizeTransformAction(
        envs, single.TransformAction, func=lambda action: 3 - action, action_space=spaces.Discrete(4)
    ),
    "VectorizeTransformObservation": lambda envs: vector.VectorizeTransformObservation(
        envs, single.TransformObservation, func=lambda obs: obs["rgb"], observation_space=RGB
    ),
    "VectorizeTransformReward": lambda envs: vector.VectorizeTransformReward(
        envs, single.TransformReward, func=lambda reward: 2 * reward
    ),
}
# Those that read numbers one by one or mix numpy into the arithmetic want numpy; these work on tensors as they are.
ON_TENSORS = ("TransformAction", "TransformObservation", "TransformReward")


def test_all_vector_wrappers_are_listed():
    assert set(VECTOR) | UNFIT | NEEDS.keys() >= set(vector.__all__)


def make_vector(one_room, **options):
    return gym.make_vec("batchsim/PointNav-v0", num_envs=3, scenes=one_room, **OPTIONS | options)


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
@pytest.mark.parametrize("name", VECTOR)
def test_vector_environment(one_room, gl_watched, name, mode):
    """With SAME_STEP Gymnasium refuses some, on its own `SyncVectorEnv` too: exactly those."""
    sync = gym.vector.SyncVectorEnv([lambda: NavEnv(one_room, **OPTIONS)] * 3, autoreset_mode=gym_mode(mode))
    outcomes = []
    for envs in (sync, make_vector(one_room, output="numpy", autoreset_mode=mode)):
        try:
            run_vector(VECTOR[name](envs), converted=name in ("NumpyToTorch", "ArrayConversion"))
            outcomes.append(None)
        except Exception as error:
            outcomes.append(type(error))
        envs.close()
    assert outcomes[0] is outcomes[1]
    assert mode == "SAME_STEP" or outcomes[1] is None


def gym_mode(name):
    return gym.vector.AutoresetMode[name]


@pytest.mark.parametrize("name", ON_TENSORS)
def test_vector_environment_with_the_default_tensors(one_room, gl_watched, name):
    wrapped = VECTOR[name](make_vector(one_room, autoreset_mode="NEXT_STEP"))
    observation, _ = wrapped.reset(seed=0)
    for _ in range(10):
        observation, reward, *_ = wrapped.step(torch.tensor([1, 2, 3]))
    assert torch.is_tensor(reward)
    first = observation if torch.is_tensor(observation) else next(iter(observation.values()))
    assert torch.is_tensor(first)
    wrapped.close()


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_tensors_become_numpy_by_gymnasiums_own_wrapper(one_room, gl_watched, mode):
    envs = vector.ArrayConversion(make_vector(one_room, autoreset_mode=mode), env_xp=torch, target_xp=np)
    envs = vector.RecordEpisodeStatistics(envs)
    run_vector(envs)
    assert len(envs.return_queue) > 3
    envs.close()


def run_vector(envs, converted=False):
    observation, _ = envs.reset(seed=0)
    for _ in range(15):
        if not converted:
            assert observation in envs.observation_space
        actions = envs.action_space.sample()
        observation, reward, *_ = envs.step(torch.as_tensor(actions) if converted else actions)
        assert np.isfinite(np.asarray(reward)).all()


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_recorded_statistics_are_our_measures(one_room, gl_watched, mode):
    envs = vector.RecordEpisodeStatistics(make_vector(one_room, output="numpy", autoreset_mode=mode, sensors=("rgb",)))
    envs.reset(seed=0)
    seen = 0
    for actions in np.random.default_rng(0).choice(4, (40, 3), p=[0.1, 0.5, 0.2, 0.2]):
        *_, info = envs.step(actions)
        if "episode" not in info:
            continue
        ours = info["final_info"] if mode == "SAME_STEP" else info
        done = info["_episode"]
        seen += done.sum()
        assert np.allclose(info["episode"]["r"][done], ours["episode_return"][done], atol=1e-5)
        assert info["episode"]["l"][done].tolist() == ours["episode_length"][done].tolist()
    assert seen > 10
    envs.close()
