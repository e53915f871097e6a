"""The small print: fresh images, formats, numpy numbers, one-line refusals, error types, pickling, attributes."""

import copy
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from batchsim import ActionError, Camera, NavEnv, NavVectorEnv, OptionError

GOAL = "pointgoal_with_gps_compass"
SMALL = {"width": 16, "height": 12, "renderer": "raycast", "device": "cpu"}
SENSORS = ("depth", "rgb", "semantic")


def turns(num_envs):
    return torch.full((num_envs,), 2)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("depth_format", ["float32", "uint8"])
def test_images_are_fresh_unless_buffers_are_reused(one_room, make_env, depth_format, channels_first):
    options = {"sensors": SENSORS, "channels_first": channels_first, "depth_format": depth_format, **SMALL}
    fresh, reusing = (make_env(3, one_room, max_episode_steps=4, reuse_buffers=r, **options) for r in (False, True))
    kept = [env.reset(seed=0)[0] for env in (fresh, reusing)]
    frames, copies, finals = [], [], []
    for _ in range(9):
        observation, _, _, truncated, info = fresh.step(turns(3))
        again, *_, info_again = reusing.step(turns(3))
        for name in SENSORS:
            assert torch.equal(observation[name], again[name])
            if truncated.any():
                assert torch.equal(info["final_obs"][name], info_again["final_obs"][name])
        frames.append(observation)
        copies.append({name: value.clone() for name, value in again.items()})
        finals.append((info["final_obs"], {name: value.clone() for name, value in info["final_obs"].items()}))
    assert all(
        torch.equal(frame[name], copied[name]) for frame, copied in zip(frames, copies, strict=True) for name in copied
    )
    assert all(torch.equal(final[name], copied[name]) for final, copied in finals for name in copied)
    assert not torch.equal(kept[0]["rgb"], frames[-1]["rgb"])
    storages = {frame["rgb"].untyped_storage().data_ptr() for frame in frames}
    assert len(storages) == len(frames)
    # No observation keeps more alive than its own images.
    assert frames[3]["rgb"].untyped_storage().nbytes() == frames[3]["rgb"].nbytes


def test_formats_are_those_of_the_spaces(one_room, make_env):
    plain = make_env(2, one_room, sensors=SENSORS, **SMALL)
    other = make_env(2, one_room, sensors=SENSORS, depth_format="uint8", channels_first=True, output="numpy", **SMALL)
    expected, found = (env.reset(seed=5)[0] for env in (plain, other))
    assert found in other.observation_space
    assert other.single_observation_space["depth"] == gym.spaces.Box(0, 255, (1, 12, 16), np.uint8)
    assert np.array_equal(found["rgb"], expected["rgb"].numpy().transpose(0, 3, 1, 2))
    assert np.array_equal(found["semantic"], expected["semantic"].numpy().transpose(0, 3, 1, 2))
    depth = expected["depth"].numpy().transpose(0, 3, 1, 2)
    assert np.abs(found["depth"] / 255.0 - depth).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("sensors", [("rgb", "depth"), ("depth",)])
def test_render_is_the_same_in_all_formats(one_room, make_env, sensors):
    options = {"sensors": sensors, "render_mode": "rgb_array", **SMALL}
    envs = [make_env(2, one_room, **options)]
    envs += [make_env(2, one_room, depth_format="uint8", channels_first=True, **options)]
    for env in envs:
        env.reset(seed=1)
        env.step([1, 2])
    images = [np.stack(env.render()).astype(int) for env in envs]
    assert images[0].shape == (2, 12, 16, 3)
    assert np.abs(images[0] - images[1]).max() <= 1


