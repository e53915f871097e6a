"""Images of many views against Embree, against each other, and against worked numbers."""

import math
from types import SimpleNamespace

import moderngl
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim import BatchRenderer, OptionError, RenderError, poses
from batchsim.render import backend_autotune
from batchsim.render.batch_renderer import BACKENDS
from batchsim.render.camera import Camera
from batchsim.scenes import LABELS
from tests.helpers.embree_oracle import embree_depth, share_within

EYE = 1.25
ALL_BACKENDS = [name for name in BACKENDS if name != "auto"]


def eye_poses(scenes, count, seed, tilted=False):
    """Poses `[count, 7]` of eyes above random walkable points, and scene numbers `[count]`."""
    rng = np.random.default_rng(seed)
    index = np.arange(count) % len(scenes)
    points = np.stack([scenes[k].sample_navigable(1, rng)[0] for k in index])
    headings = torch.tensor(rng.uniform(-math.pi, math.pi, count), dtype=torch.float32)
    rotations = Rotation.from_quat(poses.heading_to_quaternion(headings).numpy())
    if tilted:  # pitch, then roll, about the camera's own axes
        rotations = rotations * Rotation.from_euler("XZ", rng.uniform(-1.2, 1.2, (count, 2)))
    eyes = np.concatenate([points + np.array([0, EYE, 0]), rotations.as_quat()], 1)
    return torch.tensor(eyes, dtype=torch.float32), torch.tensor(index)


def at(*position, heading=0.0):
    return torch.cat([torch.tensor(position), poses.heading_to_quaternion(torch.tensor(heading))])[None]


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize("tilted", [False, True], ids=["level", "pitch and roll"])
def test_depth_agrees_with_embree(homes, make_renderer, backend, tilted):
    where, index = eye_poses(homes, 64, 0, tilted)
    depth = make_renderer(homes, 64, backend=backend).render(where, index)["depth"]
    assert depth.shape == (64, 64, 64, 1)
    assert depth.dtype == torch.float32
    expected = embree_depth(homes, where, index, 64, 64, 90.0)
    assert share_within(depth, expected, 0.01) >= 0.9995
    assert share_within(depth, expected, 0.001) >= 0.998


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize(
    ("width", "height", "hfov", "count"),
    [
        (1, 1, 90.0, 1),
        (1, 1, 60.0, 7),
        (300, 200, 75.0, 2),
        (33, 65, 120.0, 7),
        (64, 64, 90.0, 300),
        (128, 16, 90.0, 9),
    ],
)
def test_sizes_and_numbers_of_views(homes, make_renderer, backend, width, height, hfov, count):
    where, index = eye_poses(homes, count, 1)
    renderer = make_renderer(homes, count, width=width, height=height, hfov=hfov, backend=backend)
    depth = renderer.render(where, index)["depth"]
    assert depth.shape == (count, height, width, 1)
    assert share_within(depth, embree_depth(homes, where, index, width, height, hfov), 0.01) >= 0.999


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_several_scenes_at_once_equal_one_renderer_each(homes, one_room, make_renderer, backend):
    scenes = [homes[0], one_room, homes[2]]
    where, index = eye_poses(scenes, 30, 2)
    together = make_renderer(scenes, 30, backend=backend).render(where, index)["depth"]
    for k, scene in enumerate(scenes):
        mine = index == k
        alone = make_renderer([scene], 30, backend=backend).render(where[mine], torch.zeros(10, dtype=torch.int64))
        assert share_within(together[mine].numpy(), alone["depth"].numpy(), 1e-3) >= 0.9995


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_fewer_views_than_the_renderer_holds(homes, make_renderer, backend):
    where, index = eye_poses(homes, 12, 3)
    renderer = make_renderer(homes, 12, backend=backend)
    whole = renderer.render(where, index)["depth"].clone()
    for count in (1, 5, 12):
        assert torch.equal(renderer.render(where[:count], index[:count])["depth"], whole[:count])
    moved = renderer.render(where.flip(0), index.flip(0))["depth"]
    assert share_within(moved.flip(0).numpy(), whole.numpy(), 1e-3) >= 0.999


