"""`SkrlEnv`: as skrl's own Gymnasium wrapper, without its warnings and copies."""

import warnings

import pytest
import torch

pytest.importorskip("skrl")
from skrl.envs.wrappers.torch import wrap_env
from skrl.utils.spaces.torch import unflatten_tensorized_space

from batchsim.agents.adapters import SkrlEnv


@pytest.mark.parametrize("options", [{"sensors": ("depth", "rgb")}, {"action_mode": "velocity"}])
def test_steps_are_those_of_skrls_own_wrapper(make_pair, actions, options):
    env, other = make_pair(**options)
    ours = SkrlEnv(env, seed=7)
    assert (ours.num_envs, ours.device) == (3, env.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = wrap_env(other, wrapper="gymnasium", verbose=False)
        theirs._seed = 7
        expected = [theirs.reset()[0]]
    found = [ours.reset()[0]]
    assert ours.observation_space == theirs.observation_space
    velocity = "action_mode" in options
    played = torch.rand(30, 3, 2, generator=torch.Generator().manual_seed(0)) if velocity else actions.unsqueeze(-1)
    ends = 0
    for action in played:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            *mine, info = ours.step(action)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            *reference, reference_info = theirs.step(action)
        for left, right in zip(mine, reference, strict=True):
            assert left.shape == right.shape
            assert torch.equal(left, right.to(left.dtype))
        found.append(mine[0])
        done = info["_final_info"]
        ends += int(done.sum())
        if done.any():
            mean = reference_info["final_info"]["episode_return"][done].mean()
            assert torch.isclose(info["episode"]["episode_return"], mean)
        else:
            assert info["episode"] == {}
    assert ends > 5
    assert torch.equal(ours.reset()[0], found[-1]), "a reset between rollouts changes nothing"
    assert torch.equal(ours.reset(seed=7)[0], expected[0])


def test_rows_can_be_taken_apart(make_pair):
    env, direct = make_pair(sensors=("depth", "rgb"), channels_first=True)
    ours = SkrlEnv(env)
    rows, _ = ours.reset(seed=2)
    seen = unflatten_tensorized_space(ours.observation_space, rows)
    for name, value in direct.reset(seed=2)[0].items():
        assert torch.equal(seen[name], value.float())
