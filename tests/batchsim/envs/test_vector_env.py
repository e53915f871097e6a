"""The vector environment as Gymnasium's users expect it: spaces, types, seeds, options, errors."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from batchsim import NavVectorEnv, OptionError
from batchsim.scenes import SceneError

GOAL = "pointgoal_with_gps_compass"
SMALL = {"width": 16, "height": 16, "renderer": "raster"}


def play(env, actions, seed=0):
    """All observations (cloned), rewards and ends of a run, as one list of arrays a step."""
    observation, _ = env.reset(seed=seed)
    trace = [[value.clone() for value in observation.values()]]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        trace.append([value.clone() for value in observation.values()] + [reward, terminated, truncated])
    return trace


def random_actions(steps, num_envs, seed=0):
    return np.random.default_rng(seed).choice(4, (steps, num_envs), p=[0.04, 0.5, 0.23, 0.23])


def same(a, b):
    return all(torch.equal(x, y) for left, right in zip(a, b, strict=True) for x, y in zip(left, right, strict=True))


def test_spaces_and_metadata(one_room, make_env):
    env = make_env(3, one_room, **SMALL)
    assert isinstance(env, VectorEnv)
    assert VectorEnv in type(env).__bases__
    assert env.single_action_space == gym.spaces.Discrete(4)
    assert env.action_space == gym.spaces.MultiDiscrete([4, 4, 4])
    assert env.single_observation_space["depth"] == gym.spaces.Box(0, 1, (16, 16, 1), np.float32)
    assert env.observation_space["depth"].shape == (3, 16, 16, 1)
    assert env.observation_space[GOAL].shape == (3, 2)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP is env.autoreset_mode
    assert env.metadata["torch"] is True
    assert env.metadata["render_modes"] == ["rgb_array"]
    assert env.metadata["render_fps"] > 0
    assert env.metadata is not NavVectorEnv.metadata
    assert env.num_envs == 3
    assert env.device == torch.device("cpu")


def test_numpy_outputs_lie_in_the_spaces(homes, make_env):
    env = make_env(4, homes, output="numpy", max_episode_steps=9, **SMALL)
    observation, info = env.reset(seed=0)
    assert info == {}
    assert observation in env.observation_space
    for action in random_actions(30, 4):
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        assert {name: value[1] for name, value in observation.items()} in env.single_observation_space
        assert (reward.dtype, reward.shape) == (np.float32, (4,))
        assert terminated.dtype == truncated.dtype == np.bool_


def test_numpy_outputs_are_copies(one_room, make_env):
    env = make_env(2, one_room, output="numpy", **SMALL)
    first, _ = env.reset(seed=0)
    kept = {name: value.copy() for name, value in first.items()}
    env.step([1, 2])
    assert all((first[name] == kept[name]).all() for name in kept)


def test_torch_outputs(one_room, make_env):
    env = make_env(2, one_room, **SMALL)
    observation, _ = env.reset(seed=0)
    assert {name: value.dtype for name, value in observation.items()} == {"depth": torch.float32, GOAL: torch.float32}
    assert observation["depth"].shape == (2, 16, 16, 1)
    _, reward, terminated, truncated, info = env.step([1, 0])
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (torch.float32, torch.bool, torch.bool)
    assert terminated.tolist() == [False, True]
    assert info["position"].shape == (2, 3)
    assert info["heading"].shape == (2,)
    wanted = {
        "episode_return",
        "episode_length",
        "success",
        "spl",
        "soft_spl",
        "distance_to_goal",
        "collisions",
        "path_length",
    }
    assert wanted <= set(info)


def test_depth_is_clipped_and_scaled(one_room, make_env):
    near, far = (make_env(1, one_room, max_depth=metres, **SMALL) for metres in (2.0, 20.0))
    clipped, whole = (env.reset(seed=3)[0]["depth"].clone() for env in (near, far))
    assert clipped.max() == 1
    assert whole.max() < 0.75
    assert torch.allclose(clipped, (whole * 20).clamp(max=2) / 2, atol=1e-5)


def test_same_seed_same_trajectory(homes, make_env):
    actions = random_actions(60, 5)
    first, second = (make_env(5, homes, max_episode_steps=13, **SMALL) for _ in range(2))
    trace = play(first, actions, seed=7)
    assert same(trace, play(second, actions, seed=7))
    assert same(trace, play(first, actions, seed=7))  # and again in the same environment
    assert not same(trace, play(first, actions, seed=8))


def test_results_do_not_depend_on_how_many_run(homes, make_env):
    actions = random_actions(60, 7)
    few, many = (make_env(n, homes, max_episode_steps=13, **SMALL) for n in (3, 7))
    for left, right in zip(play(few, actions[:, :3]), play(many, actions), strict=True):
        depth, *rest = zip(left, right, strict=True)
        assert all(torch.equal(a, b[:3]) for a, b in rest)
        # Rasterising in other tiles rounds otherwise along the edges.
        assert ((depth[0] - depth[1][:3]).abs() < 1e-3).float().mean() > 0.99


def test_one_seed_counts_up_and_a_list_gives_each_its_own(one_room, make_env):
    env = make_env(3, one_room, sensors=())
    counted = env.reset(seed=5)[0][GOAL].clone()
    assert torch.equal(env.reset(seed=[5, 6, 7])[0][GOAL], counted)
    turned = env.reset(seed=[7, 6, 5])[0][GOAL]
    assert torch.equal(turned, counted.flip(0))
    assert len(counted[:, 0].unique()) == 3


def test_without_a_seed_streams_go_on(one_room, make_env):
    env = make_env(3, one_room, sensors=())
    first = env.reset(seed=5)[0][GOAL].clone()
    second = env.reset()[0][GOAL].clone()
    assert not torch.equal(first, second)
    env.reset(seed=5)
    assert torch.equal(env.reset()[0][GOAL], second)


def test_none_among_the_seeds_goes_on_with_that_stream(one_room, make_env):
    env = make_env(2, one_room, sensors=())
    env.reset(seed=[1, 2])
    following = env.reset()[0][GOAL].clone()
    env.reset(seed=[1, 2])
    mixed = env.reset(seed=[9, None])[0][GOAL].clone()
    assert torch.equal(mixed[1], following[1])
    assert torch.equal(mixed[0], env.reset(seed=[9, 9])[0][GOAL][0])


def test_unseeded_environments_differ(one_room, make_env):
    goals = [make_env(2, one_room, sensors=()).reset()[0][GOAL] for _ in range(2)]
    assert not torch.equal(*goals)


def test_a_reset_mask_leaves_the_others_alone(one_room, make_env):
    env = make_env(3, one_room, autoreset_mode="disabled", **SMALL)
    env.reset(seed=0)
    before, *_ = env.step([1, 1, 1])
    before = {name: value.clone() for name, value in before.items()}
    after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert all(torch.equal(after[name][[0, 2]], before[name][[0, 2]]) for name in before)
    assert not torch.equal(after[GOAL][1], before[GOAL][1])
    _, _, _, _, info = env.step([1, 1, 1])
    assert info["episode_length"].tolist() == [2, 1, 2]


@pytest.mark.parametrize(
    "actions",
    [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), np.array([[1], [2], [3]], np.int32), torch.tensor([1, 2, 3])],
    ids=["list", "tuple", "array", "column", "tensor"],
)
def test_actions_of_any_kind(one_room, make_env, actions):
    env = make_env(3, one_room, sensors=())
    env.reset(seed=0)
    heading = env.simulator.state.heading.clone()
    *_, info = env.step(actions)
    turned = torch.rad2deg(info["heading"] - heading)
    assert torch.allclose(torch.remainder(turned + 180, 360) - 180, torch.tensor([0.0, 10.0, -10.0]), atol=1e-3)


def test_step_before_reset(one_room, make_env):
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        make_env(1, one_room, sensors=()).step([0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs=0.*from 1 to 1048576"),
        ({"num_envs": 2.5}, "num_envs=2.5"),
        ({"num_envs": 2**31}, "num_envs=2147483648.*to 1048576"),
        ({"sensors": "rgb"}, r"sensors='rgb'.*\('rgb',\)"),
        ({"sensors": 0}, "sensors=0.*sequence"),
        ({"cameras": 0}, "cameras=0.*sequence"),
        ({"episodes": "val.json.gz"}, "episodes is of type str.*EpisodeSet"),
        ({"task": np.zeros(2)}, "task is of type ndarray"),
        ({"task": ":x"}, "task=':x'"),
        ({"device": 0.5}, "device is of type float"),
        ({"reuse_buffers": np.zeros(2)}, "reuse_buffers=.*True or False"),
        ({"output": "jax"}, "'jax'.*'torch', 'numpy'"),
        ({"render_mode": "human"}, "'human'.*rgb_array"),
        ({"autoreset_mode": "later"}, "'later'.*NEXT_STEP"),
        ({"sensors": ("lidar",)}, "lidar"),
        ({"renderer": "vulkan"}, "vulkan"),
        ({"device": "tpu"}, "tpu"),
        ({"forward_step": 0.0}, "forward_step=0.0: expected a number of metres from 0.0001 to 10"),
        ({"forward_step": float("inf")}, "forward_step=inf: expected a number"),
        ({"max_depth": "far"}, "max_depth='far'"),
        ({"turn_angle": -10}, "turn_angle=-10"),
        ({"max_episode_steps": 0}, "max_episode_steps=0"),
        ({"max_episode_steps": 2.5}, "max_episode_steps=2.5: expected a whole number"),
        ({"success_distance": -1}, "success_distance=-1: expected a number of metres"),
        ({"max_depth": 0}, "max_depth=0"),
        ({"width": 0}, "width=0"),
        ({"hfov": 200}, "hfov=200"),
    ],
)
def test_bad_options(one_room, options, message):
    with pytest.raises(OptionError, match=message):
        NavVectorEnv(**{"num_envs": 1, "scenes": one_room, **options})


def test_bad_scenes():
    with pytest.raises(SceneError, match="homes:train"):
        NavVectorEnv(1, "no-such-place")


def test_bad_arguments(one_room, make_env):
    env = make_env(2, one_room, sensors=())
    with pytest.raises(OptionError, match=r"seed: expected an integer, or 2 of them; got 3"):
        env.reset(seed=[1, 2, 3])
    for seed in (1.5, 1 << 63, [0, -(1 << 63) - 1], (1 << 63) - 1):
        with pytest.raises(OptionError, match="seed"):
            env.reset(seed=seed)
    env.reset(seed=0)
    for actions, message in {
        (1, 1, 1): r"expected 2 integers, shape \(2,\); got int64 of shape \(3,\)",
        (0.5, 1.0): "float",
        (1, 4): r"values from 0 to 3 \(0 stop, 1 forward, 2 left, 3 right\); got 4",
        (-1, 0): "got -1",
        "ab": "expected 2 integers; got str",
        (True, False): "bool",
    }.items():
        with pytest.raises(OptionError, match=message):
            env.step(actions)
    for mask in ([True], [False, False], [1, 0], [True, False, True]):
        with pytest.raises(OptionError, match="reset_mask"):
            env.reset(options={"reset_mask": np.array(mask)})


def test_the_first_reset_must_begin_all(one_room, make_env):
    env = make_env(2, one_room, sensors=())
    with pytest.raises(gym.error.ResetNeeded, match="all environments"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(options={"reset_mask": np.array([True, True])})


def test_options_are_not_changed(one_room, make_env):
    env = make_env(2, one_room, sensors=())
    env.reset(seed=0)
    options = {"reset_mask": np.array([True, False])}
    env.reset(options=options)
    assert list(options) == ["reset_mask"]
    assert options["reset_mask"].tolist() == [True, False]


def test_render_shows_near_as_white(one_room, make_env):
    env = make_env(2, one_room, render_mode="rgb_array", **SMALL)
    observation, _ = env.reset(seed=0)
    images = env.render()
    assert len(images) == 2
    assert (images[0].shape, images[0].dtype) == ((16, 16, 3), np.uint8)
    depth = observation["depth"].numpy()[..., 0]
    assert np.abs(np.stack(images)[..., 0] - 255 * (1 - depth)).max() <= 1
    assert make_env(1, one_room, sensors=()).render() is None


def test_blind_environments_need_no_renderer(one_room, make_env, monkeypatch):
    monkeypatch.setattr("batchsim.simulation.simulator.BatchRenderer", None)
    env = make_env(2, one_room, sensors=())
    assert list(env.reset(seed=0)[0]) == [GOAL]


def test_seeds_of_the_first_reset_may_be_left_out_one_by_one(one_room, make_env):
    goals = [make_env(2, one_room, sensors=()).reset(seed=[3, None])[0][GOAL] for _ in range(2)]
    assert torch.equal(goals[0][0], goals[1][0])
    assert not torch.equal(goals[0][1], goals[1][1])


def test_episodes_can_begin_with_steps_behind_them(homes, make_env):
    env = make_env(4, homes, sensors=(), max_episode_steps=6)
    env.reset(seed=0, options={"elapsed_steps": np.array([0, 1, 3, 5])})
    ended = np.stack([env.step([2] * 4)[3].numpy() for _ in range(12)])
    # Sooner once, then after six steps like everybody.
    assert [np.flatnonzero(column).tolist() for column in ended.T] == [[5, 11], [4, 10], [2, 8], [0, 6]]
    env.reset(options={"reset_mask": np.array([True, False, False, True]), "elapsed_steps": np.array([4, 0, 0, 0])})
    assert env.simulator.state.step.tolist() == [4, 1, 3, 0]


@pytest.mark.parametrize("elapsed", [[0, 1, 2], [0, 0, 0, 6], [0, 0, 0, -1], [0.0, 0.0, 0.0, 0.0]])
def test_elapsed_steps_that_cannot_be(one_room, make_env, elapsed):
    env = make_env(4, one_room, sensors=(), max_episode_steps=6)
    with pytest.raises(OptionError, match="elapsed_steps: expected 4 integers from 0 to below"):
        env.reset(seed=0, options={"elapsed_steps": np.array(elapsed)})
