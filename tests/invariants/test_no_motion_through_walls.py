"""Nothing moves through geometry: what was travelled is swept against the scene's triangles by Embree."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchsim import NavVectorEnv, scenes
from batchsim.scenes import AgentBody

WORLDS = ("four-rooms", "homes:train/1")  # the home has two storeys
RADII = (0.1, 0.2, 0.3)
COUNT = 32


@cache
def loaded(radius):
    return [scenes.load(name, AgentBody(radius=radius), num_goals=8) for name in WORLDS]


@cache
def embree(radius):
    worlds = [EmbreeScene() for _ in WORLDS]
    for world, scene in zip(worlds, loaded(radius), strict=True):
        TriangleMesh(world, scene.triangles)
    return worlds


class Recorder:
    """Keeps every position that `Motion` passes: steps are walked in parts, and sliding ones bend within a step."""

    def __init__(self, resident):
        self._floor_at = resident.floor_at
        self.path = []
        resident.floor_at = self

    def __call__(self, grids, points):
        # The whole part of a step and its components along x and z are tried: p + (x, z), p + x and p + z.
        if points.dim() == 3 and len(points) == 3:
            whole, one, other = points.double()
            self.path.append((one + other - whole).numpy())
        return self._floor_at(grids, points)


def hits(world, scene, start, end):
    """How many of the segments from `start` to `end` `[K, 3]` cross a triangle, at several heights and offsets."""
    way = end - start
    length = np.linalg.norm(way[:, [0, 2]], axis=1)
    start, way, length = start[length > 1e-6], way[length > 1e-6], length[length > 1e-6]
    across = np.stack([way[:, 2], np.zeros_like(length), -way[:, 0]], 1) / length[:, None]
    # A cell's centre has the radius of room, and a position is at most half a cell's diagonal away from it.
    side = max(0.0, scene.body.radius - 0.75 * scene.walkable.cell_size - 0.005)
    found = 0
    # What is at most `max_step` high is stepped onto, and a stair is one cell ahead at the front.
    for height in (scene.body.max_step + 0.1, 0.6, 1.0, scene.body.height - 0.1):
        for offset in (-side, 0.0, side):
            origin = start + [0, height, 0] + offset * across
            hit = world.run(origin.astype(np.float32), way.astype(np.float32), output=True)
            found += int(((hit["primID"] >= 0) & (hit["tfar"] <= 1)).sum())
    return found


def walk(radius, forward_step, turn_angle, sliding, mode, seed):
    """Random steps, always fresh ones; returns how many segments hit something, and how often walls were met."""
    options = {"action_mode": mode}
    if mode == "velocity":
        options["velocity"] = {"lin_vel_range": (-forward_step, forward_step), "ang_vel_range": (-180, 180)}
    env = NavVectorEnv(
        COUNT, loaded(radius), task="explore", sensors=(), device="cpu", agent_radius=radius, turn_angle=turn_angle,
        forward_step=forward_step, allow_sliding=sliding, max_episode_steps=10_000, **options,
    )  # fmt: skip
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    state, resident = env.simulator.state, env.simulator.scenes
    recorder, found, collided = Recorder(resident), 0, 0
    for _ in range(12 if forward_step > 0.3 else 40):
        recorder.path.clear()
        begun = state.position.double().numpy()
        if mode == "velocity":
            env.step(torch.tensor(rng.uniform(-1, 1, (COUNT, 2)), dtype=torch.float32))
        else:
            env.step(rng.choice(3, COUNT, p=[0.7, 0.15, 0.15]))
        collided += int(state.collided.sum())
        path = np.stack([*recorder.path, state.position.double().numpy()])
        assert np.allclose(path[0], begun, atol=1e-5)  # or else the recorder does not see the path
        assert len(path) - 1 >= math.floor(forward_step / resident.smallest_cell)
        for k, (world, scene) in enumerate(zip(embree(radius), resident.scenes, strict=True)):
            mine = (state.scene == k).numpy()
            assert scene.is_navigable(path[-1][mine]).all()
            found += hits(world, scene, path[:-1][:, mine].reshape(-1, 3), path[1:][:, mine].reshape(-1, 3))
            if not sliding:  # the way is straight: the step as a whole crosses nothing either
                assert np.allclose(np.cross(path[-1] - path[0], path[1] - path[0])[:, 1], 0, atol=1e-4)
    env.close()
    return found, collided


@example(radius=0.1, forward_step=1.5, turn_angle=10.0, sliding=True, mode="discrete", seed=0)
@example(radius=0.3, forward_step=1.5, turn_angle=30.0, sliding=False, mode="discrete", seed=1)
@example(radius=0.2, forward_step=0.05, turn_angle=90.0, sliding=True, mode="discrete", seed=2)
@example(radius=0.1, forward_step=0.7, turn_angle=1.0, sliding=True, mode="velocity", seed=3)
@settings(max_examples=3)
@given(
    radius=st.sampled_from(RADII),
    forward_step=st.floats(0.05, 1.5),
    turn_angle=st.floats(1, 180),
    sliding=st.booleans(),
    mode=st.sampled_from(["discrete", "velocity"]),
    seed=st.integers(0, 2**31),
)
def test_no_segment_crosses_a_triangle(radius, forward_step, turn_angle, sliding, mode, seed):
    found, collided = walk(radius, forward_step, turn_angle, sliding, mode, seed)
    assert found == 0
    if forward_step >= 0.25:  # short steps, turning about, may meet no wall
        assert collided > 0


def test_the_sweep_sees_walls():
    """Or else the test above says nothing."""
    scene, world = loaded(0.1)[0], embree(0.1)[0]
    inside = np.array([[-2.0, 0, -1.5]])
    beyond = np.array([[2.0, 0, -1.5]])
    assert hits(world, scene, inside, beyond) > 0
    assert hits(world, scene, inside, inside + np.array([0.1, 0, 0])) == 0


@pytest.fixture(autouse=True)
def _cache(cache_of_this_session):
    """Scenes are loaded within the cache of this session."""
