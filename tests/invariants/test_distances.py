"""Walking distances are a metric: at least the straight line, equal both ways, and never longer by a detour."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsim import scenes
from batchsim.scenes.walking.geodesic import distance_fields

# Why these numbers:
# - Paths follow the 56 directions between cells, so they are up to 2% longer than the true distance.
# - Points are joined to the centre of a cell nearby, which costs up to one cell (0.05 m) over a path.
# - Baked fields are float16, with a spacing of 0.0156 m below 32 m.
DETOUR = 0.02
WORLDS = ("one-room", "four-rooms", "maze", "homes:train/0", "homes:train/1", "homes:train/2")


@cache
def loaded(name):
    return scenes.load(name, num_goals=8)


@pytest.fixture(scope="module", params=WORLDS)
def world(request, cache_of_this_session):
    """A world, 8 random points on its surface, off the centres of their cells, and the distances of all pairs."""
    scene = loaded(request.param)
    rng = np.random.default_rng(1)
    points = scene.sample_navigable(8, rng).astype(np.float64)
    shifted = points + rng.uniform(-0.02, 0.02, points.shape) * [1, 0, 1]
    same_cell = scene.walkable.locate(shifted) == scene.walkable.locate(points)
    points = np.where(same_cell[:, None], shifted, points)
    return scene, points, scene.geodesic_distance(points[:, None], points[None]).astype(np.float64)


def test_never_shorter_than_the_straight_line(world):
    _, points, walk = world
    # Along the floor: a path that goes over stairs is measured along their slope.
    straight = np.linalg.norm(points[:, None, [0, 2]] - points[None][..., [0, 2]], axis=-1)
    assert (walk >= straight - 1e-4).all()
    assert (np.diag(walk) < 1e-6).all()


def test_never_shorter_than_the_straight_line_in_baked_fields(world):
    scene, _, _ = world
    cells = scene.walkable.positions
    straight = np.linalg.norm(cells[None][..., [0, 2]] - scene.goals[:, None, [0, 2]], axis=-1)
    baked = np.asarray(scene.goal_distances, np.float64)
    # Half a spacing of float16 above 32 m; the field is 0 in the goal's own cell, wherever the goal is in it.
    assert (baked >= straight - 0.5 * scene.walkable.cell_size - 0.016).all()


def test_the_same_there_and_back(world):
    scene, _, walk = world
    reachable = np.isfinite(walk)
    assert (reachable == reachable.T).all()
    assert reachable.sum() > 2 * len(walk)
    gap = np.abs(walk - walk.T)[reachable]
    # Both ways run over the same graph; only the ends are joined to it differently, at most a cell each.
    assert gap.max() <= scene.walkable.cell_size


def test_no_detour_is_shorter(world):
    scene, _, walk = world
    over = walk[:, :, None] + walk[None]  # [a, b, c]: from a over b to c
    direct = np.broadcast_to(walk[:, None], over.shape)
    known = np.isfinite(over)
    assert np.isfinite(direct[known]).all()
    # Exact distances would need no slack: the direct way may be measured 2% too long, and the others may not.
    assert (direct[known] <= (1 + DETOUR) * over[known] + 2 * scene.walkable.cell_size).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["maze", "homes:train/1"]))
def test_fields_never_rise_by_more_than_the_way_between_two_cells(seed, name, cache_of_this_session):
    """The triangle inequality with one side short: any two neighbouring cells, any goal."""
    scene = loaded(name)
    walkable = scene.walkable
    rng = np.random.default_rng(seed)
    field = np.asarray(scene.goal_distances[rng.integers(len(scene.goals))], np.float64)
    cells = rng.choice(walkable.num_cells, 500)
    around = walkable.neighbors[cells]
    joined = (around >= 0) & np.isfinite(field[cells])[:, None]
    between = np.linalg.norm(walkable.positions[around] - walkable.positions[cells][:, None], axis=-1)
    rise = np.abs(field[around] - field[cells][:, None])
    # Half a spacing of float16 for either value below 32 m, and what keeps fields descending: another spacing.
    assert (rise[joined] <= (1 + DETOUR) * between[joined] + 0.5 * walkable.cell_size + 3 * 0.0157).all()


def test_a_new_field_agrees_with_the_distances_of_pairs(world):
    scene, points, walk = world
    field = distance_fields(scene.walkable, points[:1])[0]
    cells = scene.walkable.locate(points)
    known = np.isfinite(walk[:, 0])
    assert (np.isfinite(field[cells]) == known).all()
    assert np.abs(field[cells] - walk[:, 0])[known].max() <= scene.walkable.cell_size
