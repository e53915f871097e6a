"""`CleanRLVectorEnv`: rows that can be taken apart, and the infos that CleanRL's scripts read."""

import numpy as np
import pytest
import torch

from batchsim.agents.adapters import CleanRLVectorEnv


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_rows_and_ends_against_the_environment_stepped_directly(make_pair, actions, output):
    env, direct = make_pair(sensors=("depth", "rgb"), channels_first=True)
    envs = CleanRLVectorEnv(env, output)
    kind = np.ndarray if output == "numpy" else torch.Tensor
    size = 12 * 16 * 4 + 2
    assert envs.single_observation_space.shape == (size,)
    assert envs.observation_space.shape == (3, size)
    rows, infos = envs.reset(seed=6)
    expected, _ = direct.reset(seed=6)
    ends = 0
    for action in actions:
        assert type(rows) is kind
        assert np.asarray(rows) in envs.observation_space
        check_rows(envs, rows, expected)
        rows, rewards, terminated, truncated, infos = envs.step(action.numpy() if output == "numpy" else action)
        expected, reward, *both, info = direct.step(action)
        assert np.array_equal(rewards, reward)
        assert np.array_equal(terminated, both[0])
        assert np.array_equal(truncated, both[1])
        done = (both[0] | both[1]).numpy()
        assert ("final_info" in infos) == done.any()
        for i in np.flatnonzero(done):
            ends += 1
            final = infos["final_info"][i]
            assert final["episode"] == {"r": final["episode_return"], "l": final["episode_length"]}
            assert final["success"] == info["final_info"]["success"][i]
            last = {name: value[i : i + 1] for name, value in info["final_obs"].items()}
            check_rows(envs, infos["final_observation"][i][None], last)
        if done.any():
            assert [one is None for one in infos["final_info"]] == (~done).tolist()
    assert ends > 10


def check_rows(envs, rows, observation):
    seen = envs.unflatten(torch.as_tensor(rows))
    for name, value in observation.items():
        assert torch.equal(seen[name], value / 255.0 if value.dtype == torch.uint8 else value.float())


def test_rows_of_a_rollout_are_taken_apart_without_a_copy(make_pair):
    envs = CleanRLVectorEnv(make_pair()[0], "torch")
    rows = envs.reset(seed=0)[0]
    stacked = torch.stack([rows, rows])
    parts = envs.unflatten(stacked)
    assert parts["depth"].shape == (2, 3, 12, 16, 1)
    assert parts["depth"].data_ptr() == stacked.data_ptr()
