"""Environments go on exactly where others were saved."""

import pytest
import torch
from gymnasium.vector import AutoresetMode

from batchsim import OptionError
from tests.helpers.infos import measures

SMALL = {"width": 16, "height": 16, "renderer": "raycast", "max_episode_steps": 12, "device": "cpu"}


def steps(env, count, seed=0):
    """What `count` random steps give: images, rewards, ends and measures."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        actions = torch.randint(4, (env.num_envs,), generator=generator)
        observation, reward, terminated, truncated, info = env.step(actions)
        yield {"reward": reward, "ended": terminated, "cut": truncated} | {
            name: value.clone() for name, value in (*observation.items(), *measures(info).items())
        }


@pytest.mark.parametrize("renderer", ["raycast", "raster"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_going_on_in_another_environment(homes, make_env, mode, renderer):
    options = SMALL | {"autoreset_mode": mode, "renderer": renderer}
    env = make_env(5, homes, **options)
    env.reset(seed=7)
    for _ in steps(env, 30):
        pass
    saved = {name: value.clone() for name, value in env.state_dict().items()}
    seen = {name: value.clone() for name, value in env.observe().items()}
    expected = list(steps(env, 30, seed=1))

    other = make_env(5, homes, **options)
    other.load_state_dict(saved)
    assert all(torch.equal(other.observe()[name], value) for name, value in seen.items())
    for now, then in zip(steps(other, 30, seed=1), expected, strict=True):
        assert now.keys() == then.keys()
        for name in then:
            assert torch.equal(now[name], then[name]), name


def test_what_was_saved_does_not_change_with_the_environment(one_room, make_env):
    env = make_env(3, one_room, sensors=())
    env.reset(seed=1)
    saved = env.state_dict()
    before = {name: value.clone() for name, value in saved.items()}
    other = make_env(3, one_room, sensors=())
    other.load_state_dict(saved)
    for made in (env, other):
        for _ in steps(made, 20):
            pass
    assert all(torch.equal(saved[name], value) for name, value in before.items())


def test_the_last_step_is_seen_again(homes, make_env):
    """Also where an episode has just ended, when the images were drawn with others beside them."""
    env = make_env(6, homes, **SMALL | {"renderer": "raster"})
    env.reset(seed=2)
    ended = 0
    for given in steps(env, 20):
        ended += int((given["ended"] | given["cut"]).sum())
        again = env.observe()
        assert all(torch.equal(again[name], given[name]) for name in again)
    assert ended > 6


def test_states_of_others_are_refused(homes, one_room, make_env):
    env = make_env(4, homes, sensors=())
    env.reset(seed=0)
    saved = env.state_dict()
    with pytest.raises(OptionError, match="other scenes"):
        make_env(4, one_room, sensors=()).load_state_dict(saved)
    with pytest.raises(OptionError, match="has 4 environments; expected 3"):
        make_env(3, homes, sensors=()).load_state_dict(saved)
    with pytest.raises(OptionError, match="terminated, truncated, was_reset missing"):
        env.load_state_dict({})
    with pytest.raises(OptionError, match="position"):
        env.load_state_dict({name: value for name, value in saved.items() if name != "simulator.position"})
