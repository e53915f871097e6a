import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.errors import SceneError
from batchsim.scenes.walking.geodesic import distance_fields, geodesic_distance, sample_goals, shortest_path
from batchsim.scenes.walking.walk_graph import steps_along
from batchsim.scenes.walking.walkable import build_walkable
from tests.helpers.solids import box, floor, prism, quad, rectangle, stairs
from tests.helpers.visibility import apart, inflate, shortest_lengths

CELL = 0.05
BODY = AgentBody()
SIZE = 8.0


@cache
def cluttered(seed):
    """A square floor with eight boxes (turned for odd seeds), and the polygons the body's centre has to avoid."""
    rng = np.random.default_rng(seed)
    outlines = []
    while len(outlines) < 8:
        half, angle = rng.uniform(0.05, 1.2, 2), rng.uniform(0, math.pi) * (seed % 2)
        outline = rectangle(rng.uniform(0.5, SIZE - 0.5, 2), half, angle)
        # Gaps are wide enough or not there at all: whether a body just fits is no matter of a path's length.
        room = outline.min() > 0.5 and outline.max() < SIZE - 0.5
        if room and all(apart(inflate(outline, 0.25), inflate(other, 0.25)) for other in outlines):
            outlines.append(outline)
    parts = [floor(0, SIZE, 0, SIZE), *(prism(outline, 0, 1) for outline in outlines)]
    return build_walkable(np.concatenate(parts), BODY), [inflate(outline, BODY.radius) for outline in outlines]


@pytest.fixture(scope="module")
def two_storeys():
    """A hall, eleven steps of 18 cm along its side, and a gallery above."""
    gallery = [floor(6, 10, 0, 4, 1.98), quad((0, 5, 0), (10, 5, 0), (10, 5, 4), (0, 5, 4))]
    return build_walkable(np.concatenate([floor(0, 10, 0, 4), stairs(2.7, 11, 0.3, 0.18, 0, 1.0), *gallery]), BODY)


@pytest.mark.parametrize("seed", range(6))
def test_distances_agree_with_a_visibility_graph(seed):
    walkable, polygons = cluttered(seed)
    rng = np.random.default_rng(seed)
    goals = sample_goals(walkable, 6, rng)
    cells = rng.choice(walkable.num_cells, 250, replace=False)
    exact = shortest_lengths(goals[:, [0, 2]], walkable.positions[cells][:, [0, 2]].astype(float), polygons)
    found = distance_fields(walkable, goals)[:, cells]
    assert np.isfinite(found).all()
    assert (found <= 1.02 * exact + CELL).all()
    assert (found >= 0.998 * exact - 0.1 * CELL).all()
    assert (found[exact > 1] / exact[exact > 1]).mean() < 1.008


def test_points_between_cell_centres_agree_with_a_visibility_graph():
    walkable, polygons = cluttered(3)
    rng = np.random.default_rng(0)
    points = walkable.positions[rng.choice(walkable.num_cells, (2, 40))] + rng.uniform(-0.024, 0.024, (2, 40, 3))
    a, b = points
    free = shortest_lengths(a[:, [0, 2]], b[:, [0, 2]], polygons).diagonal()
    found = geodesic_distance(walkable, a, b)
    known = np.isfinite(free)  # a point can lie half a cell inside the inflated obstacle
    assert known.mean() > 0.9
    assert (found[known] <= 1.02 * free[known] + CELL).all()
    assert (found[known] >= 0.998 * free[known] - 0.1 * CELL).all()


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_has_a_nearer_neighbour_also_in_half_precision(seed):
    walkable, _ = cluttered(seed)
    goals = sample_goals(walkable, 8, np.random.default_rng(seed))
    assert_descending(walkable, goals, distance_fields(walkable, goals))


def test_fields_descend_over_sixty_metres():
    """A comb of walls makes a way of more than 60 m, where half precision is 3 cm coarse."""
    walls = [box((0.9 * k, 0, 0.9 * (k % 2)), (0.9 * k + 0.05, 2, 4.4 + 0.9 * (k % 2))) for k in range(1, 16)]
    walkable = build_walkable(np.concatenate([floor(0, 14.4, 0, 5.3), *walls]), BODY)
    goal = walkable.positions[[0]]
    field = distance_fields(walkable, goal)
    assert 55 < field.max() < 64
    assert_descending(walkable, goal, field)


