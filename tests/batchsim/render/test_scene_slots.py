"""Scenes that take turns in a renderer's slots: images as a renderer made for them draws them."""

import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim import OptionError, RenderError
from batchsim import scenes as scene_package
from batchsim.render.batch_renderer import SENSORS
from batchsim.render.scene_data.slot_layout import ROUND, DoesNotFit, SlotLayout
from batchsim.render.scene_data.texture_pool import TexturePool
from batchsim.scenes import bake
from batchsim.scenes.mesh import Material, Mesh

BACKENDS = ("raycast", "raster")


@pytest.fixture(scope="module")
def worlds(homes, four_rooms, one_room):
    """Small scenes, and a home of about 30,000 triangles as the last."""
    return [*homes, four_rooms, one_room, scene_package.load("homes:train/0?detail=medium", num_goals=4)]


def views(world, count, seed):
    """Tilted poses `[count, 7]` at eye height in `world`."""
    rng = np.random.default_rng(seed)
    eyes = world.sample_navigable(count, rng) + np.array([0, 1.25, 0])
    turns = Rotation.from_euler("YX", np.stack([rng.uniform(-3, 3, count), rng.uniform(-0.5, 0.5, count)], 1))
    return torch.tensor(np.concatenate([eyes, turns.as_quat()], 1), dtype=torch.float32)


def fresh_images(make_renderer, world, poses, backend, sensors=SENSORS):
    """What a renderer made for `world` alone draws."""
    renderer = make_renderer([world], len(poses), sensors=sensors, backend=backend)
    images = renderer.render(poses, torch.zeros(len(poses), dtype=torch.int64))
    images = {name: image.clone() for name, image in images.items()}
    renderer.close()
    return images


