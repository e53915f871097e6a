"""Both backends where geometry is unusual: real meshes of others, and triangles at their worst."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim.render.camera import NEAR
from batchsim.scenes import Mesh
from batchsim.scenes.baking.bvh import build_bvh
from batchsim.scenes.sources.importer import import_file
from tests.helpers.embree_oracle import embree_images
from tests.helpers.paths import SHARED_SCENES

SENSORS = ("depth", "rgb", "semantic")
BACKENDS = ("raycast", "raster")
AHEAD = (0.0, 0.0, 0.0, 1.0)


def drawn(mesh):
    """All that drawing needs of a scene."""
    tree = build_bvh(mesh.triangles)
    arrays = {name: getattr(mesh, name)[tree.order] for name in ("triangles", "uvs", "materials", "labels")}
    return SimpleNamespace(**arrays, material_table=mesh.material_table, textures=mesh.textures, bvh=tree)


def box(low, high, label):
    """Twelve triangles."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * np.subtract(high, low) + low
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([half for a, b, c, d in sides for half in ((a, b, c), (a, c, d))])
    return Mesh.from_triangles(corners[faces], label)


def looking(positions, rotations):
    where = np.concatenate([np.asarray(positions, float), np.asarray(rotations, float)], 1)
    return torch.tensor(where, dtype=torch.float32), torch.zeros(len(where), dtype=torch.int64)


def assert_as_embree_sees(images, scenes, where, index):
    depth, label = embree_images(scenes, where, index, *images["depth"].shape[2:0:-1], 90.0)
    drawn_depth = images["depth"].numpy()[..., 0]
    shown = (depth > 0) | (drawn_depth > 0)
    assert shown.mean() > 0.1
    assert (np.abs(drawn_depth - depth) <= np.maximum(0.01, 0.001 * depth))[shown].mean() >= 0.995
    assert (images["semantic"].numpy()[..., 0] == label)[shown].mean() >= 0.99


@pytest.mark.parametrize("name", ["nav_test.obj", "dungeon.obj"])
def test_real_meshes(make_renderer, name):
    if not (SHARED_SCENES / name).exists():
        pytest.skip(f"{name} is not here")
    rng = np.random.default_rng(0)
    mesh = import_file(SHARED_SCENES / name).mesh
    labels = rng.integers(1, 99, len(mesh.triangles))
    scene = drawn(Mesh(mesh.triangles, mesh.uvs, mesh.materials, labels, mesh.material_table, mesh.textures))
    corners = mesh.triangles.reshape(-1, 3)
    turns = Rotation.from_euler("YX", rng.uniform((-3.1, -0.6), (3.1, 0.6), (13, 2)))
    where, index = looking(rng.uniform(corners.min(0), corners.max(0), (13, 3)), turns.as_quat())
    images = {b: make_renderer([scene], 13, sensors=SENSORS, backend=b).render(where, index) for b in BACKENDS}
    for seen in images.values():
        assert_as_embree_sees(seen, [scene], where, index)
    colours = [seen["rgb"].numpy().astype(int) for seen in images.values()]
    assert np.abs(colours[0] - colours[1]).mean() <= 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_triangles_without_area_change_nothing(make_renderer, backend):
    rng = np.random.default_rng(1)
    points = np.repeat(rng.uniform(-3, 3, (60, 1, 3)), 3, 1)
    lines = rng.uniform(-3, 3, (60, 3, 3))
    lines[:, 2] = (lines[:, 0] + lines[:, 1]) / 2
    room = Mesh.concatenate([box((-4, -1, -4), (4, 2, 4), 1), box((1, -1, 1), (2, 0.5, 2), 2)])
    littered = Mesh.concatenate([room, Mesh.from_triangles(np.concatenate([points, lines]), 9)])
    turns = Rotation.random(5, random_state=2).as_quat()
    where, index = looking(rng.uniform((-3, -0.5, -3), (0, 1.5, 0), (5, 3)), turns)
    images = make_renderer([drawn(littered)], 5, sensors=SENSORS, backend=backend).render(where, index)
    clean = make_renderer([drawn(room)], 5, sensors=SENSORS, backend=backend).render(where, index)
    # One of no area may still show along its line, where rounding gives it some.
    assert ((images["depth"] - clean["depth"]).abs() < 0.01).float().mean() > 0.999
    assert (images["semantic"] == clean["semantic"]).float().mean() > 0.999
    assert (images["rgb"].int() - clean["rgb"].int()).abs().float().mean() < 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_camera_on_and_inside_geometry(make_renderer, backend):
    # In the middle; in the plane of a face; on an edge; nearer to a wall than the near plane.
    where, index = looking([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, -1 + NEAR / 2)], [AHEAD] * 4)
    renderer = make_renderer([drawn(box((-1,) * 3, (1,) * 3, 3))], 4, 33, 33, sensors=SENSORS, backend=backend)
    images = renderer.render(where, index)
    assert images["depth"].isfinite().all()
    assert torch.allclose(images["depth"][0], torch.tensor(1.0), atol=1e-4)
    assert (images["semantic"][0] == 3).all()
    # What stands nearer than the near plane is cut away, and behind it there is nothing.
    assert not any(images[name][3, 16, 16].any() for name in SENSORS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_single_triangle(make_renderer, backend):
    triangle = Mesh.from_triangles(np.array([[[-1, -1, -2], [1, -1, -2], [0, 1, -2]]]), 7)
    where, index = looking([(0, 0, 0), (0, 0, -4)], [AHEAD] * 2)
    images = make_renderer([drawn(triangle)], 2, 4, 4, sensors=SENSORS, backend=backend).render(where, index)
    # At depth 2 the pixels lie at +-0.5 and +-1.5 m: two of them, below the middle, see it.
    expected = np.zeros((4, 4))
    expected[2, 1:3] = 2.0
    assert np.allclose(images["depth"][0, ..., 0], expected, atol=1e-5)
    assert (images["semantic"][0, ..., 0].numpy() == np.where(expected > 0, 7, 0)).all()
    assert ((images["rgb"][0].amin(-1) > 0).numpy() == (expected > 0)).all()
    assert not any(images[name][1].any() for name in SENSORS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_scene_among_others(make_renderer, backend):
    nothing = Mesh.from_triangles(np.zeros((0, 3, 3)))
    scenes = [drawn(nothing), drawn(box((-1,) * 3, (1,) * 3, 3))]
    where, _ = looking([(0, 0, 0)] * 3, [AHEAD] * 3)
    renderer = make_renderer(scenes, 3, 7, 5, sensors=SENSORS, backend=backend)
    images = renderer.render(where, torch.tensor([0, 1, 0]))
    for name in SENSORS:
        assert not images[name][[0, 2]].any()
        assert (images[name][1].amax(-1) > 0).all()