def test_numpy_numbers_are_numbers(one_room, make_env):
    env = make_env(
        np.int64(2),
        one_room,
        width=np.int32(16),
        height=np.uint8(12),
        hfov=np.float32(90),
        agent_radius=np.float32(0.1),
        forward_step=np.float64(0.25),
        turn_angle=np.int64(10),
        success_distance=np.float32(0.3),
        max_episode_steps=np.int16(20),
        allow_sliding=np.bool_(True),
        renderer="raycast",
        device="cpu",
    )
    assert type(env.num_envs) is int
    assert env.task.success_distance == 0.3
    env.reset(seed=np.int64(3))
    env.step(np.array([1, 1], np.uint8))
    cameras = [{"name": "left", "width": np.int64(8), "height": np.int64(8), "hfov": np.float32(60)}]
    assert make_env(1, one_room, cameras=cameras, device="cpu").reset(seed=0)[0]["left_depth"].shape == (1, 8, 8, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_envs", True),
        ("num_envs", "2"),
        ("num_envs", 1e9),
        ("width", math.nan),
        ("width", 10**400),
        ("height", 5000),
        ("hfov", math.nan),
        ("hfov", 1e308),
        ("camera_height", -1),
        ("agent_radius", math.nan),
        ("agent_radius", 0),
        ("forward_step", 1e6),
        ("turn_angle", 1e308),
        ("turn_angle", ""),
        ("max_depth", math.nan),
        ("max_episode_steps", math.inf),
        ("max_episode_steps", 1e3),
        ("success_distance", math.nan),
        ("allow_sliding", "yes"),
        ("reuse_buffers", 1),
        ("depth_format", "float16"),
        ("num_resident_scenes", 2.0),
        ("sensors", "depth"),
        ("output", None),
        ("render_mode", "human"),
    ],
)
def test_wrong_values_are_refused_in_one_line(one_room, name, value):
    with pytest.raises(OptionError, match=f"{name}=.*expected") as caught:
        NavVectorEnv(**{"num_envs": 1, "scenes": one_room, "sensors": (), "device": "cpu", name: value})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("field", ["width", "hfov", "yaw", "position"])
def test_cameras_refuse_the_same(field):
    with pytest.raises(OptionError, match=field):
        Camera(**{field: math.nan})


@pytest.mark.parametrize("seed", [1.5, "1", True, [1, None, 2.0], [1, 2], math.nan, np.array(1.0), np.array(3)])
def test_seeds_must_be_integers(one_room, make_env, seed):
    env = make_env(3, one_room, sensors=(), device="cpu")
    with pytest.raises(OptionError, match="seed: expected an integer, or 3 of them"):
        env.reset(seed=seed)


def test_actions_of_the_wrong_kind_are_gymnasiums_invalid_actions(one_room, make_env):
    env = make_env(3, one_room, sensors=(), device="cpu")
    env.reset(seed=0)
    for actions in ([1, 1], [[1, 1, 1]], [1, 1, 4], [1, 1, -1], [1.0, 1.0, 1.0], None, [None] * 3, np.int64(1)):
        with pytest.raises(gym.error.InvalidAction, match=r"actions: expected .*got") as caught:
            env.step(actions)
        assert isinstance(caught.value, ActionError)
        assert isinstance(caught.value, ValueError)
    assert env.simulator.state.step.tolist() == [0, 0, 0]


def test_states_in_which_nothing_can_be_asked(one_room):
    env = NavEnv(one_room, render_mode="rgb_array", **SMALL)
    for early in (lambda: env.step(1), env.render):
        with pytest.raises(gym.error.ResetNeeded, match=r"reset\(\) before"):
            early()
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match=r"0 to 3 \(0 stop"):
        env.step(7)
    for wrong in (None, 1.0, "1", [1, 1], [[1]], [1, [2]], True):
        with pytest.raises(gym.error.InvalidAction, match=r"action: expected one in Discrete\(4\); got"):
            env.step(wrong)
    env.step(np.array([1], np.uint8))
    env.close()
    env.close()
    for late in (lambda: env.step(1), env.reset, env.render):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="after close"):
            late()


@pytest.mark.parametrize("wrong", [1, [0.0], [[0.0, 0.0]], "ab", None])
def test_speeds_of_the_wrong_shape(one_room, wrong):
    env = NavEnv(one_room, sensors=(), device="cpu", action_mode="velocity")
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match=r"action: expected one in Box\(-1.0.*got"):
        env.step(wrong)
    with pytest.raises(gym.error.InvalidAction, match="finite"):
        env.step([math.nan, 0.0])
    env.step([1, 0])
    env.close()


