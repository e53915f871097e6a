"""Rasterised colours, labels and depth against the ray caster, Embree and worked numbers."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim import RenderError
from batchsim import scenes as scene_package
from batchsim.render.batch_renderer import NO_SCENE, SENSORS
from batchsim.scenes.mesh import Material, Mesh
from tests.helpers.embree_oracle import embree_images

COMBINATIONS = [c for size in (1, 2, 3) for c in combinations(SENSORS, size)]


@pytest.fixture(scope="module")
def medium_home(cache_of_this_session):
    """A generated home of about 30,000 triangles."""
    return scene_package.load("homes:train/0?detail=medium", num_goals=4)


def views(worlds, count, seed=0):
    """Poses `[count, 7]` at eye height, every other one tilted, and scene numbers `[count]`."""
    rng = np.random.default_rng(seed)
    index = np.arange(count) % len(worlds)
    eyes = np.stack([worlds[k].sample_navigable(1, rng)[0] for k in index]) + np.array([0, 1.25, 0])
    turns = Rotation.from_euler("Y", rng.uniform(-np.pi, np.pi, (count, 1)))
    tilts = Rotation.from_euler("XZ", rng.uniform(-0.8, 0.8, (count, 2)) * (index % 2)[:, None])
    poses = np.concatenate([eyes, (turns * tilts).as_quat()], 1)
    return torch.tensor(poses, dtype=torch.float32), torch.tensor(index)


def difference(images, others):
    return np.abs(images.numpy().astype(int) - others.numpy().astype(int))


def assert_alike(images, others):
    """The two backends' images show the same."""
    assert images.keys() == others.keys()
    if "depth" in images:
        assert ((images["depth"] - others["depth"]).abs() <= 0.01).float().mean() >= 0.995
    if "semantic" in images:
        assert (images["semantic"] == others["semantic"]).float().mean() >= 0.99
    if "rgb" in images:
        assert difference(images["rgb"], others["rgb"]).mean() <= 2


@pytest.mark.parametrize("world", ["low", "medium", "four-rooms"])
def test_all_sensors_agree_with_the_ray_caster_and_embree(homes, medium_home, four_rooms, make_renderer, world):
    worlds = {"low": homes, "medium": [medium_home], "four-rooms": [four_rooms]}[world]
    where, index = views(worlds, 24)
    images = make_renderer(worlds, 24, sensors=SENSORS, backend="raster").render(where, index)
    assert_alike(images, make_renderer(worlds, 24, sensors=SENSORS, backend="raycast").render(where, index))
    depth, label = embree_images(worlds, where, index, 64, 64, 90.0)
    assert (np.abs(images["depth"].numpy()[..., 0] - depth) <= np.maximum(0.01, 0.001 * depth)).mean() >= 0.995
    assert (images["semantic"].numpy()[..., 0] == label).mean() >= 0.99
    assert len(np.unique(label)) >= 3


@pytest.mark.parametrize("sensors", COMBINATIONS, ids="+".join)
def test_every_combination_of_sensors_draws_the_same(homes, make_renderer, sensors):
    where, index = views(homes, 7)
    everything = make_renderer(homes, 7, sensors=SENSORS, backend="raster").render(where, index)
    images = make_renderer(homes, 7, sensors=sensors, backend="raster").render(where, index)
    assert tuple(images) == sensors
    for name in sensors:
        assert torch.equal(images[name], everything[name])


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(1, 1, 1), (1, 1, 7), (1, 1, 300), (64, 64, 300), (300, 200, 3), (33, 5, 7), (5, 33, 1)],
)
def test_image_sizes_and_numbers_of_views(homes, make_renderer, width, height, count):
    where, index = views(homes, count, 1)
    options = {"width": width, "height": height, "hfov": 75.0, "sensors": SENSORS}
    images = make_renderer(homes, count, backend="raster", **options).render(where, index)
    assert {name: (i.shape[1:], i.dtype) for name, i in images.items()} == {
        "depth": ((height, width, 1), torch.float32),
        "rgb": ((height, width, 3), torch.uint8),
        "semantic": ((height, width, 1), torch.int32),
        "instance": ((height, width, 1), torch.int32),
    }
    if width * height * count >= 1000:
        assert_alike(images, make_renderer(homes, count, backend="raycast", **options).render(where, index))


def test_several_columns_and_passes_put_every_view_in_its_place(homes, make_renderer, monkeypatch):
    where, index = views(homes, 37, 2)
    size = {"width": 15, "height": 15, "sensors": SENSORS}
    expected = make_renderer(homes, 37, backend="raycast", **size).render(where, index)
    monkeypatch.setattr("batchsim.render.raster._MAX_SIDE", 64)  # 4 x 4 views a pass
    assert_alike(make_renderer(homes, 37, backend="raster", **size).render(where, index), expected)


def test_fewer_views_than_there_is_room_for_and_views_of_no_scene(homes, make_renderer):
    renderer = make_renderer(homes, 9, sensors=SENSORS, backend="raster")
    where, index = views(homes, 9)
    full = {name: images.clone() for name, images in renderer.render(where, index).items()}
    index[2] = NO_SCENE
    images = renderer.render(where[:5], index[:5])
    for name in SENSORS:
        assert images[name].shape[0] == 5
        assert not images[name][2].any()
        kept = [0, 1, 3, 4]
        assert torch.equal(images[name][kept], full[name][kept])


def test_colours_and_labels_of_two_walls(make_renderer):
    # A plain red wall, and nearer, over its right half, a textured one that is green on top and blue below.
    texture = np.zeros((32, 32, 3), np.uint8)
    texture[:16], texture[16:] = (0, 255, 0), (0, 0, 255)
    red = wall(-4, 4, -3, Material("red", (1.0, 0.0, 0.0)), 5)
    painted = wall(0, 4, -2, Material("painted", texture=0), 6, (texture,))
    scene = Mesh.concatenate([red, painted])  # all that drawing needs of a scene
    renderer = make_renderer([scene], 1, width=8, height=8, sensors=SENSORS, backend="raster")
    images = renderer.render(torch.tensor([[0.0, 0, 0, 0, 0, 0, 1]]), torch.tensor([0]))
    columns = np.tile(np.arange(8), (8, 1))
    assert (images["semantic"][0, :, :, 0].numpy() == np.where(columns < 4, 5, 6)).all()
    assert np.allclose(images["depth"][0, :, :, 0], np.where(columns < 4, 3, 2), rtol=1e-5)
    strongest = images["rgb"][0].numpy().argmax(-1)
    assert (strongest[:, :4] == 0).all()
    assert (strongest[:3, 4:] == 1).all()
    assert (strongest[5:, 4:] == 2).all()
    # the middle of the red wall faces the camera: light 0.45 of the sky and 0.35 of the lamp, in sRGB
    assert abs(int(images["rgb"][0, 3, 3, 0]) - 255 * (1.055 * 0.8 ** (1 / 2.4) - 0.055)) <= 2


def wall(left, right, z, material, label, textures=()):
    """Two triangles from -4 to 4 m high, its texture once from top to bottom."""
    corners = np.array([(left, 4, z), (left, -4, z), (right, -4, z), (right, 4, z)], float)
    uv = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], float)
    index = np.array([(0, 1, 2), (0, 2, 3)])
    return Mesh(corners[index], uv[index], np.zeros(2), np.full(2, label), (material,), textures)


def test_scenes_without_triangles_are_refused(make_renderer):
    nothing = Mesh.from_triangles(np.zeros((0, 3, 3)))
    with pytest.raises(RenderError, match="no triangle at all"):
        make_renderer([nothing], 1, sensors=("rgb",), backend="raster")
