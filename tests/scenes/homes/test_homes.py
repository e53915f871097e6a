"""Homes as a whole: determinism, size, closedness, labels, materials, and the same walkable plan at every detail."""

import numpy as np
import pytest
import trimesh
from scipy import ndimage

from batchsim.scenes.errors import SceneError
from batchsim.scenes.homes import generate_home
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import NO_TEXTURE

embree = pytest.importorskip("trimesh.ray.ray_pyembree")

SEEDS = [0, 2, 3, 4, 7, 11, 12, 18]
CELL = 0.05


def tracer(mesh):
    corners = mesh.triangles.reshape(-1, 3)
    solid = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    return embree.RayMeshIntersector(solid, scale_to_box=False)


def occupancy(home, storey=0):
    """Free cells for a walker of radius 0.1 m: (free, cell of x, cell of z).

    Rays down from head height find what lies on the floor, level rays find upright surfaces.
    """
    mesh = home.mesh
    (x0, _, z0), (x1, _, z1) = mesh.bounds
    xs, zs = np.arange(x0 + CELL / 2, x1, CELL), np.arange(z0 + CELL / 2, z1, CELL)
    grid = np.stack(np.meshgrid(xs, zs, indexing="ij"), -1).reshape(-1, 2)
    floor = next(room.floor for room in home.rooms if room.storey == storey)
    scene, start = tracer(mesh), np.insert(grid, 1, floor + 1.5, 1)
    hit = scene.intersects_first(start, np.tile([0.0, -1.0, 0.0], (len(start), 1)))
    top = np.where(hit >= 0, mesh.triangles[hit, :, 1].max(1), np.inf)
    free = (np.abs(top - floor) < 0.05).reshape(len(xs), len(zs))
    for height in floor + np.array([0.3, 0.85, 1.4]):
        for axis, lines, begin in ((0, zs, x0), (2, xs, z0)):
            start = np.full((len(lines), 3), height)
            start[:, axis], start[:, 2 - axis] = begin - 1.0, lines
            ray = np.zeros_like(start)
            ray[:, axis] = 1.0
            points, _, _ = scene.intersects_location(start, ray, multiple_hits=True)
            i, j = ((points[:, k] - low) / CELL for k, low in ((0, x0), (2, z0)))
            free[np.clip(i.astype(int), 0, len(xs) - 1), np.clip(j.astype(int), 0, len(zs) - 1)] = False
    reach = np.mgrid[-2:3, -2:3]
    walkable = ~ndimage.binary_dilation(~np.pad(free, 2), (reach**2).sum(0) <= 4)[2:-2, 2:-2]
    return walkable, lambda x: np.searchsorted(xs, x), lambda z: np.searchsorted(zs, z)


