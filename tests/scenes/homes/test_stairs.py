"""Two-storey homes: the flight can be walked, has head room, and ends on the upper floor."""

import numpy as np
import pytest
import trimesh

from batchsim.scenes.homes import generate_home

embree = pytest.importorskip("trimesh.ray.ray_pyembree")

SEEDS = range(6)


def tracer(mesh):
    corners = mesh.triangles.reshape(-1, 3)
    solid = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    return embree.RayMeshIntersector(solid, scale_to_box=False)


def heights(scene, points, up):
    """Height of the first surface above or below each point."""
    ray = np.tile([0.0, 1.0 if up else -1.0, 0.0], (len(points), 1))
    found, index, _ = scene.intersects_location(points, ray, multiple_hits=False)
    height = np.full(len(points), np.nan)
    height[index] = found[:, 1]
    return height


@pytest.mark.parametrize("detail", ["low", "medium"])
@pytest.mark.parametrize("seed", SEEDS)
def test_walk_up_the_stairs(seed, detail):
    home = generate_home(seed, detail, storeys=2)
    stairs, scene = home.plan.stairs, tracer(home.mesh)
    assert stairs.rise / stairs.steps <= 0.2
    assert stairs.tread >= 0.25
    assert stairs.width >= 0.9
    for across in (-0.3, 0.0, 0.3):
        # Every 2 cm, off the edges of the steps, from the landing below to the one above; felt for from 1 m above.
        way = np.arange(-0.8037, stairs.length + 0.8, 0.02)
        x, z = stairs.foot.point(across, way)
        over = np.clip(way / stairs.length, 0.0, 1.0) * stairs.rise + 1.0
        points = np.stack([x, over, z], 1)
        ground = heights(scene, points, up=False)
        assert ground[0] == pytest.approx(0.0, abs=0.02)
        assert ground[-1] == pytest.approx(stairs.rise, abs=0.02)
        assert np.diff(ground).max() <= 0.2
        assert np.diff(ground).min() >= -0.02
        points[:, 1] = ground + 0.05
        assert (heights(scene, points, up=True) - ground).min() > 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_rails_keep_walkers_from_the_opening(seed):
    """Level rays at knee height from the upper hall towards the opening meet a rail first."""
    home = generate_home(seed, storeys=2)
    stairs, scene = home.plan.stairs, tracer(home.mesh)
    way = np.linspace(3 * stairs.tread, stairs.length - 0.05, 20)
    x, z = stairs.foot.point(stairs.open_side * (stairs.width / 2 + 0.15), way)
    start = np.stack([x, np.full(20, stairs.rise + 0.5), z], 1)
    (ax, az), (bx, bz) = stairs.foot.point(0.0, 0.0), stairs.foot.point(-stairs.open_side, 0.0)
    found, index, _ = scene.intersects_location(start, np.tile([bx - ax, 0.0, bz - az], (20, 1)), multiple_hits=False)
    assert len(index) == 20
    assert np.linalg.norm(found - start[index], axis=1).max() < 0.2


def test_about_one_home_in_six_has_two_storeys():
    two = sum(generate_home(seed).plan.stairs is not None for seed in range(60))
    assert 3 <= two <= 20


def test_asking_for_the_storeys_that_the_seed_chose_changes_nothing():
    for seed in range(6):
        free = generate_home(seed)
        asked = generate_home(seed, storeys=2 if free.plan.stairs else 1)
        assert np.array_equal(free.mesh.triangles, asked.mesh.triangles)