def test_fields_come_to_rest_where_half_precision_is_coarser_than_a_cell():
    walkable = build_walkable(floor(0, 150, 0, 0.4), BODY)
    goal = walkable.positions[[0]]
    field = distance_fields(walkable, goal)[0]
    assert field.max() == pytest.approx(149.75, rel=0.002)
    around = np.where(walkable.neighbors >= 0, field[walkable.neighbors], np.inf)
    assert (around.min(1) < field)[field > 0].all()


def assert_descending(walkable, goals, fields):
    at_goal = walkable.locate(goals)
    assert (fields[np.arange(len(goals)), at_goal] == 0).all()
    for stored in (fields, fields.astype(np.float16)):
        lowest = np.where(walkable.neighbors >= 0, stored[:, walkable.neighbors], np.inf).min(2)
        stuck = np.isfinite(stored) & ~(lowest < stored)
        stuck[np.arange(len(goals)), at_goal] = False
        assert not stuck.any()


def test_worked_distances_around_a_wall():
    """From one side of a wall's end to the other: two straight lines tangent to the disc around the wall's tip."""
    wall = quad((3, 0, 0), (3, 0, 4), (3, 2, 4), (3, 2, 0))
    walkable = build_walkable(np.concatenate([floor(0, 6, 0, 6), wall]), BODY)
    d, r = 2.0, BODY.radius
    # Points 2 m left and right of the wall at the height of its tip; tangents of length l, and an arc between.
    tangent, arc = math.sqrt(d * d - r * r), r * (math.pi - 2 * math.acos(r / d))
    a, b = [1.0, 0, 4.0], [5.0, 0, 4.0]
    assert geodesic_distance(walkable, a, b) == pytest.approx(2 * tangent + arc, rel=0.02)
    assert geodesic_distance(walkable, a, [1.0, 0, 1.0]) == pytest.approx(3.0, rel=0.005)
    assert geodesic_distance(walkable, a, [1.01, 0, 4.01]) == pytest.approx(math.hypot(0.01, 0.01), rel=1e-3)
    assert geodesic_distance(walkable, a, a) == 0


def test_straight_lines_on_open_floor_are_right_in_every_direction():
    walkable = build_walkable(floor(0, 9, 0, 9), BODY)
    centre = np.array([4.525, 0, 4.525])
    angle = np.linspace(0, 2 * np.pi, 361)
    ends = centre + 4 * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], 1)
    found = geodesic_distance(walkable, ends, centre)
    assert found == pytest.approx(np.full(361, 4.0), rel=0.0065)
    assert (found >= 4 - 1e-4).all()


def test_ramp_and_stairs_are_measured_along_their_slope(two_storeys):
    rise, run = 2.0, 4.0
    ramp = [floor(0, 3, 0, 3), floor(3, 3 + run, 0, 3, 0, rise), floor(3 + run, 10, 0, 3, rise)]
    walkable = build_walkable(np.concatenate(ramp), BODY)
    expected = 1 + math.hypot(rise, run) + 1
    assert geodesic_distance(walkable, [2, 0, 1.5], [8, 2, 1.5]) == pytest.approx(expected, rel=0.01)
    # Eleven treads of 30 cm that rise 18 cm each, from 1 m before the first to 1 m behind the last.
    expected = 1 + math.hypot(3.3, 1.98) + 1
    assert geodesic_distance(two_storeys, [1.7, 0, 0.5], [7, 1.98, 0.5]) == pytest.approx(expected, rel=0.02)


def test_storeys_are_apart_though_one_lies_above_the_other(two_storeys):
    below, above = [8, 0, 3], [8, 1.98, 3]
    assert geodesic_distance(two_storeys, below, above) > 8


def test_out_of_reach_is_infinite():
    walkable = build_walkable(np.concatenate([floor(0, 3, 0, 4), floor(5, 8, 0, 4)]), BODY)
    left, right, off = [1.5, 0, 2], [6.5, 0, 2], [4, 0, 2]
    field = distance_fields(walkable, [left])[0]
    assert np.isinf(field[walkable.positions[:, 0] > 4]).all()
    assert np.isfinite(field[walkable.positions[:, 0] < 4]).all()
    assert np.isinf(geodesic_distance(walkable, left, [right, off])).all()
    assert np.isinf(geodesic_distance(walkable, off, off))
    with pytest.raises(SceneError, match="cut off"):
        shortest_path(walkable, field, right)
    with pytest.raises(SceneError, match="not on the walkable surface"):
        shortest_path(walkable, field, off)
    with pytest.raises(SceneError, match="Goal 1"):
        distance_fields(walkable, [left, off])