@pytest.mark.parametrize("detail", ["low", "medium", "high"])
def test_same_seed_gives_the_same_arrays(detail):
    one, two = generate_home(5, detail).mesh, generate_home(5, detail).mesh
    for name in ("triangles", "uvs", "materials", "labels"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert one.material_table == two.material_table
    assert all(np.array_equal(a, b) for a, b in zip(one.textures, two.textures, strict=True))


def test_different_seeds_give_different_homes():
    sizes = {generate_home(seed).mesh.bounds.tobytes() for seed in range(10)}
    assert len(sizes) == 10


def test_global_random_state_plays_no_part():
    np.random.seed(1)  # noqa: NPY002
    one = generate_home(3).mesh.triangles
    np.random.seed(2)  # noqa: NPY002
    assert np.array_equal(one, generate_home(3).mesh.triangles)


@pytest.mark.parametrize(("detail", "least", "most", "count"), [
    ("low", 400, 2000, 20),
    ("medium", 15_000, 50_000, 4),
    ("high", 150_000, 500_000, 2),
])  # fmt: skip
def test_triangle_budget(detail, least, most, count):
    sizes = [len(generate_home(seed, detail, storeys=1).mesh) for seed in range(count)]
    assert least <= np.median(sizes) <= most
    assert max(sizes) <= 2 * most


@pytest.mark.parametrize(("detail", "seeds"), [("low", range(16)), ("medium", range(3)), ("high", [2])])
def test_no_ray_from_inside_gets_out(detail, seeds):
    rng = np.random.default_rng(0)
    for seed in seeds:
        home = generate_home(seed, detail)
        scene = tracer(home.mesh)
        for room in home.rooms:
            x0, z0, x1, z1 = room.rect.grown(-0.02)
            origin = rng.uniform((x0, room.floor + 0.3, z0), (x1, room.floor + 2.3, z1), (1500, 3))
            direction = rng.standard_normal((1500, 3))
            assert (scene.intersects_first(origin, direction) >= 0).all(), (seed, room)


def test_no_ray_gets_out_where_surfaces_meet():
    """Rays aimed at the corners of the shell itself: cracks open there first."""
    rng = np.random.default_rng(0)
    for seed in range(8):
        home = generate_home(seed)
        room = home.rooms[0]
        x0, z0, x1, z1 = room.rect.grown(-0.3)
        target = home.mesh.triangles.reshape(-1, 3).astype(float)
        target = target[rng.integers(len(target), size=4000)] + rng.normal(0.0, 1e-4, (4000, 3))
        origin = rng.uniform((x0, 0.5, z0), (x1, 2.0, z1), (4000, 3))
        assert (tracer(home.mesh).intersects_first(origin, target - origin) >= 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_room_is_reached_from_every_other(seed):
    home = generate_home(seed)
    for storey in {room.storey for room in home.rooms}:
        walkable, column, row = occupancy(home, storey)
        islands = ndimage.label(walkable)[0]
        home_islands = set()
        for room in home.rooms:
            if room.storey == storey:
                x0, z0, x1, z1 = room.rect
                inside = islands[column(x0) : column(x1), row(z0) : row(z1)]
                sizes = np.bincount(inside[inside > 0])
                assert sizes.max() > 0.8 * sizes.sum()
                home_islands.add(int(sizes.argmax()))
        assert len(home_islands) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_doors_are_wide_high_and_free(seed):
    home = generate_home(seed)
    scene = tracer(home.mesh)
    for door in home.plan.doors:
        if door.rooms[1] < 0:
            continue
        assert 0.9 <= round(door.high - door.low, 6) <= 1.1
        assert 2.05 <= door.height <= 2.1
        rect, side = home.rooms[door.rooms[0]].rect, door.sides[0]
        along, across = (0, 2) if side % 2 == 0 else (2, 0)
        face, outward = (rect.z0, rect.x1, rect.z1, rect.x0)[side], (-1, 1, 1, -1)[side]
        # Level rays through the opening, from 0.4 m before it to 0.4 m behind, over the middle 0.8 m of its width.
        middle = (door.low + door.high) / 2
        start = np.zeros((60, 3))
        start[:, along] = np.tile(np.linspace(middle - 0.4, middle + 0.4, 12), 5)
        start[:, 1] = home.rooms[door.rooms[0]].floor + np.repeat([0.05, 0.5, 1.0, 1.5, 2.0], 12)
        start[:, across] = face - 0.4 * outward
        ray = np.zeros((60, 3))
        ray[:, across] = outward
        points, index, _ = scene.intersects_location(start, ray, multiple_hits=False)
        length = np.abs(points[:, across] - start[index, across])
        assert (length > 0.8 + home.plan.wall).all()


@pytest.mark.parametrize("seed", [0, 2])
def test_walkable_plan_does_not_depend_on_detail(seed):
    low, medium, high = (generate_home(seed, detail) for detail in ("low", "medium", "high"))
    assert low.plan == medium.plan == high.plan
    reference = occupancy(low)[0]
    wide, narrow = ndimage.binary_dilation(reference), ndimage.binary_erosion(reference)
    for home in (medium, high):
        other = occupancy(home)[0]
        # Beyond one cell of 5 cm along the edges nothing may change but a few corners.
        assert (other & ~wide).sum() < 0.005 * reference.sum()
        assert (narrow & ~other).sum() < 0.01 * reference.sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_free_floor(seed):
    home = generate_home(seed, storeys=1)
    walkable, _, _ = occupancy(home)
    assert walkable.sum() * CELL**2 > 0.5 * sum(room.rect.area for room in home.rooms)
    room_to_wall = ndimage.distance_transform_edt(np.pad(walkable, 1))[1:-1, 1:-1][walkable] * CELL + 0.1
    assert 2 * np.median(room_to_wall) >= 0.6


@pytest.mark.parametrize("detail", ["low", "medium", "high"])
def test_labels_materials_and_textures_are_valid(detail):
    mesh = generate_home(2, detail).mesh
    assert 1 <= mesh.labels.min() <= mesh.labels.max() < len(LABELS)
    assert np.isfinite(mesh.uvs).all()
    assert np.bincount(mesh.materials, minlength=len(mesh.material_table)).min() > 0
    assert len(mesh.textures) <= 16
    used = {m.texture for m in mesh.material_table} - {NO_TEXTURE}
    assert used == set(range(len(mesh.textures)))
    for image in mesh.textures:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert all(64 <= edge <= 256 for edge in image.shape[:2])
    for material in mesh.material_table:
        assert len(material.base_color) == 3
        assert 0.0 <= min(material.base_color) <= max(material.base_color) <= 1.0


def test_homes_of_one_palette_share_their_textures():
    kept = {}
    for seed in range(24):
        for image in generate_home(seed).mesh.textures:
            kept.setdefault(image.tobytes(), set()).add(id(image))
    assert all(len(ids) == 1 for ids in kept.values())


@pytest.mark.parametrize("seed", range(6))
def test_no_two_surfaces_lie_in_one_plane(seed):
    """Axis-aligned triangles that share a plane may meet at their borders but not overlap: they would flicker."""
    triangles = generate_home(seed).mesh.triangles.astype(float)
    for axis in range(3):
        flat = np.ptp(triangles[:, :, axis], axis=1) < 1e-6
        height = np.round(triangles[flat, 0, axis], 4)
        outline = np.delete(triangles[flat], axis, axis=2)
        for value in np.unique(height):
            _assert_no_overlap(outline[height == value])


def _assert_no_overlap(outlines):
    """No centre of one of the triangles `[T, 3, 2]`, nor of its three parts, lies inside another."""
    parts = np.concatenate([outlines.mean(1, keepdims=True), (outlines + outlines.mean(1, keepdims=True) * 2) / 3], 1)
    for k, points in enumerate(parts):
        others = np.delete(outlines, k, axis=0)
        edge = np.roll(others, -1, 1) - others
        to = points[:, None, None] - others[None]
        side = edge[None, ..., 0] * to[..., 1] - edge[None, ..., 1] * to[..., 0]
        inside = (side > 1e-6).all(-1) | (side < -1e-6).all(-1)
        assert not inside.any(), outlines[k]


def test_bad_arguments_are_named():
    with pytest.raises(SceneError, match="ultra"):
        generate_home(0, "ultra")
    with pytest.raises(SceneError, match="seed"):
        generate_home(-1)
    with pytest.raises(SceneError, match="storeys"):
        generate_home(0, storeys=3)


def test_pictures_on_walls_have_the_label_of_their_kind():
    """The name is that of MP3D's and HM3D's categories."""
    mesh = generate_home(0).mesh
    names = [mesh.material_table[k].name for k in mesh.materials[mesh.labels == LABELS.index("picture")]]
    assert names
    assert all(name.startswith("picture_") for name in names)