def test_unknown_options_are_refused(one_room, make_env):
    env = make_env(2, one_room, sensors=(), device="cpu")
    with pytest.raises(OptionError, match="reset options masks: expected only reset_mask, elapsed_steps"):
        env.reset(options={"masks": [True, False]})
    with pytest.raises(TypeError, match="sensor'"):
        NavVectorEnv(1, one_room, sensor=("depth",))
    with pytest.raises(TypeError, match=r"NavEnv\(\) got an unexpected keyword argument 'sensor'"):
        NavEnv(one_room, sensor=("depth",))
    single = NavEnv(one_room, sensors=(), device="cpu", max_episode_steps=5)
    with pytest.raises(OptionError, match="speed"):
        single.reset(options={"speed": 2})
    single.reset(seed=0, options={"elapsed_steps": 4})
    assert single.step(1)[3]
    single.close()


@pytest.mark.parametrize("sensors", [(), ("semantic",)])
def test_render_modes_without_an_image_are_refused(one_room, sensors):
    with pytest.raises(OptionError, match=r"render_mode='rgb_array': expected 'rgb' or 'depth' in sensors"):
        NavEnv(one_room, sensors=sensors, render_mode="rgb_array")


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", ["PointNav", "Flee", "Explore"])
def test_gymnasiums_checker_has_nothing_to_say(name):
    env = gym.make(f"batchsim/{name}-v0", scenes="one-room", render_mode="rgb_array", **SMALL)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_are_made_by_the_same_arguments(one_room, copied):
    options = {**SMALL, "sensors": ("depth",), "turn_angle": 30.0}
    for made in (NavVectorEnv(2, one_room, autoreset_mode="NEXT_STEP", **options), NavEnv(one_room, **options)):
        other = copied(made)
        assert other is not made
        assert other.observation_space == made.observation_space
        first, second = (env.reset(seed=4)[0] for env in (made, other))
        assert all(np.array_equal(first[name], second[name]) for name in first)
        action = [2, 2] if made is not None and isinstance(made, NavVectorEnv) else 2
        first, second = (env.step(action)[0] for env in (made, other))
        assert all(np.array_equal(first[name], second[name]) for name in first)
        for env in (made, other):
            env.close()


def test_made_environments_keep_their_spec_when_pickled():
    env = gym.make("batchsim/PointNav-v0", scenes="one-room", sensors=())
    other = pickle.loads(pickle.dumps(env))
    assert other.spec.id == env.spec.id
    other.reset(seed=0)
    other.step(1)
    for made in (env, other):
        made.close()


def test_attributes_of_the_single_environments(one_room, make_env):
    env = make_env(3, one_room, sensors=("depth",), render_mode="rgb_array", **SMALL)
    env.reset(seed=0)
    assert env.get_attr("render_mode") == ("rgb_array",) * 3
    assert env.get_attr("action_space") == (gym.spaces.Discrete(4),) * 3
    assert env.get_attr("task") == (env.task,) * 3
    positions = env.get_attr("position")
    assert np.array_equal(np.stack(positions), env.simulator.state.position.numpy())
    frames = env.call("render")
    assert [frame.shape for frame in frames] == [(12, 16, 3)] * 3
    env.set_attr("note", "a word")
    assert env.get_attr("note") == ("a word",) * 3
    env.set_attr("note", ["b", "b", "b"])
    assert env.note == "b"
    with pytest.raises(OptionError, match="3 equal"):
        env.set_attr("note", ["a", "b", "c"])
    with pytest.raises(OptionError, match="option is fixed"):
        env.set_attr("turn_angle", 5)
    with pytest.raises(AttributeError):
        env.get_attr("no_such_thing")


def test_a_single_environment_loads_few_scenes(one_room):
    """A single environment loads two scenes of a larger set by default, so that `gym.make` answers soon."""
    from tests.helpers.rooms import make_room, room_sources

    rooms = [make_room(k) for k in range(5)]
    env = NavEnv(room_sources(rooms), sensors=(), device="cpu")
    assert len(env.simulator.scenes) == 2
    env.close()
    env = NavEnv(room_sources(rooms[:4]), sensors=(), device="cpu")
    assert len(env.simulator.scenes) == 4
    env.close()