def test_more_views_than_one_framebuffer_holds(one_room, make_renderer, monkeypatch):
    monkeypatch.setattr("batchsim.render.raster._MAX_SIDE", 64)  # 4 x 4 views of 16 x 16 a pass
    where, index = eye_poses([one_room], 37, 4)
    depth = make_renderer([one_room], 37, width=16, height=16, backend="raster").render(where, index)["depth"]
    assert share_within(depth, embree_depth([one_room], where, index, 16, 16, 90.0), 0.01) == 1


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_worked_numbers_in_the_empty_room(one_room, make_renderer, backend):
    renderer = make_renderer([one_room], 4, width=5, height=5, backend=backend)
    where = torch.cat([at(0.0, 1.25, 0.0), at(2.0, 1.25, 0.0, heading=math.pi / 2), at(0.0, 1.25, 4.0)])
    depth = renderer.render(where, torch.zeros(3, dtype=torch.int64))["depth"][..., 0]
    # The walls are 5 m from the middle; depth is measured along the axis, so all of a wall ahead is at one depth.
    assert torch.allclose(depth[0, 2], torch.full((5,), 5.0), atol=1e-3)
    # 7 m ahead only in the middle: the side walls, 5 m away, come first at a slope of 0.8.
    assert torch.allclose(depth[1, 2], torch.tensor([6.25, 7.0, 7.0, 7.0, 6.25]), atol=1e-3)
    # Top and bottom rows look up and down at a slope of 0.8: the ceiling 1.49 m above, the floor 1.25 m below.
    assert torch.allclose(depth[2, 0], torch.full((5,), (2.74 - 1.25) / 0.8), atol=1e-3)
    assert torch.allclose(depth[2, 4], torch.full((5,), 1.25 / 0.8), atol=1e-3)
    assert torch.allclose(depth[2, 2], torch.tensor([6.25, 9.0, 9.0, 9.0, 6.25]), atol=1e-3)


def test_all_sensors_at_once(one_room, make_renderer):
    renderer = make_renderer([one_room], 4, width=32, height=24, sensors=("semantic", "rgb", "depth"))
    where = torch.cat([at(0.0, 1.25, 4.0), at(0.0, 50.0, 0.0)])
    images = renderer.render(where, torch.zeros(2, dtype=torch.int64))
    shapes = {"semantic": (1, torch.int32), "rgb": (3, torch.uint8), "depth": (1, torch.float32)}
    assert {name: (image.shape[-1], image.dtype) for name, image in images.items()} == shapes
    assert all(image.shape[:3] == (2, 24, 32) for image in images.values())
    labels = [LABELS[k] for k in images["semantic"][0, [0, 12, 23], 16, 0]]
    assert labels == ["ceiling", "wall", "floor"]
    assert (images["rgb"][0].float().mean((0, 1)) > 20).all()
    assert not any(image[1].any() for image in images.values())


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_nothing_in_sight_is_zero(one_room, make_renderer, backend):
    renderer = make_renderer([one_room], 2, backend=backend)
    away = torch.cat([at(0.0, 50.0, 0.0), at(0.0, 1.25, -20.0)])
    assert not renderer.render(away, torch.zeros(2, dtype=torch.int64))["depth"].any()


def test_no_views_at_all(one_room, make_renderer):
    images = make_renderer([one_room], 2).render(torch.zeros(0, 7), torch.zeros(0, dtype=torch.int64))
    assert images["depth"].shape == (0, 64, 64, 1)


def test_two_renderers_in_one_process(homes, one_room, make_renderer):
    where, index = eye_poses(homes, 8, 5)
    first, second = make_renderer(homes, 8), make_renderer([one_room], 3, width=32, height=48)
    before = first.render(where, index)["depth"].clone()
    second.render(where[:3], torch.zeros(3, dtype=torch.int64))
    assert torch.equal(first.render(where, index)["depth"], before)
    second.close()
    assert torch.equal(first.render(where, index)["depth"], before)


def test_closing_twice_is_harmless(one_room):
    renderer = BatchRenderer([one_room], 1)
    assert renderer.gl_renderer
    renderer.close()
    renderer.close()


@pytest.mark.parametrize("fastest", ALL_BACKENDS)
def test_auto_takes_what_it_says(one_room, make_renderer, monkeypatch, fastest):
    timed = BatchRenderer._fastest

    def chosen(self, scenes):
        assert timed(self, scenes) in ALL_BACKENDS
        return fastest

    monkeypatch.setattr(BatchRenderer, "_fastest", chosen)
    renderer = make_renderer([one_room], 2)
    assert renderer.backend == fastest
    depth = renderer.render(at(0.0, 1.25, 0.0), torch.zeros(1, dtype=torch.int64))["depth"]
    assert float(depth[0, 32, 32, 0]) == pytest.approx(5, abs=1e-3)


def test_other_contexts_keep_what_is_theirs(one_room, make_renderer):
    mine = moderngl.create_context(standalone=True, backend="egl")
    with mine:
        buffer = mine.buffer(b"mine")
    make_renderer([one_room], 1).render(at(0.0, 1.25, 0.0), torch.zeros(1, dtype=torch.int64))
    with mine:
        assert buffer.read() == b"mine"
        assert mine.error == "GL_NO_ERROR"
        buffer.release()
    mine.release()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_views": 0}, "num_views=0"),
        ({"scenes": []}, "at least one"),
        ({"sensors": ("lidar",)}, "lidar.*expected some of depth"),
        ({"sensors": ("depth", "depth")}, "each once"),
        ({"sensors": ()}, "expected some of depth"),
        ({"backend": "vulkan"}, "^backend=.vulkan.: expected one of auto"),
        ({"width": 0}, "width=0.*whole number of pixels"),
        ({"height": 5000}, "height=5000.*4096"),
        ({"hfov": 180.0}, "hfov=180.*degrees from 1 to 170"),
    ],
)
def test_options_that_cannot_be_used(one_room, change, message):
    with pytest.raises(OptionError, match=message):
        BatchRenderer(**{"scenes": [one_room], "num_views": 1, **change})


