"""`SB3VecEnv`: the semantics of Stable-Baselines3's `VecEnv`, checked against the environment stepped directly."""

import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor  # noqa: E402

from batchsim import NavEnv  # noqa: E402
from batchsim.agents.adapters import SB3VecEnv  # noqa: E402
from batchsim.agents.errors import AgentError  # noqa: E402
from tests.agents.adapters.conftest import OPTIONS  # noqa: E402

IMAGES = {"sensors": ("depth", "rgb"), "depth_format": "uint8", "channels_first": True}


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_steps_are_those_of_stable_baselines_own_vector_environment(one_room, make_pair, actions):
    """`DummyVecEnv` of single environments: observations, rewards, ends and what SB3 reads of the infos."""
    env, _ = make_pair(**IMAGES)
    ours = SB3VecEnv(env)
    theirs = DummyVecEnv([lambda: NavEnv(one_room, **{**OPTIONS, **IMAGES}, max_episode_steps=7) for _ in range(3)])
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    ours.seed(5)
    theirs.seed(5)
    assert same(ours.reset(), theirs.reset())
    kept, ends = [], 0
    for action in actions.numpy():
        found, expected = ours.step(action), theirs.step(action)
        assert same(found[0], expected[0])
        assert np.allclose(found[1], expected[1], atol=1e-5)
        assert np.array_equal(found[2], expected[2])
        for done, info, reference in zip(found[2], found[3], expected[3], strict=True):
            if not done:
                assert "terminal_observation" not in info
                continue
            ends += 1
            assert same(info["terminal_observation"], reference["terminal_observation"])
            assert info["TimeLimit.truncated"] == reference["TimeLimit.truncated"]
            assert info["episode"]["r"] == pytest.approx(reference["episode_return"], abs=1e-5)
            assert info["episode"]["l"] == reference["episode_length"]
            assert info["is_success"] == bool(reference["success"])
        kept.append((found[0], {name: value.copy() for name, value in found[0].items()}))
    assert ends > 10
    assert all(same(frame, copied) for frame, copied in kept), "no step overwrites the images of another"
    theirs.close()


def test_attributes_methods_and_images(make_pair):
    env, _ = make_pair(sensors=("depth",), render_mode="rgb_array")
    ours = SB3VecEnv(env)
    ours.reset()
    assert ours.render_mode == "rgb_array"
    assert [image.shape for image in ours.get_images()] == [(12, 16, 3)] * 3
    assert ours.render().shape[2] == 3
    assert ours.get_attr("num_envs", [0, 2]) == [3, 3]
    assert np.array_equal(ours.get_attr("position", 1)[0], env.simulator.state.position[1])
    ours.set_attr("note", "a word")
    assert ours.get_attr("note") == ["a word"] * 3
    with pytest.raises(AgentError, match="indices=None"):
        ours.set_attr("note", "b", indices=[0])
    assert [len(image) for image in ours.env_method("render", indices=[1])] == [12]
    assert ours.env_is_wrapped(VecMonitor) == [False] * 3


def test_options_reach_the_reset_once(make_pair):
    env, _ = make_pair()
    ours = SB3VecEnv(env)
    ours.set_options([{"elapsed_steps": k} for k in (0, 6, 2)])
    ours.reset()
    assert env.simulator.state.step.tolist() == [0, 6, 2]
    ours.reset()
    assert env.simulator.state.step.tolist() == [0, 0, 0]
    ours.set_options([{"elapsed_steps": 1}, {}, {}])
    with pytest.raises(AgentError, match="same keys"):
        ours.reset()


def test_images_get_the_cnn(make_pair):
    """SB3 flattens images that it does not take for images."""
    from stable_baselines3.common.torch_layers import NatureCNN

    env, _ = make_pair(**{**IMAGES, "sensors": ("depth",), "width": 36, "height": 36})
    model = sb3.PPO("MultiInputPolicy", SB3VecEnv(env), n_steps=4, batch_size=6, n_epochs=1, device="cpu")
    assert isinstance(model.policy.features_extractor.extractors["depth"], NatureCNN)
    assert model.get_env().unwrapped is model.get_env(), "nothing transposes the images"
    model.learn(24)
    assert model.num_timesteps == 24
    assert "is_success" in next(iter(model.ep_info_buffer), {"is_success": None}) or model.ep_success_buffer