def assert_shows(renderer, slot, world, make_renderer, seed=0):
    poses = views(world, 6, seed)
    expected = fresh_images(make_renderer, world, poses, renderer.backend, renderer.sensors)
    images = renderer.render(poses, torch.full((6,), slot))
    for name in renderer.sensors:
        assert torch.equal(images[name], expected[name]), (name, slot, world)
    assert any(image.any() for image in images.values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_replacements_show_what_fresh_renderers_show(worlds, make_renderer, backend, caplog):
    rng = np.random.default_rng(3)
    held = [worlds[0], worlds[3], worlds[1]]
    renderer = make_renderer(held, 6, sensors=SENSORS, backend=backend, replaceable_scenes=True)
    caplog.set_level(logging.INFO, "batchsim.render")
    order = [3, 4, 5, 2, 0, 1, 5, 4]  # the sixth does not fit into slots made for the first
    slices = 0
    for number in order:
        slot = int(rng.integers(3))
        upload = renderer.replace_scene(slot, renderer.prepare(worlds[number]))
        while not upload.advance(int(rng.integers(1_000, 400_000))):
            slices += 1
        held[slot] = worlds[number]
        for k, world in enumerate(held):
            assert_shows(renderer, k, world, make_renderer, number)
    assert slices > 2 * len(order)
    assert sum("slots grow" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slot_shows_nothing_until_its_scene_is_there(homes, make_renderer, backend):
    renderer = make_renderer(homes[:2], 6, sensors=SENSORS, backend=backend, replaceable_scenes=True)
    poses = views(homes[0], 6, 0)
    upload = renderer.replace_scene(1, homes[2])
    assert not upload.advance(2_000)
    images = renderer.render(poses, torch.ones(6, dtype=torch.int64))
    assert not any(image.any() for image in images.values())
    assert_shows(renderer, 0, homes[0], make_renderer)
    while not upload.advance(50_000):
        pass
    assert upload.advance(1)
    assert_shows(renderer, 1, homes[2], make_renderer)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", BACKENDS)
def test_replacements_on_cuda(worlds, make_renderer, backend):
    options = {"sensors": SENSORS, "backend": backend, "device": "cuda"}
    renderer = make_renderer([worlds[0], worlds[3]], 6, replaceable_scenes=True, **options)
    for slot, number in ((0, 5), (1, 1), (0, 4)):
        upload = renderer.replace_scene(slot, renderer.prepare(worlds[number]))
        while not upload.advance(100_000):
            pass
        poses = views(worlds[number], 6, number).cuda()
        expected = make_renderer([worlds[number]], 6, **options).render(poses, torch.zeros_like(poses[:, 0]).long())
        images = renderer.render(poses, torch.full_like(poses[:, 0], slot).long())
        for name in SENSORS:
            assert torch.equal(images[name], expected[name]), (name, slot)


def test_two_uploads_at_once_share_textures_and_survive_growth(homes, worlds, make_renderer):
    # The second begins when the first has not written the textures that both show, makes the slots grow, and is
    # complete first.
    renderer = make_renderer([worlds[3], worlds[4]], 6, sensors=SENSORS, backend="raycast", replaceable_scenes=True)
    first = renderer.replace_scene(0, homes[0])
    assert not first.advance(20_000)
    second = renderer.replace_scene(1, worlds[5])
    while not second.advance(300_000):
        pass
    assert_shows(renderer, 1, worlds[5], make_renderer)
    while not first.advance(300_000):
        pass
    assert_shows(renderer, 0, homes[0], make_renderer)
    assert_shows(renderer, 1, worlds[5], make_renderer)


def painted_room(side, seed, count):
    """A room of 4 x 4 m whose walls show `count` random textures of `side` texels."""
    rng = np.random.default_rng(seed)
    corners = np.array([(-2, 0, -2), (2, 0, -2), (2, 0, 2), (-2, 0, 2), (-2, 3, -2), (2, 3, -2), (2, 3, 2), (-2, 3, 2)])
    faces = np.array([(0, 3, 2, 1), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)])
    triangles = corners[faces[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)].astype(float)
    uv = np.tile(np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], float).reshape(2, 3, 2), (5, 1, 1))
    textures = tuple(rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(count))
    materials = tuple(Material(str(k), texture=k) for k in range(count))
    mesh = Mesh(triangles, uv, np.arange(10) % count, np.arange(10) + 1, materials, textures)
    return bake(mesh, f"painted {seed}", num_goals=1)


def test_more_and_larger_textures_than_at_first(make_renderer):
    renderer = make_renderer(
        [painted_room(16, 3, 2)] * 2, 6, sensors=("rgb",), backend="raycast", replaceable_scenes=True
    )
    rooms = [painted_room(32, 0, 10), painted_room(128, 1, 9), painted_room(128, 2, 10)]
    for turn, slot in enumerate((0, 1, 0, 0, 1)):
        room = rooms[0] if turn == 0 else rooms[1 + turn % 2]
        assert renderer.replace_scene(slot, room).advance(1 << 30)
        assert_shows(renderer, slot, room, make_renderer, turn)
    assert renderer._rig.scenes.textures.array.layers <= 100


def test_textures_nobody_shows_make_room(make_renderer):
    rooms = [painted_room(16, seed, 7) for seed in range(9)]
    renderer = make_renderer(rooms[:2], 6, sensors=("rgb",), backend="raycast", replaceable_scenes=True)
    layers = renderer._rig.scenes.textures.array.layers
    for turn, room in enumerate(rooms * 2):
        assert renderer.replace_scene(turn % 2, room).advance(1 << 30)
        assert_shows(renderer, turn % 2, room, make_renderer, turn)
    assert renderer._rig.scenes.textures.array.layers == layers


def test_more_textures_than_the_driver_has_layers():
    context = SimpleNamespace(
        info={"GL_MAX_ARRAY_TEXTURE_LAYERS": 4, "GL_RENDERER": "small"}, compute_shader=lambda _: None
    )
    images = [np.zeros((8, 8, 3), np.uint8) for _ in range(5)]
    with pytest.raises(RenderError, match=r"5 textures; small allows 4 at once.*fewer scenes"):
        TexturePool(context, images, replaceable=False)