@pytest.mark.parametrize("shapes", [((3, 7), (3,)), ((2, 7), (1,)), ((2, 6), (2,)), ((7,), (1,))])
def test_poses_that_do_not_fit(one_room, make_renderer, shapes):
    with pytest.raises(OptionError, match="num_views = 2"):
        make_renderer([one_room], 2).render(torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.int64))


def test_missing_egl_names_the_packages(one_room, monkeypatch):
    def fail(**_):
        raise Exception("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(RenderError, match=r"libEGL.so.1.*apt-get install libegl1"):
        BatchRenderer([one_room], 1)


def test_old_opengl_is_refused_and_given_back(one_room, monkeypatch):
    released = []
    old = SimpleNamespace(version_code=330, release=lambda: released.append(True))
    monkeypatch.setattr(moderngl, "create_context", lambda **_: old)
    with pytest.raises(RenderError, match=r"OpenGL 3.3 is too old.*4.3"):
        BatchRenderer([one_room], 1)
    assert released


def test_a_closed_renderer_says_so(one_room) -> None:
    renderer = BatchRenderer([one_room], 2, 8, 8, device="cpu")
    renderer.close()
    renderer.close()
    with pytest.raises(RenderError, match="closed"):
        renderer.render(torch.zeros(1, 7), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("backend", ALL_BACKENDS)
def test_a_view_does_not_depend_on_how_many_there_are(homes, make_renderer, backend):
    where, index = eye_poses(homes, 300, 6, tilted=True)
    many = make_renderer(homes, 300, sensors=("depth", "rgb"), backend=backend).render(where, index)
    for count in (1, 8, 32):
        few = make_renderer(homes, count, sensors=("depth", "rgb"), backend=backend).render(
            where[:count], index[:count]
        )
        assert all(torch.equal(few[name], many[name][:count]) for name in few)


def beside_walls(scene, count, seed):
    """Poses `[count, 7]` of eyes 0.12 m from walls of the empty room, turned anywhere."""
    rng = np.random.default_rng(seed)
    eyes = rng.uniform(-4.88, 4.88, (count, 3))
    eyes[np.arange(count), rng.choice([0, 2], count)] = rng.choice([-4.88, 4.88], count)
    eyes[:, 1] = EYE
    turns = Rotation.from_euler("Y", rng.uniform(-np.pi, np.pi, (count, 1)))
    return torch.tensor(np.concatenate([eyes, turns.as_quat()], 1), dtype=torch.float32)


@pytest.mark.parametrize("backend", ALL_BACKENDS)
@pytest.mark.parametrize(
    ("width", "height", "hfov"), [(64, 64, 90.0), (64, 64, 170.0), (1, 11, 90.0), (3, 33, 90.0), (200, 3, 170.0)]
)
def test_the_near_plane_cuts_nothing_that_a_body_sees(one_room, make_renderer, backend, width, height, hfov):
    """Against rays that start in the eye: with a wide field of view a wall beside it has a small depth."""
    where, index = beside_walls(one_room, 24, 7), torch.zeros(24, dtype=torch.int64)
    depth = make_renderer([one_room], 24, width, height, hfov, backend=backend).render(where, index)["depth"]
    expected = embree_depth([one_room], where, index, width, height, hfov, near=0.0)
    error = np.abs(depth.numpy().reshape(expected.shape) - expected)
    assert (error <= np.maximum(0.01, 0.002 * expected)).mean() >= 0.998


@pytest.mark.parametrize(("width", "height", "hfov"), [(1, 64, 90.0), (3, 200, 170.0), (8, 9, 170.0)])
def test_too_high_a_field_of_view_is_refused(width, height, hfov):
    with pytest.raises(OptionError, match=r"vertical field of view of 17\d\.\d degrees: expected at most 170"):
        Camera(width, height, hfov)


def test_gpus_with_few_rasterisers_cast_rays_without_a_measurement(one_room, make_renderer, monkeypatch, caplog):
    monkeypatch.setattr(BatchRenderer, "gl_renderer", "NVIDIA H200/PCIe/SSE2")
    monkeypatch.setattr(backend_autotune, "seconds_per_view", None)
    caplog.set_level("INFO", "batchsim.render")
    assert make_renderer([one_room], 2).backend == "raycast"
    assert "uses raycast on NVIDIA H200" in caplog.text
