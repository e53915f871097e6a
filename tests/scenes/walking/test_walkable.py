import math

import numpy as np
import pytest
import trimesh
from safetensors.numpy import load, save
from scipy.spatial import cKDTree

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.errors import SceneError
from batchsim.scenes.homes import generate_home
from batchsim.scenes.walking.columns import Grid, cut_into_columns
from batchsim.scenes.walking.layers import OFFSETS
from batchsim.scenes.walking.standing_room import in_the_way
from batchsim.scenes.walking.walkable import Walkable, build_walkable, default_cell_size
from tests.helpers.paths import SHARED_SCENES
from tests.helpers.solids import box, floor, prism, quad, rectangle, stairs

BODY = AgentBody()
UP = np.array([0, 1, 0])
REAL = SHARED_SCENES


def build(*parts, body=BODY, **options):
    return build_walkable(np.concatenate(parts), body, **options)


def connected(walkable, a, b):
    cells = walkable.locate(np.array([a, b]))
    assert (cells >= 0).all(), cells
    return walkable.islands[cells[0]] == walkable.islands[cells[1]]


def test_bare_floor_loses_the_radius_at_its_edges():
    walkable = build(floor(0, 10, 0, 8))
    # 5 cm cells: the outer two rows have their centres 2.5 and 7.5 cm from the ledge.
    assert walkable.num_cells == 196 * 156
    assert walkable.area == pytest.approx(9.8 * 7.8)
    x, y, z = walkable.positions.T
    assert (x.min(), x.max()) == pytest.approx((0.125, 9.875))
    assert (z.min(), z.max()) == pytest.approx((0.125, 7.875))
    assert not y.any()
    assert walkable.islands.max() == 0
    assert walkable.island_areas == pytest.approx([9.8 * 7.8])
    assert walkable.island_radii == pytest.approx([math.hypot(4.875, 3.875)], abs=1e-4)