def test_scenes_are_prepared_in_other_threads(homes, make_renderer):
    renderer = make_renderer(homes[:1], 6, sensors=SENSORS, backend="raster", replaceable_scenes=True)
    with ThreadPoolExecutor(2) as pool:
        prepared = list(pool.map(renderer.prepare, homes))
    for world, ready in zip(homes, prepared, strict=True):
        assert renderer.replace_scene(0, ready).advance(1 << 30)
        assert_shows(renderer, 0, world, make_renderer)


def test_fixed_scenes_take_no_more_than_they_need(homes, make_renderer):
    renderer = make_renderer(homes, 2, sensors=SENSORS, backend="raycast")
    triangles = sum(len(scene.triangles) for scene in homes)
    assert renderer._rig.scenes.buffers["triangles"].size == 48 * triangles
    assert renderer._rig.scenes.buffers["nodes"].size == 48 * (1 + sum(len(scene.bvh.nodes) for scene in homes))


def test_what_cannot_be_replaced(homes, make_renderer):
    fixed = make_renderer(homes[:1], 1, backend="raycast")
    with pytest.raises(OptionError, match="replaceable_scenes=True"):
        fixed.replace_scene(0, homes[1])
    renderer = make_renderer(homes[:1], 1, backend="raycast", replaceable_scenes=True)
    for slot in (-1, 1):
        with pytest.raises(OptionError, match=r"slot=.*expected 0 to 0"):
            renderer.replace_scene(slot, homes[1])
    other = make_renderer(homes[:1], 1, backend="raster", replaceable_scenes=True)
    with pytest.raises(OptionError, match="other sensors or another backend"):
        renderer.replace_scene(0, other.prepare(homes[1]))
    given_up, pending = renderer.replace_scene(0, homes[1]), renderer.replace_scene(0, homes[2])
    with pytest.raises(RenderError, match="given up"):
        given_up.advance(1)
    renderer.close()
    with pytest.raises(RenderError, match="given up"):
        pending.advance(1)
    with pytest.raises(RenderError, match="closed"):
        renderer.replace_scene(0, homes[1])


def test_growth_beyond_the_driver_says_how_many_would_fit(homes, worlds, make_renderer, monkeypatch):
    largest = len(worlds[5].triangles)
    monkeypatch.setattr(
        "batchsim.render.scene_data.scene_buffers.storage_limit", lambda _: 48 * (2 * largest + 4 * ROUND)
    )
    renderer = make_renderer(homes[:3], 6, backend="raycast", replaceable_scenes=True)
    with pytest.raises(RenderError, match=r"2 such scenes fit at once.*num_resident_scenes=2"):
        renderer.replace_scene(0, worlds[5])
    assert_shows(renderer, 1, homes[1], make_renderer)


def test_slots_have_room_to_spare_as_far_as_limits_go():
    counts = [{"triangle": n} for n in (100, 10_000, 3_000)]
    assert SlotLayout(counts, {"triangle": 10**9}, replaceable=True).capacity["triangle"].tolist() == [15 * ROUND] * 3
    tight = SlotLayout(counts, {"triangle": 33 * ROUND}, replaceable=True)
    assert tight.capacity["triangle"].tolist() == [11 * ROUND] * 3
    assert tight.start["triangle"].tolist() == [0, 11 * ROUND, 22 * ROUND]
    packed = SlotLayout(counts, {"triangle": 13_100}, replaceable=False)
    assert packed.start["triangle"].tolist() == [0, 100, 10_100]
    assert packed.total == {"triangle": 13_100}
    with pytest.raises(DoesNotFit) as error:
        SlotLayout(counts, {"triangle": 29 * ROUND}, replaceable=True)
    assert error.value.fitting == 2
