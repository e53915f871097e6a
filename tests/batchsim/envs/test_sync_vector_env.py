"""The vector environment is, step by step, what Gymnasium's `SyncVectorEnv` makes of single environments."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from batchsim import NavEnv
from tests.helpers.infos import row_info

MODES = list(AutoresetMode)
OPTIONS = {"width": 16, "height": 12, "renderer": "raycast", "sensors": ("depth", "rgb"), "max_episode_steps": 12}


@pytest.fixture
def make_both(homes, make_env):
    made = []

    def make(mode, num_envs=4, scenes=homes, **options):
        options = OPTIONS | options
        sync = SyncVectorEnv([lambda: NavEnv(scenes, **options) for _ in range(num_envs)], autoreset_mode=mode)
        made.append(sync)
        return sync, make_env(num_envs, scenes, output="numpy", autoreset_mode=mode, **options)

    yield make
    for sync in made:
        sync.close()


def random_actions(steps, num_envs, count=4, seed=0):
    stop = [0.08] if count == 4 else []
    chances = np.array([*stop, 0.5, 0.25, 0.25 - sum(stop)])
    return np.random.default_rng(seed).choice(count, (steps, num_envs), p=chances)


def assert_same(expected, found, where=""):
    """Equal in structure and, but for the last digits of sums, in numbers."""
    if isinstance(expected, dict):
        assert expected.keys() == found.keys(), where
        for name in expected:
            assert_same(expected[name], found[name], f"{where}/{name}")
    elif isinstance(expected, (tuple, list)) or (isinstance(expected, np.ndarray) and expected.dtype == object):
        assert type(expected) is type(found), where
        assert len(expected) == len(found), where
        for i, pair in enumerate(zip(expected, found, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    elif expected is None:
        assert found is None, where
    elif expected.dtype in (np.bool_, np.uint8):
        assert np.array_equal(expected, found), where
    else:
        assert np.allclose(expected, found, atol=1e-5), where


@pytest.mark.parametrize("task", ["pointnav", "flee", "explore"])
@pytest.mark.parametrize("mode", MODES)
def test_step_by_step(make_both, mode, task):
    sensors = ("depth", "rgb") if task == "pointnav" else ()
    sync, ours = make_both(mode, task=task, sensors=sensors)
    assert ours.observation_space == sync.observation_space
    assert ours.single_observation_space == sync.single_observation_space
    assert ours.action_space == sync.action_space
    assert ours.metadata["autoreset_mode"] == sync.metadata["autoreset_mode"]
    assert_same(sync.reset(seed=20), ours.reset(seed=20))
    ended = 0
    for step, actions in enumerate(random_actions(80, 4, ours.single_action_space.n)):
        expected, found = sync.step(actions), ours.step(actions)
        assert_same(expected, found, str(step))
        done = expected[2] | expected[3]
        ended += done.sum()
        if mode == AutoresetMode.DISABLED and done.any():
            # SyncVectorEnv removes the mask from the options; ours leaves them as they are.
            assert_same(*(env.reset(options={"reset_mask": done}) for env in (sync, ours)))
    assert ended > 20


@pytest.mark.parametrize("mode", MODES)
def test_resets_in_between(make_both, mode):
    sync, ours = make_both(mode, sensors=())
    assert_same(sync.reset(seed=[3, 9, 4, 1]), ours.reset(seed=[3, 9, 4, 1]))
    mask = np.array([True, False, True, False])
    for step, actions in enumerate(random_actions(40, 4)):
        expected, found = sync.step(actions), ours.step(actions)
        assert_same(expected, found, str(step))
        done = expected[2] | expected[3]
        if step % 7 == 3:
            which = done | mask if mode == AutoresetMode.DISABLED else mask
            seed = [5 + step, None, None, 6] if step % 2 else None
            assert_same(*(env.reset(seed=seed, options={"reset_mask": which.copy()}) for env in (sync, ours)))
        elif mode == AutoresetMode.DISABLED and done.any():
            assert_same(*(env.reset(options={"reset_mask": done.copy()}) for env in (sync, ours)))


def test_a_stop_on_the_last_step_is_terminated_and_truncated(make_both, one_room):
    for mode in MODES:
        sync, ours = make_both(mode, num_envs=2, scenes=one_room, sensors=(), max_episode_steps=2)
        for env in (sync, ours):
            env.reset(seed=0)
            env.step(np.array([1, 1]))
            _, _, terminated, truncated, _ = env.step(np.array([0, 1]))
            assert (terminated.tolist(), truncated.tolist()) == ([True, False], [True, True])


@pytest.mark.parametrize("task", ["pointnav", "explore"])
def test_an_ended_environment_stays_as_it_is_when_resets_are_disabled(homes, make_env, task):
    options = OPTIONS | {"task": task, "autoreset_mode": "DISABLED"}
    env = make_env(4, homes, **options)
    env.reset(seed=2)
    ends, frozen = torch.zeros(4, dtype=torch.bool), {}
    for actions in random_actions(20, 4, env.single_action_space.n):
        observation, reward, terminated, truncated, info = env.step(actions)
        assert not reward[ends].any()
        for i, (last, last_terminated, last_truncated, last_info) in frozen.items():
            assert all(torch.equal(observation[name][i], last[name]) for name in last)
            assert (bool(terminated[i]), bool(truncated[i])) == (last_terminated, last_truncated)
            assert all(torch.equal(info[name][i], last_info[name]) for name in last_info)
        ends = terminated | truncated
        for i in ends.nonzero().flatten().tolist():
            row = {name: value[i].clone() for name, value in observation.items()}
            measures = {name: value[i].clone() for name, value in info.items()}
            frozen.setdefault(i, (row, bool(terminated[i]), bool(truncated[i]), measures))
    assert ends.all()
    saved = env.state_dict()
    other = make_env(4, homes, **options)
    other.load_state_dict(saved)
    assert other.step([1] * 4)[3].tolist() == truncated.tolist()
    env.reset(options={"reset_mask": torch.tensor([True, False, False, True])})
    _, reward, terminated, truncated, _ = env.step([1, 1, 1, 1])
    assert (terminated | truncated).tolist() == [False, True, True, False]
    assert not reward[[1, 2]].any()
    assert env.simulator.state.step[[0, 3]].tolist() == [1, 1]


def test_torch_infos_hold_the_same_rows(homes, make_env):
    options = OPTIONS | {"sensors": ()}
    arrays, tensors = (make_env(4, homes, output=output, **options) for output in ("numpy", "torch"))
    for env in (arrays, tensors):
        env.reset(seed=0)
    ended = 0
    for actions in random_actions(40, 4):
        *_, expected = arrays.step(actions)
        *_, terminated, truncated, found = tensors.step(actions)
        for i, done in enumerate((terminated | truncated).tolist()):
            ended += done
            source = found["final_info"] if done else found
            for name, value in row_info(expected, i).items():
                assert np.array_equal(value, source[name][i].numpy())
                assert bool(source[f"_{name}"][i])
                assert not done or not bool(found[f"_{name}"][i])
            if done:
                goal = expected["final_obs"][i]["pointgoal_with_gps_compass"]
                assert np.array_equal(goal, found["final_obs"]["pointgoal_with_gps_compass"][i].numpy())
    assert ended > 10
