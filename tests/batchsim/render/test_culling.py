"""Chunks of triangles that a view cannot see are left out, and nobody sees a difference."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim import scenes as scene_package
from batchsim.render import raster
from batchsim.render.batch_renderer import NO_SCENE, SENSORS
from batchsim.render.scene_data import gpu_arrays as prepared_scene
from batchsim.render.scene_data.gpu_arrays import CHUNK

COUNT = 24


@pytest.fixture(scope="module")
def worlds(homes, four_rooms):
    """Small scenes and a home of about 30,000 triangles."""
    return [*homes, four_rooms, scene_package.load("homes:train/0?detail=medium", num_goals=4)]


def views(worlds):
    rng = np.random.default_rng(0)
    index = np.arange(COUNT) % len(worlds)
    eyes = np.stack([worlds[k].sample_navigable(1, rng)[0] for k in index]) + np.array([0, 1.25, 0])
    turns = Rotation.from_euler("YXZ", rng.uniform(-1.5, 1.5, (COUNT, 3)) * [2, 1, 1])
    index[7] = NO_SCENE
    return torch.tensor(np.concatenate([eyes, turns.as_quat()], 1), dtype=torch.float32), torch.tensor(index)


def draw(make_renderer, worlds, **size):
    """Images of all sensors, and how many chunks were drawn for each view."""
    renderer = make_renderer(worlds, COUNT, sensors=SENSORS, backend="raster", **size)
    images = {name: image.clone() for name, image in renderer.render(*views(worlds)).items()}
    with renderer.context:
        commands = renderer._rig._cameras[0].backend._commands.read()
    return images, np.frombuffer(commands, np.uint32).reshape(-1, 5)[:COUNT, 1]


@pytest.mark.parametrize("size", [{}, {"width": 48, "height": 20, "hfov": 60.0}, {"width": 9, "height": 30}], ids=str)
@pytest.mark.parametrize("lanes", [1, 32])
def test_images_are_those_of_all_triangles(worlds, make_renderer, monkeypatch, size, lanes):
    monkeypatch.setattr(raster, "_is_cpu", lambda _: lanes == 1)
    images, drawn = draw(make_renderer, worlds, **size)

    def boundless(scene):
        boxes = np.zeros((-(-len(scene.triangles) // CHUNK), 2, 4), np.float32)
        boxes[:, 1, :3] = 1e6
        return boxes.reshape(-1, 8)

    monkeypatch.setattr(prepared_scene, "_pack_boxes", boundless)
    expected, all_chunks = draw(make_renderer, worlds, **size)
    index = views(worlds)[1].numpy()
    triangles = np.array([len(scene.triangles) for scene in worlds])
    assert np.array_equal(all_chunks, np.where(index == NO_SCENE, 0, -(-triangles // CHUNK)[index]))
    assert (drawn <= all_chunks).all()
    assert drawn.sum() < 0.6 * all_chunks.sum()
    for name in SENSORS:
        assert torch.equal(images[name], expected[name])


def test_lists_that_exceed_the_drivers_limit_are_made_in_passes(worlds, make_renderer, monkeypatch):
    expected, _ = draw(make_renderer, worlds)
    most = max(-(-len(scene.triangles) // CHUNK) for scene in worlds)
    monkeypatch.setattr(raster, "storage_limit", lambda _: 8 * most * 5)
    images, _ = draw(make_renderer, worlds)  # five views a pass
    assert (images["semantic"] == expected["semantic"]).float().mean() > 0.995
    assert ((images["depth"] - expected["depth"]).abs() < 1e-3).float().mean() > 0.995


def test_what_is_drawn_is_what_the_frustum_touches(worlds, make_renderer):
    """No chunk with a corner inside the image is left out, and none is drawn that lies wholly behind one plane."""
    _, drawn = draw(make_renderer, worlds)
    poses, index = (tensor.numpy() for tensor in views(worlds))
    for view in range(COUNT):
        if index[view] == NO_SCENE:
            continue
        triangles = worlds[index[view]].triangles.astype(np.float64)
        local = Rotation.from_quat(poses[view, 3:]).inv().apply(triangles.reshape(-1, 3) - poses[view, :3])
        inside = ((np.abs(local[:, :2]) < -local[:, 2:]).all(1)).reshape(-1, 3).any(1)
        fewest = sum(inside[k : k + CHUNK].any() for k in range(0, len(inside), CHUNK))
        assert fewest <= drawn[view] <= _touched(triangles, poses[view])


def _touched(triangles, pose):
    """How many chunks have a box of which no plane through the eye and an edge of the image has all in its back."""
    axes = Rotation.from_quat(pose[3:]).as_matrix()
    right, up, ahead = axes[:, 0], axes[:, 1], -axes[:, 2]
    count = 0
    for k in range(0, len(triangles), CHUNK):
        corners = triangles[k : k + CHUNK].reshape(-1, 3)
        low, high = corners.min(0), corners.max(0)
        box = np.array([[(low, high)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)]) - pose[:3]
        normals = np.stack([ahead + right, ahead - right, ahead + up, ahead - up, ahead])
        count += bool(((box @ normals.T).max(0) >= -1e-3).all())
    return count
