"""Velocity control: Habitat's numbers, whole turns, walls, noise and wrong values."""

import math

import numpy as np
import pytest
import torch

from batchsim import NavVectorEnv
from batchsim.control import VelocityControl, VelocityOptions
from batchsim.errors import ActionError, OptionError

CPU = torch.device("cpu")
NAMES = ("stop", "forward", "left", "right")


def env_of(scene, num_envs, **options):
    env = NavVectorEnv(num_envs, scene, action_mode="velocity", sensors=(), device="cpu", **options)
    env.reset(seed=0)
    return env


def place(env, positions, headings):
    state = env.simulator.state
    state.position = torch.tensor(positions, dtype=torch.float32)
    state.heading = torch.tensor(headings, dtype=torch.float32)
    return state


def command(*rows, names=NAMES, **options):
    return VelocityControl(names, VelocityOptions(**options), CPU)(torch.tensor(rows))


def test_speeds_are_scaled_as_in_habitat():
    walk = command((1.0, 0.0), (-1.0, 1.0), (0.0, -0.5))
    assert walk.walk.tolist() == pytest.approx([0.25, 0.0, 0.125])
    assert walk.turn.tolist() == pytest.approx([0.0, math.radians(10), -math.radians(5)])
    assert walk.task_action.tolist() == [-1, -1, -1]
    fast = command((1.0, 1.0), lin_vel_range=(-0.5, 0.5), ang_vel_range=(-30, 30), time_step=0.5)
    assert fast.walk.tolist() == pytest.approx([0.25])
    assert fast.turn.tolist() == pytest.approx([math.radians(15)])


def test_slow_speeds_stop():
    # Below 0.025 m/s, which -0.8 stands for, and below one degree a second.
    stops = command((-1.0, 0.0), (-0.81, 0.09), (-0.79, 0.0), (-1.0, 0.11), (-1.0, -0.11))
    assert stops.task_action.tolist() == [0, 0, -1, -1, -1]
    assert stops.walk.tolist()[:2] == [0.0, 0.0]
    assert command((-1.0, 0.0), names=("found", "forward", "left", "right")).task_action.tolist() == [0]
    assert command((-1.0, 0.0), names=("forward", "left", "right")).task_action.tolist() == [-1]


def test_36_turns_of_a_second_come_back(one_room):
    env = env_of(one_room, 2)
    state = place(env, [(0, 0, 0), (1, 0, 1)], [0.3, -2.0])
    for _ in range(36):
        env.step(torch.tensor([[-1.0, 1.0], [-1.0, -1.0]]))
    assert state.heading.tolist() == pytest.approx([0.3, -2.0], abs=1e-4)
    assert state.position.tolist() == [[0, 0, 0], [1, 0, 1]]


def test_driving_along_a_wall_slides_as_the_discrete_action_does(one_room):
    places, headings = [(4.0, 0, 0.0), (-4.0, 0, 1.0), (0.0, 0, -4.2)], [-2.0, 1.9, 0.4]
    driven = env_of(one_room, 3)
    place(driven, places, headings)
    walked = NavVectorEnv(3, one_room, sensors=(), device="cpu")
    walked.reset(seed=0)
    place(walked, places, headings)
    for _ in range(25):
        driven.step(torch.tensor([[1.0, 0.0]] * 3))
        walked.step(torch.ones(3, dtype=torch.int64))
        assert torch.equal(driven.simulator.state.position, walked.simulator.state.position)
    assert driven.simulator.state.collided.all()
    assert torch.equal(driven.simulator.state.collisions, walked.simulator.state.collisions)
    assert (driven.simulator.state.path_length > 1).all()  # along the wall, not stuck at it


def test_a_curve_is_driven_straight_and_then_turned(one_room):
    env = env_of(one_room, 1)
    state = place(env, [(0, 0, 0)], [0.0])
    x = z = heading = 0.0
    for _ in range(20):
        env.step(torch.tensor([[1.0, 0.5]]))
        x, z = x - 0.25 * math.sin(heading), z - 0.25 * math.cos(heading)
        heading += math.radians(5)
    assert state.position[0].tolist() == pytest.approx([x, 0, z], abs=1e-4)


def test_actions_of_a_task_that_looks_up_have_a_third_speed(homes):
    env = env_of(list(homes), 2, task="objectnav")
    assert env.single_action_space.shape == (3,)
    env.step(torch.tensor([[-1.0, 0.0, 1.0], [-1.0, 0.0, -0.5]]))
    pitch = env.simulator.state.pitch
    assert pitch.tolist() == pytest.approx([math.radians(10), -math.radians(5)])
    for _ in range(12):
        env.step(torch.tensor([[-1.0, 0.0, 1.0], [-1.0, 0.0, -0.5]]))
    assert env.simulator.state.pitch.tolist() == pytest.approx([math.pi / 2, -math.radians(65)], abs=1e-4)


@pytest.mark.parametrize("task", ["pointnav", "flee", "explore"])
def test_every_task_takes_velocities(one_room, task):
    env = env_of(one_room, 4, task=task)
    assert env.single_action_space.shape == (2,)
    assert env.action_space.shape == (4, 2)
    _, reward, terminated, _, _ = env.step(np.array([[-1.0, 0.0]] * 4))
    assert terminated.all() == (task == "pointnav")
    assert reward.isfinite().all()


def test_wrong_velocities_are_named(one_room):
    env = env_of(one_room, 2)
    with pytest.raises(ActionError, match=r"expected finite real numbers .*got \[nan, 0.0\] for environment 1"):
        env.step([[0.0, 0.0], [float("nan"), 0.0]])
    with pytest.raises(ActionError, match=r"shape \(2, 2\); got int64 of shape \(2,\)"):
        env.step(torch.tensor([0, 1]))
    for options, message in (
        ({"lin_vel_range": (1, 0)}, r"lin_vel_range=\(1, 0\): expected two numbers, the lower one first"),
        ({"time_step": 0}, "time_step=0"),
        ({"speed": 3}, "expected a mapping of some of lin_vel_range"),
    ):
        with pytest.raises(OptionError, match=message):
            env_of(one_room, 1, velocity=options)
    with pytest.raises(OptionError, match=r"action_mode='joystick': expected one of 'discrete', 'velocity'"):
        NavVectorEnv(1, one_room, sensors=(), action_mode="joystick")


def test_nobody_drives_into_geometry(homes):
    """100,000 random steps; a swept check of the body's axis against the mesh, on what was really moved."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    count, steps = 500, 200
    env = env_of(list(homes), count, task="explore", velocity={"lin_vel_range": (-0.25, 0.5)})
    rng = torch.Generator().manual_seed(0)
    state, hits, collided = env.simulator.state, 0, 0
    worlds = []
    for scene in env.simulator.scenes.scenes:
        worlds.append(EmbreeScene())
        TriangleMesh(worlds[-1], scene.triangles)
    bias = torch.rand((count, 2), generator=rng) * 2 - 1
    for step in range(steps):
        before = state.position.clone()
        if step % 10 == 0:
            bias = torch.rand((count, 2), generator=rng) * 2 - 1
        env.step(bias)
        collided += int(state.collided.sum())
        for k, world in enumerate(worlds):
            mine = state.scene == k
            for height in (0.6, 1.2):
                lift = np.array([0, height, 0], np.float32)
                start = before[mine].numpy() + lift
                way = state.position[mine].numpy() + lift - start
                hit = world.run(start, way.astype(np.float32), output=True)
                hits += int(((hit["primID"] >= 0) & (hit["tfar"] <= 1)).sum())
    assert collided > 1000
    assert hits == 0
