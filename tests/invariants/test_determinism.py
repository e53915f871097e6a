"""The same seed gives the same bits: in every run, in every slot whatever the batch, and with scenes that change."""

import random
import time
from functools import cache

import pytest
import torch

from tests.helpers.rooms import make_room, room_sources

SEEING = {
    "sensors": ("depth", "rgb", "semantic", "instance"),
    "width": 24,
    "height": 24,
    "renderer": "raycast",
    "device": "cpu",
    "max_episode_steps": 12,  # so that episodes end and begin within the run
}
LARGEST = 16


def trajectory(env, steps, seed=3):
    """Everything that comes of random steps: slot k does the same whatever the number of environments."""
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor([0.02, 0.6, 0.2, 0.18]).expand(LARGEST, -1)
    observation, _ = env.reset(seed=seed)
    found = [{name: value.clone() for name, value in observation.items()}]
    for _ in range(steps):
        action = torch.multinomial(chances, 1, generator=generator).squeeze(-1)[: env.num_envs]
        if env.simulator.options.action_mode == "velocity":
            action = torch.stack([action / 3.0, 1 - action / 1.5], -1)
        elif len(env.task.action_names) == 3:  # without a stop
            action = (action - 1).clamp(min=0)
        observation, reward, terminated, truncated, info = env.step(action)
        tensors = {name: value for name, value in info.items() if isinstance(value, torch.Tensor)}
        moment = {**tensors, **observation, "reward": reward, "terminated": terminated, "truncated": truncated}
        moment |= {"place": env.simulator.state.position, "way": env.simulator.state.heading}
        found.append({name: value.clone() for name, value in moment.items()})
    return found


def assert_same(first, second, slots=LARGEST):
    assert len(first) == len(second)
    for step, (a, b) in enumerate(zip(first, second, strict=True)):
        assert a.keys() == b.keys()
        for name in a:
            left, right = a[name][:slots], b[name][:slots]
            assert len(left) == len(right) > 0
            # Measures that do not exist are not numbers; they must be so in both.
            same = (left == right) | ((left != left) & (right != right))
            assert same.all(), (step, name)


@pytest.mark.parametrize("task", ["pointnav", "flee", "explore"])
def test_the_same_bits_in_every_slot_whatever_the_batch(homes, make_env, task):
    runs = {}
    for num_envs in (1, 3, LARGEST):
        runs[num_envs] = trajectory(make_env(num_envs, homes, task=task, **SEEING), 30)
    assert_same(runs[1], runs[LARGEST], 1)
    assert_same(runs[3], runs[LARGEST], 3)
    ended = torch.stack([moment["terminated"] | moment["truncated"] for moment in runs[LARGEST][1:]])
    assert ended.any(0).all()


@pytest.mark.parametrize("options", [{}, {"action_mode": "velocity"}, {"noise": {"depth": "redwood"}}])
def test_the_same_bits_twice(homes, make_env, options):
    first, second = (make_env(6, homes, **SEEING, **options) for _ in range(2))
    found = trajectory(first, 30)
    assert_same(found, trajectory(second, 30))
    assert_same(found, trajectory(first, 30))  # again in the same environment
    with pytest.raises(AssertionError):
        assert_same(found, trajectory(second, 30, seed=4))


@cache
def rooms():
    return [make_room(k) for k in range(8)]


def test_the_same_images_with_changing_scenes_however_long_they_take_to_load(make_env):
    def streaming(delay=None):
        return make_env(6, room_sources(rooms(), delay), num_resident_scenes=3, **SEEING)

    hasty, again, slow = streaming(), streaming(), streaming(lambda: time.sleep(random.random() / 20))
    found = trajectory(hasty, 220)
    assert hasty.simulator.streamer.changes > 4
    assert_same(found, trajectory(again, 220))
    assert_same(found, trajectory(slow, 220))
    assert slow.simulator.streamer.changes == hasty.simulator.streamer.changes
