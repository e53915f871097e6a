"""Forked environments, and rows that are taken out and put back, behave exactly as those that they were copied from."""

import numpy as np
import pytest
import torch
from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode

from batchsim import OptionError
from batchsim.cuda_graph import sync_debug
from batchsim.scenes import standard_episodes
from batchsim.tasks import TASKS
from tests.helpers.infos import measures
from tests.helpers.rooms import make_room

SMALL = {"width": 8, "height": 8, "renderer": "raycast", "max_episode_steps": 12, "device": "cpu"}
NOISE = {"actuation": "pyrobot", "depth": "redwood", "rgb": {"model": "gaussian", "intensity": 0.1}}
SOURCE, TARGET = [0, 1, 1], [3, 4, 5]


def actions_for(env, generator, like=()):
    """Random actions; those of the environments in `like` are copies of others'."""
    if env.task and hasattr(env.single_action_space, "n"):
        actions = torch.randint(int(env.single_action_space.n), (env.num_envs,), generator=generator)
    else:
        actions = torch.rand(env.num_envs, env.single_action_space.shape[0], generator=generator) * 2 - 1
    for source, target in like:
        actions[target] = actions[source]
    return actions


def step(env, actions):
    """All that a step returns, by name, `[N, ...]` each, as copies."""
    observation, reward, terminated, truncated, info = env.step(actions)
    found = {"reward": reward, "terminated": terminated, "truncated": truncated}
    found |= {f"final {name}": value for name, value in info.get("final_obs", {}).items()}
    found |= {"position": info["position"], "heading": info["heading"]}
    done = (terminated | truncated).clone()
    found = {name: value.clone() for name, value in (*observation.items(), *found.items(), *measures(info).items())}
    for name in found:
        if name.startswith("final "):  # other rows are meaningless
            mask = done.view(-1, *[1] * (found[name].ndim - 1))
            found[name] = torch.where(mask, found[name], torch.zeros_like(found[name]))
    return found


def assert_rows_equal(a, rows, b, others):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name][rows], b[name][others]), name


def play(env, steps, seed, like=()):
    generator = torch.Generator().manual_seed(seed)
    return [step(env, actions_for(env, generator, like)) for _ in range(steps)]


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    ("task", "options"),
    [(task, {}) for task in sorted(TASKS)]
    + [("pointnav", {"noise": NOISE}), ("pointnav", {"action_mode": "velocity"}), ("objectnav", {"noise": NOISE})],
)
def test_forked_rows_give_the_bits_of_their_sources(homes, make_env, task, options, mode):
    sensors = ("depth", "rgb") if "noise" in options or "image" in task else ("depth",)
    options = SMALL | {"task": task, "sensors": sensors, "autoreset_mode": mode} | options
    env, control = (make_env(6, homes[:2], **options) for _ in range(2))
    for made in (env, control):
        made.reset(seed=3)
        play(made, 7, seed=1)
    observation = env.fork(SOURCE, TARGET)
    for name, value in observation.items():
        assert torch.equal(value[TARGET], value[SOURCE]), name
        assert torch.equal(value, env.observe()[name]), name
    ended = 0
    pairs = list(zip(SOURCE, TARGET, strict=True))
    for now, then in zip(play(env, 30, 2, pairs), play(control, 30, 2, pairs), strict=True):
        assert_rows_equal(now, TARGET, now, SOURCE)
        # The environments that were copied from, and the one that was not touched, are as without the fork.
        assert_rows_equal(now, [0, 1, 2], then, [0, 1, 2])
        ended += int((now["terminated"] | now["truncated"])[SOURCE].sum())
    assert ended >= 3


def test_sources_are_read_before_targets_are_written(one_room, make_env):
    env = make_env(3, one_room, sensors=())
    env.reset(seed=0)
    before = env.simulator.state.position.clone()
    env.fork([0, 1, 2], [1, 2, 0])
    assert torch.equal(env.simulator.state.position, before[[2, 0, 1]])
    env.fork(1, [0, 2])
    assert torch.equal(env.simulator.state.position, before[[0, 0, 0]])