def test_pairs_broadcast_and_distance_is_symmetric():
    walkable, _ = cluttered(1)
    rng = np.random.default_rng(0)
    a, b = walkable.positions[rng.choice(walkable.num_cells, (2, 5))]
    table = geodesic_distance(walkable, a[:, None], b[None])
    assert table.shape == (5, 5)
    assert table.dtype == np.float32
    back = geodesic_distance(walkable, b[:, None], a[None])
    assert np.abs(back.T - table).max() < 0.5 * CELL
    assert geodesic_distance(walkable, a, b) == pytest.approx(table.diagonal(), abs=0.5 * CELL)
    assert distance_fields(walkable, np.zeros((0, 3))).shape == (0, walkable.num_cells)


@pytest.mark.parametrize("seed", range(4))
def test_paths_are_as_short_as_the_field_says_and_keep_to_the_floor(seed):
    walkable, polygons = cluttered(seed)
    rng = np.random.default_rng(seed)
    goals = sample_goals(walkable, 3, rng)
    cells = rng.choice(walkable.num_cells, 10)
    starts = walkable.positions[cells]
    exact = shortest_lengths(goals[:, [0, 2]], starts[:, [0, 2]], polygons)
    for goal, field, lengths in zip(goals, distance_fields(walkable, goals), exact, strict=True):
        for cell, start, shortest in zip(cells, starts, lengths, strict=True):
            path = shortest_path(walkable, field, start)
            assert path.dtype == np.float32
            assert (path[0] == start).all()
            assert walkable.locate(path[-1]) == walkable.locate(goal)
            length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
            assert length <= 1.01 * field[cell] + 2 * CELL
            assert 0.995 * shortest - CELL <= length <= 1.02 * shortest + 2 * CELL
            on_path = np.concatenate([path, *(np.linspace(p, q, 200) for p, q in pairwise(path))])
            assert (walkable.locate(on_path) >= 0).mean() > 0.99


def test_path_climbs_the_stairs(two_storeys):
    goal = np.array([8, 1.98, 3])
    path = shortest_path(two_storeys, distance_fields(two_storeys, goal[None])[0], np.array([8, 0, 3]))
    assert path[-1] == pytest.approx(goal, abs=CELL)
    assert path[:, 0].min() < 3.1  # around by the foot of the stairs


def test_goals_are_spread_over_all_rooms():
    """Nine rooms of 3 by 3 m joined by openings; 32 goals leave none empty."""
    walls = [box((x - 0.05, 0, z), (x + 0.05, 2, z + 2)) for x in (3, 6) for z in (0, 3, 6)]
    walls += [box((x, 0, z - 0.05), (x + 2, 2, z + 0.05)) for x in (0, 3, 6) for z in (3, 6)]
    walkable = build_walkable(np.concatenate([floor(0, 9, 0, 9), *walls]), BODY)
    for seed in range(5):
        goals = sample_goals(walkable, 32, np.random.default_rng(seed))
        assert goals.shape == (32, 3)
        assert goals.dtype == np.float32
        assert (walkable.locate(goals) >= 0).all()
        assert len(np.unique(goals, axis=0)) == 32
        room = (goals[:, 0] // 3).astype(int) + 3 * (goals[:, 2] // 3).astype(int)
        assert set(room) == set(range(9))
    again = sample_goals(walkable, 32, np.random.default_rng(4))
    assert (again == goals).all()
    assert (sample_goals(walkable, 32, np.random.default_rng(9)) != goals).any()


def test_goals_keep_to_islands_of_use(two_storeys):
    heights = sample_goals(two_storeys, 24, np.random.default_rng(0))[:, 1]
    assert (heights < 0.1).sum() >= 4
    assert (heights > 1.9).sum() >= 4
    small = build_walkable(floor(0, 1.5, 0, 1.5), BODY)
    with pytest.raises(SceneError, match="too small"):
        sample_goals(small, 4, np.random.default_rng(0))


def test_steps_along_a_line_visit_the_cells_next_to_it():
    assert steps_along(1, 1) == [[1]]
    assert steps_along(3, 1) == [[0, 1, 0]]
    assert steps_along(3, 2) == [[1, 0, 1]]
    assert sorted(steps_along(2, 1)) == [[0, 1], [1, 0]]
    assert steps_along(5, 1) == [[0, 0, 1, 0, 0]]