@pytest.mark.parametrize("radius", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_box_takes_its_area_inflated_by_the_radius(radius, angle):
    body = AgentBody(radius=radius)
    bare = build(floor(0, 6, 0, 6), body=body).area
    taken = bare - build(floor(0, 6, 0, 6), prism(rectangle((3, 3), (0.5, 0.8), angle), 0, 1), body=body).area
    exact = 1 * 1.6 + 2 * (1 + 1.6) * radius + math.pi * radius**2
    half_a_cell = 0.025 * (2 * (1 + 1.6) + 2 * math.pi * radius)
    assert exact - half_a_cell < taken < exact + half_a_cell


@pytest.mark.parametrize(("radius", "open_"), [(0.1, True), (0.3, True), (0.4, True), (0.5, False)])
@pytest.mark.parametrize("shift", [0.0, 0.013, 0.025])
def test_door_of_90_centimetres(radius, open_, shift):
    wall = [box((2.95, 0, 0), (3.05, 2.5, 1.5 + shift)), box((2.95, 0, 2.4 + shift), (3.05, 2.5, 4))]
    lintel = box((2.95, 2.0, 1.5 + shift), (3.05, 2.5, 2.4 + shift))
    walkable = build(floor(0, 6, 0, 4), *wall, lintel, body=AgentBody(radius=radius))
    assert connected(walkable, (1, 0, 2), (5, 0, 2)) == open_


@pytest.mark.parametrize("radius", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("thickness", [0.0, 0.01])
@pytest.mark.parametrize(("angle", "shift"), [(0.0, 0.0), (0.0, 0.0125), (0.0, 0.025), (0.3, 0.01), (math.pi / 4, 0.0)])
def test_thin_wall_blocks_wherever_it_stands_in_its_cell(radius, thickness, angle, shift):
    wall = prism(rectangle((3 + shift, 3 + shift), (thickness / 2, 6), angle), 0, 2)
    wall[:, :, [0, 2]] = wall[:, :, [0, 2]].clip(0, 6)  # ends on the floor's edge
    walkable = build(floor(0, 6, 0, 6), wall, body=AgentBody(radius=radius))
    assert len(walkable.island_areas) == 2
    assert not connected(walkable, (1, 0, 3), (5, 0, 3))


@pytest.mark.parametrize(("slope", "passes"), [(30, True), (44, True), (46, False), (60, False)])
def test_ramp(slope, passes):
    rise = 2.0
    run = rise / math.tan(math.radians(slope))
    ramp = floor(3, 3 + run, 0, 3, 0, rise)
    walkable = build(floor(0, 3, 0, 3), ramp, floor(3 + run, 6 + run, 0, 3, rise))
    assert connected(walkable, (1.5, 0, 1.5), (4.5 + run, rise, 1.5)) == passes
    if passes:
        middle = np.array([3 + run / 2, rise / 2, 1.5])
        cell = walkable.locate(middle)
        assert walkable.heights[cell] == pytest.approx(rise / 2, abs=0.05)


@pytest.mark.parametrize("lean", [0.0, 0.05, 0.1])
@pytest.mark.parametrize(("rise", "passes"), [(0.18, True), (0.25, True), (0.3, False)])
def test_stairs_lead_up_as_far_as_a_step_reaches(lean, rise, passes):
    steps = stairs(3, 10, 0.28, rise, 0, 1.2, lean)
    upper = floor(5.8, 9, 0, 3, 10 * rise)
    ceiling = quad((0, 6, 0), (9, 6, 0), (9, 6, 3), (0, 6, 3))
    walkable = build(floor(0, 9, 0, 3), steps, upper, ceiling)
    assert len(walkable.index) == 2
    assert connected(walkable, (1.5, 0, 1.5), (7, 10 * rise, 1.5)) == passes


def test_two_floors_are_two_layers_of_a_column():
    walkable = build(floor(0, 9, 0, 3), stairs(3, 14, 0.2, 0.2, 0, 1.2), floor(5.8, 9, 0, 3, 2.8))
    low, high = walkable.locate([[8, 0, 2], [8, 2.8, 2]])
    assert walkable.cells[[low, high], 0].tolist() == [0, 1]
    assert walkable.cells[low, 1:].tolist() == walkable.cells[high, 1:].tolist()
    assert walkable.heights[[low, high]] == pytest.approx([0, 2.8])
    assert walkable.locate([8, 1.4, 2]) == -1


@pytest.mark.parametrize(("clearance", "passes"), [(1.4, False), (1.6, True)])
def test_bridge_over_a_hall_leaves_the_way_below_to_those_who_fit(clearance, passes):
    bridge = box((2.5, clearance, 0), (3.5, clearance + 0.2, 6))
    walkable = build(floor(0, 6, 0, 6), bridge)
    assert connected(walkable, (1, 0, 3), (5, 0, 3)) == passes
    assert (walkable.locate([3.0, 0, 3.0]) >= 0) == passes


def test_table_blocks_and_nobody_starts_on_it_or_under_it():
    legs = [box((x, 0, z), (x + 0.05, 0.7, z + 0.05)) for x in (2, 3.95) for z in (2, 2.95)]
    top = box((2, 0.7, 2), (4, 0.75, 3))
    walkable = build(floor(0, 6, 0, 5), *legs, top)
    assert walkable.heights.max() == 0
    assert walkable.locate([[3, 0, 2.5], [3, 0.75, 2.5]]).tolist() == [-1, -1]
    x, _, z = walkable.positions.T
    outside = np.hypot(np.maximum(np.abs(x - 3) - 1, 0), np.maximum(np.abs(z - 2.5) - 0.5, 0))
    assert outside.min() == pytest.approx(0.075 * math.sqrt(2), abs=1e-5)


def test_low_things_are_stepped_onto():
    rug = box((1, 0, 1), (2, 0.01, 2))
    kerb = box((3, 0, 0), (3.5, 0.2, 4))
    clutter = trimesh.creation.icosphere(3, 0.15)
    clutter.apply_translation([4.5, 0, 2])
    walkable = build(floor(0, 6, 0, 4), rug, kerb, clutter.triangles.astype(np.float32))
    cells = walkable.locate([[1.5, 0.01, 1.5], [3.25, 0.2, 2], [4.525, 0.14, 2.025]])
    assert walkable.heights[cells] == pytest.approx([0.01, 0.2, 0.15], abs=0.01)
    assert walkable.islands.max() == 0
    # Its flank, 56 degrees steep 12.5 cm from the middle, is no hole in the floor either.
    assert walkable.heights[walkable.locate([4.625, 0.08, 2.025])] == pytest.approx(0.08, abs=0.02)


def test_ceilings_and_roofs_are_no_floors():
    walls = [box((-0.1, 0, -0.1), (0, 2.5, 5)), box((5, 0, -0.1), (5.1, 2.5, 5)), box((0, 0, -0.1), (5, 2.5, 0))]
    ceiling = quad((0, 2.5, 0), (5, 2.5, 0), (5, 2.5, 5), (0, 2.5, 5))
    roof = box((-0.5, 2.6, -0.5), (5.5, 2.8, 5.5))
    assert build(floor(0, 5, 0, 5), *walls, ceiling).heights.max() == 0
    assert build(floor(0, 5, 0, 5), *walls, ceiling, roof).heights.max() == 0


def test_closed_block_has_no_floor_inside():
    walkable = build(floor(0, 8, 0, 8), box((2, 0, 2), (6, 3, 6)), min_island_area=0.1)
    assert walkable.locate([4, 0, 4]) == -1
    assert walkable.heights.max() == 0


def test_wardrobe_without_a_bottom_is_no_room_either():
    wardrobe = box((2, 0, 2), (4, 2.2, 2.8))[:-2]
    assert build(floor(0, 6, 0, 6), wardrobe).locate([3, 0, 2.4]) == -1


def test_room_behind_a_closed_door_stays():
    big = floor(0, 20, 0, 10)
    wall = box((16.9, 0, 0), (17, 2.5, 10))
    ceiling = quad((0, 2.5, 0), (20, 2.5, 0), (20, 2.5, 10), (0, 2.5, 10))
    walkable = build(big, wall, box((16.9, 0, 5), (20, 2.5, 5.1)), ceiling)
    assert len(walkable.island_areas) == 3
    assert walkable.locate([18.5, 0, 2]) >= 0


@pytest.fixture(scope="module")
def home():
    flats = (home for home in map(generate_home, range(100)) if all(room.storey == 0 for room in home.rooms))
    mesh = next(flats).mesh
    return mesh, build_walkable(mesh.triangles, BODY)


def test_no_triangle_reaches_into_a_standing_body(home):
    """Points sampled densely on all triangles against every cell's cylinder, with a tree over their (x, z)."""
    mesh, walkable = home
    points = np.asarray(trimesh.sample.sample_surface(_trimesh(mesh.triangles), 400_000, seed=0)[0])
    assert (walkable.heights < 0.05).all()  # one storey: the bodies' height range is the same everywhere
    solid = points[(points[:, 1] > 0.05 + BODY.max_step) & (points[:, 1] < BODY.height)]
    distance, _ = cKDTree(solid[:, [0, 2]]).query(walkable.positions[:, [0, 2]])
    assert distance.min() >= BODY.radius - 1e-3


def test_cells_left_out_have_something_within_the_radius(home):
    mesh, walkable = home
    columns = cut_into_columns(mesh.triangles, Grid.around(mesh.triangles, walkable.cell_size))
    ground = np.unique(columns.surface_column[columns.surface_up & (columns.surface_height < 0.03)])
    x = walkable.origin[0] + (ground % columns.grid.cols + 0.5) * walkable.cell_size
    z = walkable.origin[1] + (ground // columns.grid.cols + 0.5) * walkable.cell_size
    feet = np.stack([x, np.zeros_like(x), z], 1)
    left_out = feet[walkable.locate(feet) < 0]
    points = np.asarray(trimesh.sample.sample_surface(_trimesh(mesh.triangles), 400_000, seed=0)[0])
    solid = points[(points[:, 1] > BODY.max_step) & (points[:, 1] < BODY.height)]
    distance, _ = cKDTree(solid[:, [0, 2]]).query(left_out[:, [0, 2]])
    # A cell's diagonal of slack, and corners that the radius shuts off; under doors' sills the floor has small gaps.
    near = distance < BODY.radius + 0.075
    assert near.mean() > 0.9


def test_every_room_of_homes_can_be_reached_on_all_storeys():
    for seed in range(4):
        home = generate_home(seed)
        walkable = build_walkable(home.mesh.triangles, BODY)
        assert (walkable.islands == 0).mean() > 0.95
        main = walkable.positions[walkable.islands == 0]
        for room in home.rooms:
            r = room.rect
            inside = (main[:, 0] > r.x0) & (main[:, 0] < r.x1) & (main[:, 2] > r.z0) & (main[:, 2] < r.z1)
            inside &= np.abs(main[:, 1] - room.floor) < 0.1
            assert inside.sum() * walkable.cell_size**2 > 0.5, (seed, room)


def test_neighbors_are_mutual_in_reach_and_cut_no_corners(home):
    _, walkable = home
    around, cells = walkable.neighbors, np.arange(walkable.num_cells)
    for direction in range(8):
        target = around[:, direction]
        there = target >= 0
        moved = walkable.cells[target[there], 1:] - walkable.cells[there, 1:]
        assert (moved == OFFSETS[direction]).all()
        assert (around[target[there], (direction + 4) % 8] == cells[there]).all()
        assert np.abs(walkable.heights[target[there]] - walkable.heights[there]).max() <= BODY.max_step + 1e-4
        assert (walkable.islands[target[there]] == walkable.islands[there]).all()
        if direction % 2:
            assert (around[there, direction - 1] >= 0).all()
            assert (around[there, (direction + 1) % 8] >= 0).all()


def test_locate_finds_every_cell_and_nothing_off_the_surface(home):
    _, walkable = home
    assert (walkable.locate(walkable.positions) == np.arange(walkable.num_cells)).all()
    assert (walkable.index[tuple(walkable.cells.T)] == np.arange(walkable.num_cells)).all()
    assert (walkable.locate(walkable.positions + UP * (BODY.max_step - 0.01)) >= 0).all()
    assert (walkable.locate(walkable.positions + UP * (BODY.max_step + 0.01)) < 0).all()
    assert (walkable.locate(walkable.positions * 1e6 + 1e6) < 0).all()
    assert walkable.locate(walkable.positions[:6].reshape(2, 3, 3)).shape == (2, 3)


def test_arrays_survive_a_file(home):
    _, walkable = home
    again = Walkable.from_arrays(load(save(walkable.to_arrays())))
    assert (again.cell_size, again.body) == (walkable.cell_size, walkable.body)
    for name in ("origin", "index", "cells", "heights", "islands", "neighbors"):
        mine, theirs = getattr(walkable, name), getattr(again, name)
        assert mine.dtype == theirs.dtype
        assert (mine == theirs).all()
    assert walkable.index.dtype == walkable.neighbors.dtype == walkable.cells.dtype == np.int32


def test_columns_hold_exactly_what_passes_through_them():
    """Random triangles, against points sampled on them and barycentric coordinates."""
    rng = np.random.default_rng(0)
    triangles = (rng.uniform(0, 1, (60, 1, 3)) + rng.normal(0, 0.3, (60, 3, 3))).astype(np.float32)
    triangles[:10, :, 0] = triangles[:10, :1, 0]  # vertical ones
    grid = Grid.around(triangles, 0.1)
    columns = cut_into_columns(triangles, grid)
    weights = rng.dirichlet(np.ones(3), (60, 4000))
    points = (weights @ triangles.astype(np.float64)).reshape(-1, 3)
    column = np.floor((points[:, 2] - grid.origin[1]) / 0.1) * grid.cols + np.floor(
        (points[:, 0] - grid.origin[0]) / 0.1
    )
    bottom = np.full(grid.rows * grid.cols, np.inf)
    top = np.full(grid.rows * grid.cols, -np.inf)
    held = np.repeat(np.arange(grid.rows * grid.cols), np.diff(columns.start))
    np.minimum.at(bottom, held, columns.bottom)
    np.maximum.at(top, held, columns.top)
    column = column.astype(int)
    assert (points[:, 1] >= bottom[column] - 1e-5).all()
    assert (points[:, 1] <= top[column] + 1e-5).all()
    # Not larger than what is there, but for the gaps between the samples.
    seen = np.flatnonzero(np.bincount(column, minlength=len(top)) > 200)
    sampled = np.full(len(top), -np.inf)
    np.maximum.at(sampled, column, points[:, 1])
    assert np.quantile(top[seen] - sampled[seen], 0.9) < 0.03

    row, col = np.divmod(np.arange(grid.rows * grid.cols), grid.cols)
    x, z = grid.origin[0] + (col + 0.5) * 0.1, grid.origin[1] + (row + 0.5) * 0.1
    for triangle in triangles.astype(float):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = triangle
        system = np.array([[ax, bx, cx], [az, bz, cz], [1, 1, 1]])
        if abs(np.linalg.det(system)) < 1e-6:
            continue
        share = np.linalg.solve(system, np.stack([x, z, np.ones_like(x)]))
        under = np.flatnonzero((share > 1e-4).all(0))
        for k, y in zip(under, np.array([ay, by, cy]) @ share[:, under], strict=True):
            assert np.abs(columns.surface_height[columns.surface_column == k] - y).min() < 1e-4


@pytest.mark.parametrize(("extent", "expected"), [(9, 0.05), (50, 0.05), (51, 0.06), (100, 0.1), (300, 0.3)])
def test_default_cell_size(extent, expected):
    assert default_cell_size(np.array([[0, 0, 0], [extent, 3, extent]])) == pytest.approx(expected)


def test_bad_input_is_named():
    with pytest.raises(SceneError, match=r"shape \(0, 3, 3\)"):
        build_walkable(np.zeros((0, 3, 3), np.float32), BODY)
    with pytest.raises(SceneError, match="y is up"):
        build(quad((0, 0, 0), (1, 0, 0), (1, 3, 0), (0, 3, 0)))
    with pytest.raises(SceneError, match="cell_size"):
        build(floor(0, 4, 0, 4), cell_size=0)
    with pytest.raises(SceneError, match="max_step"):
        build(floor(0, 4, 0, 4), body=AgentBody(max_step=1.0))
    with pytest.raises(SceneError, match="too many"):
        build(floor(0, 4000, 0, 4000))


def _trimesh(triangles):
    return trimesh.Trimesh(**trimesh.triangles.to_kwargs(triangles), process=False)


def _real(name):
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not here")
    return np.asarray(trimesh.load(REAL / name, process=False, force="mesh").triangles, np.float32)


def test_dungeon_is_one_walk_over_several_levels():
    walkable = build_walkable(_real("dungeon.obj"), BODY, 0.15)
    main = walkable.heights[walkable.islands == 0]
    assert 1600 < walkable.island_areas[0] < 1800
    # Halls at about 0, 5, 10 and 15 m with stairs between, and the room behind the gate apart.
    for level in (0, 5, 10, 15):
        assert (np.abs(main - level) < 0.5).sum() * 0.15**2 > 20, level
    assert len(walkable.island_areas) <= 4
    assert len(walkable.index) == 2


def test_nav_test_has_a_plain_two_hills_and_no_box_tops():
    walkable = build_walkable(_real("nav_test.obj"), BODY, 0.15)
    assert (walkable.island_areas[:3] > 900).all()
    assert walkable.island_areas[3:].sum() < 20
    # The hill to the south carries a terrace on a second layer, eleven metres above its lowest ground.
    hill = walkable.islands == 1
    assert np.ptp(walkable.heights[hill]) > 10
    assert (walkable.cells[hill, 0] == 1).sum() * 0.15**2 > 100


def test_what_is_in_the_way_is_found_among_all_of_a_column():
    """Random fragments on one column and on many, against a comparison of every pair."""
    rng = np.random.default_rng(1)
    triangles = (rng.uniform(0, [0.6, 5, 0.6], (150, 1, 3)) + rng.normal(0, 0.3, (150, 3, 3))).astype(np.float32)
    columns = cut_into_columns(triangles, Grid.around(triangles, 0.2))
    assert np.diff(columns.start).max() > 40
    column = rng.integers(0, len(columns.start) - 1, 500)
    height = rng.uniform(-1, 6, 500)
    query, fragment = in_the_way(columns, column, height, BODY)
    held = np.repeat(np.arange(len(columns.start) - 1), np.diff(columns.start))
    expected = (held == column[:, None]) & (columns.top > height[:, None] + BODY.max_step)
    expected &= columns.bottom < height[:, None] + BODY.height
    assert expected.sum() > 500
    assert sorted(zip(query, fragment, strict=True)) == sorted(zip(*np.nonzero(expected), strict=True))