def test_earlier_observations_are_not_changed(one_room, make_env):
    env = make_env(4, one_room, **SMALL)
    observation, _ = env.reset(seed=0)
    before = {name: value.clone() for name, value in observation.items()}
    env.fork([0, 1], [2, 3])
    assert all(torch.equal(observation[name], value) for name, value in before.items())


def test_fresh_randomness_keeps_the_episode_and_changes_what_follows(homes, make_env):
    options = SMALL | {"noise": NOISE, "sensors": ("depth",)}
    env = make_env(6, homes, **options)
    env.reset(seed=5)
    env.fork(0, [1, 2, 3], fresh_randomness=True)
    seeds = env.simulator.state.seed[:4].tolist()
    assert len(set(seeds)) == 4
    task = env.simulator.state.task
    assert (task["goal"][:4] == task["goal"][0]).all()
    moves = torch.ones(6, dtype=torch.int64)
    found = step(env, moves)
    assert len(found["position"][:4].unique(dim=0)) == 4  # four draws of the noise of motion
    stops = torch.zeros(6, dtype=torch.int64)
    step(env, stops)
    assert len(env.simulator.state.position[:4].unique(dim=0)) == 4  # four different next episodes

    other = make_env(6, homes, **options)
    for _ in range(2):
        other.reset(seed=5)
        other.fork(0, [1, 2, 3], fresh_randomness=True)
        assert len(set(other.simulator.state.seed[:4].tolist()) & set(seeds)) in (1, 4)
    # The same forks give the same streams, and repeated forks others.
    assert other.simulator.state.seed[1:4].tolist() != seeds[1:]


def test_fixed_episodes_go_on_as_those_of_the_source(one_room, make_env):
    episodes = standard_episodes(one_room, 10)
    env = make_env(3, one_room, episodes=episodes, sensors=())
    env.reset(seed=0)
    stop = torch.zeros(3, dtype=torch.int64)
    env.step(stop)
    env.fork(2, 0)
    env.step(stop)
    # Environment 2 of 3 runs the episodes 2, 5, 8, and environment 1 the episodes 1, 4, 7.
    starts = torch.as_tensor(np.asarray(episodes.start_position, np.float32))[[8, 7, 8]]
    assert torch.allclose(env.simulator.state.position[:, [0, 2]], starts[:, [0, 2]])
    saved = env.state_dict()
    other = make_env(3, one_room, episodes=episodes, sensors=())
    other.load_state_dict(saved)
    env.step(stop), other.step(stop)
    assert torch.equal(env.simulator.state.position, other.simulator.state.position)


@pytest.mark.parametrize("task", ["pointnav", "explore", "imagenav"])
def test_rows_go_on_in_other_slots_of_another_environment(homes, make_env, task):
    sensors = ("rgb",) if task == "imagenav" else ("depth",)
    env = make_env(4, homes, **SMALL | {"task": task, "sensors": sensors})
    env.reset(seed=7)
    play(env, 6, seed=1)
    other = env.sibling(6)
    other.reset(seed=99)
    saved = env.state_dict(rows=[2, 0, 2])
    assert all(len(value) == 3 for value in saved.values())
    other.load_state_dict(saved, rows=[5, 1, 0])
    kept = other.simulator.state.position[[2, 3, 4]].clone()
    generator = torch.Generator().manual_seed(0)
    seen = other.observe()
    assert all(torch.equal(seen[name][[5, 1]], value[[2, 0]]) for name, value in env.observe().items())
    for _ in range(20):
        actions = actions_for(env, generator)
        moved = torch.full((6,), 1)
        moved[[5, 1, 0]] = actions[[2, 0, 2]]
        a, b = step(env, actions), step(other, moved)
        assert_rows_equal(b, [5, 1, 0], a, [2, 0, 2])
    assert not torch.equal(other.simulator.state.position[[2, 3, 4]], kept)
    other.close()


def test_rows_of_others_are_refused(homes, one_room, make_env):
    env = make_env(4, homes, sensors=())
    env.reset(seed=0)
    saved = env.state_dict(rows=[0, 1])
    wrong = {"scenes": one_room, "task": "pointnav"}, {"scenes": homes, "task": "flee"}
    for options in wrong:
        other = make_env(2, sensors=(), **options)
        other.reset(seed=0)
        with pytest.raises(OptionError, match="other scenes or another task"):
            other.load_state_dict(saved, rows=[0, 1])
    with pytest.raises(OptionError, match=r"expected torch.float32 of shape"):
        env.load_state_dict(saved, rows=[0, 1, 2])
    with pytest.raises(OptionError, match="scene_mark missing"):
        env.load_state_dict({}, rows=[0])


def test_scenes_that_were_swapped_out_do_not_come_back(make_env):
    rooms = [make_room(k) for k in range(8)]
    env = make_env(6, rooms, num_resident_scenes=3, sensors=(), max_episode_steps=6)
    env.reset(seed=1)
    saved = env.state_dict(rows=list(range(6)))
    env.load_state_dict(saved, rows=list(range(6)))  # all of them are there
    with pytest.raises(OptionError, match="scenes are swapped"):
        env.sibling(2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        before = env.simulator.scenes.scenes
        names = [before[slot].name for slot in env.simulator.state.scene.tolist()]
        env.fork([0, 1], [2, 3])
        after = [before[slot].name for slot in env.simulator.state.scene.tolist()]
        assert after == [names[i] for i in (0, 1, 0, 1, 4, 5)]
        env.step(torch.randint(4, (6,), generator=generator))
        # An agent in a scene that is replaced would stand beside its floor.
        state = env.simulator.state
        assert (env.simulator.scenes.locate(state.scene, state.position) >= 0).all()
    assert env.scene_counts["scene_changes"] > 4
    with pytest.raises(OptionError, match=r"other scenes|no longer in memory"):
        env.load_state_dict(saved, rows=list(range(6)))


def test_bad_numbers_are_refused(one_room, make_env):
    env = make_env(3, one_room, sensors=())
    with pytest.raises(ResetNeeded, match=r"reset\(\) before fork"):
        env.fork(0, 1)
    env.reset(seed=0)
    for source, target, message in [
        (0, 3, "target: expected numbers of environments from 0 to 2; got 3"),
        (-1, 0, "source: expected numbers of environments from 0 to 2; got -1"),
        ([0, 1], [2], "source has 2 environments, target 1"),
        (0, [1, 1], "twice"),
        (0.5, 1, "float32"),
        (0, [], "shape"),
        (True, 1, "bool"),
        ("a", 1, "str"),
    ]:
        with pytest.raises(OptionError, match=message):
            env.fork(source, target)
    env.step_async(torch.ones(3, dtype=torch.int64))
    with pytest.raises(AlreadyPendingCallError):
        env.fork(0, 1)
    env.step_wait()
    env.close()
    with pytest.raises(ClosedEnvironmentError):
        env.fork(0, 1)


def test_numpy_in_and_out(one_room, make_env):
    env = make_env(3, one_room, sensors=(), output="numpy")
    env.reset(seed=0)
    observation = env.fork(np.array([0]), np.array([2]))
    assert isinstance(observation["pointgoal_with_gps_compass"], np.ndarray)
    assert (observation["pointgoal_with_gps_compass"][2] == observation["pointgoal_with_gps_compass"][0]).all()


@pytest.mark.gpu
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gpu_forks_without_waiting(homes, make_env, mode):
    """Torch raises for whatever makes the host wait for the device."""
    env = make_env(6, homes, **SMALL | {"device": "cuda", "autoreset_mode": mode})
    source, target = torch.tensor(SOURCE, device="cuda"), torch.tensor(TARGET, device="cuda")
    generator = torch.Generator().manual_seed(0)
    actions = torch.randint(4, (20, 6), generator=generator)
    actions[:, TARGET] = actions[:, SOURCE]
    actions = actions.cuda()
    env.reset(seed=0)
    env.step(actions[0])
    env.state_dict(rows=source)
    with sync_debug("error"):
        env.fork(source, target)
        for action in actions:
            found = step(env, action)
            saved = env.state_dict(rows=source)
            env.load_state_dict(saved, rows=target)
            env.fork(source, target, fresh_randomness=False)
    for name, value in found.items():
        assert torch.equal(value[TARGET], value[SOURCE]), name
