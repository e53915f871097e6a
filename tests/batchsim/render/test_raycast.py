"""The ray casting backend against Embree, an independent ray tracer, and against worked numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from batchsim.errors import OptionError, RenderError
from batchsim.render.camera import NEAR, Camera
from batchsim.render.opengl.context import activated, create_context, release_context
from batchsim.render.raycast import Patches, RaycastBackend
from batchsim.render.scene_data.gpu_arrays import SceneParts, prepare_scene
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.scenes.baking.bvh import build_bvh
from batchsim.scenes.homes import generate_home
from batchsim.scenes.mesh import Material, Mesh
from tests.helpers.paths import SHARED_SCENES

ALL_PATCHES = [Patches(1, 1), Patches(2, 2), Patches(4, 4), Patches(4, 4, 12), Patches(4, 2, 8)]


@pytest.fixture(scope="module")
def module_context():
    context = create_context()
    with activated(context):
        yield context
    release_context(context)


@pytest.fixture
def context(module_context):
    assert module_context.error == "GL_NO_ERROR"
    yield module_context
    assert module_context.error == "GL_NO_ERROR"


def bare_scene(mesh):
    """What the renderer needs of a Scene, without the walkable surface."""
    bvh = build_bvh(mesh.triangles)
    o = bvh.order
    return SimpleNamespace(
        triangles=mesh.triangles[o],
        uvs=mesh.uvs[o],
        materials=mesh.materials[o],
        labels=mesh.labels[o],
        material_table=mesh.material_table,
        textures=mesh.textures,
        bvh=bvh,
    )


def view_records(positions, rotations, scene_index):
    views = np.zeros((len(positions), 8), np.float32)
    views[:, :3] = positions
    views[:, 3] = np.asarray(scene_index, np.int32).view(np.float32)
    views[:, 4:] = rotations
    return views


def random_rotations(count, rng, upright=False):
    if upright:
        heading = rng.uniform(0, 2 * np.pi, count)
        zero = np.zeros(count)
        return np.stack([zero, np.sin(heading / 2), zero, np.cos(heading / 2)], 1)
    q = rng.normal(size=(count, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def draw(context, scenes, views, camera, sensors=("depth",), patches=None):
    """Images of `views` by name, read back as numpy arrays."""
    n, pixels = len(views), len(views) * camera.height * camera.width
    views_buffer = context.buffer(views.astype(np.float32).tobytes())
    sizes = {"depth": 4 * pixels, "semantic": 4 * pixels, "rgb": 12 * -(-pixels // 4)}
    outputs = {name: context.buffer(b"\xaa" * sizes[name]) for name in sensors}
    parts = SceneParts(tree=True, labels="semantic" in sensors, colours="rgb" in sensors)
    buffers = SceneBuffers(context, [prepare_scene(scene, parts) for scene in scenes])
    backend = RaycastBackend(context, buffers, n, camera, views_buffer, outputs, patches)
    backend.render(n)
    dtypes = {"depth": np.float32, "semantic": np.int32, "rgb": np.uint8}
    shape = (n, camera.height, camera.width)
    images = {}
    for name, buffer in outputs.items():
        flat = np.frombuffer(buffer.read(), dtypes[name])
        images[name] = flat[: 3 * pixels].reshape(*shape, 3) if name == "rgb" else flat.reshape(shape)
        buffer.release()
    backend.release()
    buffers.release()
    views_buffer.release()
    return images


def depth_buffers(context, scenes):
    """`scenes` as depth alone needs them."""
    return SceneBuffers(context, [prepare_scene(scene, SceneParts(tree=True)) for scene in scenes])


def rays(view, camera):
    """Directions of all pixels `[H * W, 3]`, of length 1 along the camera's axis, float64."""
    x, y, z, w = view[4:].astype(np.float64)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    across = ((np.arange(camera.width) + 0.5) / camera.width * 2 - 1) * np.tan(np.radians(camera.hfov) / 2)
    down = ((np.arange(camera.height) + 0.5) / camera.height * 2 - 1) * (
        np.tan(np.radians(camera.hfov) / 2) * camera.height / camera.width
    )
    right, below = np.meshgrid(across, down)
    return np.stack([right, -below, -np.ones_like(right)], -1).reshape(-1, 3) @ rotation.T


def embree(scenes, views, camera):
    """Depth and label images by Embree."""
    depth = np.zeros((len(views), camera.height, camera.width))
    label = np.zeros(depth.shape, int)
    worlds = []
    for scene in scenes:
        worlds.append(EmbreeScene())
        if len(scene.triangles):
            TriangleMesh(worlds[-1], scene.triangles.astype(np.float32))
    for k, view in enumerate(views):
        index = int(view[3:4].view(np.int32)[0])
        directions = rays(view, camera).astype(np.float32)
        # start on the near plane, as the renderer does
        origins = (view[:3] + camera.near * directions).astype(np.float32)
        hit = worlds[index].run(origins, directions, output=True)
        found = hit["primID"] >= 0
        depth[k].reshape(-1)[found] = hit["tfar"][found] + camera.near
        label[k].reshape(-1)[found] = scenes[index].labels[hit["primID"][found]]
    return depth, label


def assert_agree(images, scenes, views, camera):
    depth, label = embree(scenes, views, camera)
    error = np.abs(images["depth"] - depth)
    assert (error <= np.maximum(0.01, 0.001 * depth)).mean() >= 0.995
    if "semantic" in images:
        assert (images["semantic"] == label).mean() >= 0.99


def soup(count, rng, spread=5.0, size=0.4):
    triangles = rng.uniform(-spread, spread, (count, 1, 3)) + rng.normal(0, size, (count, 3, 3))
    mesh = Mesh.from_triangles(triangles)
    return Mesh(mesh.triangles, mesh.uvs, mesh.materials, rng.integers(1, 1000, count))


def box(low, high, label=1):
    """Twelve triangles."""
    corners = trimesh.creation.box(bounds=[low, high]).triangles
    return Mesh.from_triangles(np.asarray(corners), label)


def boxes_room(rng):
    """A closed room of 8 x 3 x 6 m with boxes in it."""
    parts = [box((-4, 0, -3), (4, 3, 3))]
    for k in range(30):
        low = rng.uniform((-3.8, 0, -2.8), (3.2, 2, 2.2))
        parts.append(box(low, low + rng.uniform(0.1, 0.6, 3), 2 + k))
    return Mesh.concatenate(parts)


@pytest.mark.parametrize("patches", ALL_PATCHES, ids=str)
def test_random_soups(context, patches):
    rng = np.random.default_rng(0)
    scenes = [bare_scene(soup(count, rng)) for count in (3, 100, 2500)]
    views = view_records(rng.uniform(-4, 4, (9, 3)), random_rotations(9, rng), np.arange(9) % 3)
    camera = Camera(48, 40, 75.0)
    assert_agree(draw(context, scenes, views, camera, ("depth", "semantic"), patches), scenes, views, camera)


@pytest.mark.parametrize("patches", ALL_PATCHES, ids=str)
def test_a_closed_room_has_no_pin_holes(context, patches):
    rng = np.random.default_rng(1)
    scenes = [bare_scene(boxes_room(rng))]
    views = view_records(rng.uniform((-3.5, 0.5, -2.5), (3.5, 2.5, 2.5), (24, 3)), random_rotations(24, rng), [0] * 24)
    # exact multiples of a right angle: rays along axes, in the planes of faces and through the diagonals of squares
    views[:4, 4:] = [(0, 0, 0, 1), (0, np.sqrt(0.5), 0, np.sqrt(0.5)), (0, 1, 0, 0), (np.sqrt(0.5), 0, 0, np.sqrt(0.5))]
    views[:4, :3] = (0, 1.5, 0)
    camera = Camera(65, 65)
    images = draw(context, scenes, views, camera, ("depth", "semantic"), patches)
    assert (images["depth"] > 0).all()
    assert_agree(images, scenes, views, camera)


def test_finely_cut_sphere_has_no_pin_holes(context):
    sphere = trimesh.creation.icosphere(5, 3.0)
    scenes = [bare_scene(Mesh.from_triangles(sphere.triangles))]
    rng = np.random.default_rng(2)
    views = view_records(rng.uniform(-1, 1, (8, 3)), random_rotations(8, rng), [0] * 8)
    for patches in (Patches(1, 1), Patches(4, 4, 20)):
        assert (draw(context, scenes, views, Camera(128, 128), patches=patches)["depth"] > 0).all()


@pytest.mark.parametrize("name", ["nav_test.obj", "dungeon.obj"])
@pytest.mark.parametrize("patches", [Patches(1, 1), Patches(4, 4, 32)], ids=str)
def test_real_meshes(context, name, patches):
    path = SHARED_SCENES / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    mesh = trimesh.load(path, force="mesh")
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 99, len(mesh.triangles))
    plain = Mesh.from_triangles(mesh.triangles)
    scenes = [bare_scene(Mesh(plain.triangles, plain.uvs, plain.materials, labels))]
    positions = rng.uniform(*mesh.bounds, (12, 3))
    views = view_records(positions, random_rotations(12, rng, upright=True), [0] * 12)
    camera = Camera(64, 64)
    assert_agree(draw(context, scenes, views, camera, ("depth", "semantic"), patches), scenes, views, camera)


@pytest.mark.parametrize("detail", ["low", "medium"])
def test_generated_homes(context, detail):
    scenes = [bare_scene(generate_home(seed, detail).mesh) for seed in (0, 1)]
    rng = np.random.default_rng(4)
    positions, index = [], np.arange(12) % 2
    for k in index:
        low, high = scenes[k].triangles.reshape(-1, 3).min(0), scenes[k].triangles.reshape(-1, 3).max(0)
        positions.append(rng.uniform((low[0], 1.0, low[2]), (high[0], 1.5, high[2])))
    views = view_records(np.array(positions), random_rotations(12, rng, upright=True), index)
    camera = Camera(64, 64)
    for patches in (Patches(1, 1), Patches(4, 4, 32)):
        assert_agree(draw(context, scenes, views, camera, ("depth", "semantic"), patches), scenes, views, camera)


@pytest.mark.parametrize(
    ("width", "height", "count"), [(1, 1, 1), (1, 1, 7), (300, 200, 1), (33, 5, 7), (5, 33, 7), (64, 64, 100)]
)
def test_image_sizes_and_numbers_of_views(context, width, height, count):
    rng = np.random.default_rng(5)
    scenes = [bare_scene(soup(400, rng))]
    views = view_records(rng.uniform(-3, 3, (count, 3)), random_rotations(count, rng), [0] * count)
    camera = Camera(width, height, 100.0)
    sensors = ("depth", "semantic", "rgb")
    one = draw(context, scenes, views, camera, sensors, Patches(1, 1))
    many = draw(context, scenes, views, camera, sensors, Patches(4, 4, 16))
    assert one["depth"].shape == (count, height, width)
    if count * width * height > 100:
        assert_agree(one, scenes, views, camera)
    assert np.allclose(one["depth"], many["depth"], rtol=1e-4)
    assert (one["semantic"] == many["semantic"]).mean() > 0.999
    assert (np.abs(one["rgb"].astype(int) - many["rgb"]) <= 1).mean() > 0.999


def test_more_patches_than_one_dispatch_may_list(context, monkeypatch):
    monkeypatch.setattr("batchsim.render.raycast._MAX_GROUPS", 100)  # 400 patches: 1 view of 64 x 64 a pass
    rng = np.random.default_rng(6)
    scenes = [bare_scene(soup(600, rng))]
    views = view_records(rng.uniform(-3, 3, (5, 3)), random_rotations(5, rng), [0] * 5)
    images = draw(context, scenes, views, Camera(), ("depth", "semantic"), Patches(4, 4, 4))
    assert_agree(images, scenes, views, Camera())


def test_one_triangle_in_front_of_the_camera(context):
    triangle = np.array([[[-1, -1, -2], [1, -1, -2], [0, 1, -2]]])
    scenes = [bare_scene(Mesh.from_triangles(triangle, 7))]
    views = view_records([(0, 0, 0), (0, 0, -4)], [(0, 0, 0, 1)] * 2, [0, 0])
    images = draw(context, scenes, views, Camera(4, 4), ("depth", "semantic", "rgb"))
    # 90 degrees: at depth 2 the pixels of a 4 x 4 image lie at +-0.5 and +-1.5 metres
    expected = np.zeros((4, 4))
    expected[2, 1] = expected[2, 2] = 2.0
    # the middle upper pair at y = 0.5 is 0.25 m wide on either side: its pixels at x = +-0.5 miss
    assert np.allclose(images["depth"][0], expected)
    assert (images["semantic"][0] == np.where(expected > 0, 7, 0)).all()
    assert (images["rgb"][0].min(-1) > 0).tolist() == (expected > 0).tolist()
    assert not images["depth"][1].any()
    assert not images["rgb"][1].any()


def test_a_tilted_camera_measures_depth_along_its_axis(context):
    wall = np.array([[[-50, -50, -5], [50, -50, -5], [0, 90, -5]]])
    scenes = [bare_scene(Mesh.from_triangles(wall))]
    half = np.radians(30) / 2
    views = view_records([(0, 0, 0)], [(0, np.sin(half), 0, np.cos(half))], [0])  # turned left by 30 degrees
    depth = draw(context, scenes, views, Camera(5, 5, 60.0))["depth"][0]
    x = np.array([-0.8, -0.4, 0, 0.4, 0.8]) * np.tan(np.radians(30))
    expected = 5 / (np.cos(np.radians(30)) + x[::-1] * np.sin(np.radians(30)))[::-1]
    assert np.allclose(depth, np.tile(5 / (np.cos(np.radians(30)) + x * np.sin(np.radians(30))), (5, 1)), rtol=1e-5)
    assert np.allclose(depth[0], expected, rtol=1e-5)
    assert depth[2, 0] > depth[2, 4]  # its left side looks farther along the wall


def test_degenerate_triangles_are_harmless(context):
    rng = np.random.default_rng(7)
    points = np.repeat(rng.uniform(-3, 3, (50, 1, 3)), 3, 1)
    lines = rng.uniform(-3, 3, (50, 3, 3))
    lines[:, 2] = (lines[:, 0] + lines[:, 1]) / 2
    whole = boxes_room(rng)
    scenes = [bare_scene(Mesh.concatenate([whole, Mesh.from_triangles(np.concatenate([points, lines]), 9)]))]
    clean = [bare_scene(whole)]
    views = view_records(rng.uniform((-3, 0.5, -2), (3, 2.5, 2), (6, 3)), random_rotations(6, rng), [0] * 6)
    for patches in (Patches(1, 1), Patches(4, 4, 16)):
        images = draw(context, scenes, views, Camera(), ("depth", "rgb"), patches)
        assert (images["depth"] > 0).all()
        expected = draw(context, clean, views, Camera(), ("depth",), patches)["depth"]
        # a triangle of no area may still show along its line where rounding gives it some
        assert (np.abs(images["depth"] - expected) < 0.01).mean() > 0.999


def test_camera_on_and_inside_geometry(context):
    scenes = [bare_scene(box((-1, -1, -1), (1, 1, 1), 3))]
    # inside; in the plane of a face; on an edge; nearer to a wall than the near plane
    positions = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, -1 + NEAR / 2)]
    views = view_records(positions, [(0, 0, 0, 1)] * 4, [0] * 4)
    images = draw(context, scenes, views, Camera(33, 33), ("depth", "semantic"))
    assert np.isfinite(images["depth"]).all()
    assert np.allclose(images["depth"][0], 1.0, atol=1e-5)
    assert not images["depth"][3, 16, 16]  # the wall is cut away, and behind it there is nothing


def test_a_scene_without_triangles_is_empty(context):
    nothing = Mesh.from_triangles(np.zeros((0, 3, 3)))
    scenes = [bare_scene(nothing), bare_scene(box((-1, -1, -1), (1, 1, 1)))]
    views = view_records([(0, 0, 0)] * 2, [(0, 0, 0, 1)] * 2, [0, 1])
    images = draw(context, scenes, views, Camera(16, 16), ("depth", "semantic", "rgb"))
    assert not images["depth"][0].any()
    assert not images["semantic"][0].any()
    assert not images["rgb"][0].any()
    assert (images["depth"][1] > 0).all()
    assert not draw(context, scenes[:1], views[:1], Camera(16, 16))["depth"].any()


def test_huge_scene_far_from_the_origin(context):
    rng = np.random.default_rng(8)
    mesh = Mesh.concatenate([boxes_room(rng), box((-5000, -5000, -5000), (5000, 5000, 5000), 99)])
    scenes = [bare_scene(replace(mesh, triangles=mesh.triangles + 1000.0))]
    views = view_records(1000.0 + rng.uniform((-3, 0.5, -2), (3, 2.5, 2), (6, 3)), random_rotations(6, rng), [0] * 6)
    images = draw(context, scenes, views, Camera(), ("depth", "semantic"))
    assert_agree(images, scenes, views, Camera())


def test_only_the_first_views_are_drawn(context):
    scenes = depth_buffers(context, [bare_scene(box((-1, -1, -1), (1, 1, 1)))])
    views = context.buffer(view_records([(0, 0, 0)] * 3, [(0, 0, 0, 1)] * 3, [0] * 3).tobytes())
    depth = context.buffer(np.full(3 * 64, -1, np.float32).tobytes())
    backend = RaycastBackend(context, scenes, 3, Camera(8, 8), views, {"depth": depth})
    backend.render(0)
    backend.render(2)
    drawn = np.frombuffer(depth.read(), np.float32).reshape(3, 64)
    assert (drawn[:2] > 0).all()
    assert (drawn[2] == -1).all()
    backend.release()
    scenes.release()


def textured_wall(texture, color=(1.0, 1.0, 1.0)):
    """A wall of 4 x 4 m at z = -2, textured once across."""
    corners = np.array([(-2, 2, -2), (-2, -2, -2), (2, -2, -2), (2, 2, -2)], float)
    uv = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], float)
    index = np.array([(0, 1, 2), (0, 2, 3)])
    materials = (Material("wall", color, 0),)
    return Mesh(corners[index], uv[index], np.zeros(2), np.ones(2), materials, (texture,))


def test_textures_lie_the_right_way_up(context):
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32], texture[:32, 32:], texture[32:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    scenes = [bare_scene(textured_wall(texture))]
    views = view_records([(0, 0, 0)], [(0, 0, 0, 1)], [0])
    rgb = draw(context, scenes, views, Camera(16, 16), ("rgb",))["rgb"][0].astype(int)
    for (row, column), channel in {(3, 3): 0, (3, 12): 1, (12, 3): 2}.items():
        assert np.argmax(rgb[row, column]) == channel
        assert np.delete(rgb[row, column], channel).max() == 0
    assert rgb[12, 12].max() == 0


def test_base_color_multiplies_in_linear_light(context):
    white = np.full((4, 4, 3), 255, np.uint8)
    grey = np.full((4, 4, 3), 188, np.uint8)  # sRGB 188 is half of the light of 255
    views = view_records([(0, 0, 0)], [(0, 0, 0, 1)], [0])
    by_texture = draw(context, [bare_scene(textured_wall(grey))], views, Camera(9, 9), ("rgb",))["rgb"]
    by_color = draw(context, [bare_scene(textured_wall(white, (0.5, 0.5, 0.5)))], views, Camera(9, 9), ("rgb",))["rgb"]
    assert (np.abs(by_texture.astype(int) - by_color) <= 1).all()
    # straight ahead the wall faces the camera: light 0.45 of the sky and 0.35 of the lamp
    linear = 0.5 * 0.8
    expected = round(255 * (1.055 * linear ** (1 / 2.4) - 0.055))
    assert abs(int(by_color[0, 4, 4, 0]) - expected) <= 1


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.7, 1.0])
def test_each_of_two_mip_levels_is_shown_as_often_as_it_weighs(context, fraction):
    # Level 0 is a checker, level 1 its mean: 188 of 255, which is half as bright as white.
    checker = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, -1)
    distance = 2 * 2**fraction  # at 2 m a pixel is as wide as a texel
    views = view_records([(0.013, 0.007, distance - 2)], [(0, 0, 0, 1)], [0])
    walls = [
        draw(context, [bare_scene(textured_wall(texture))], views, Camera(64, 64), ("rgb", "depth"))
        for texture in (checker, np.full((64, 64, 3), 188, np.uint8))
    ]
    wall = walls[1]["depth"] > 0
    same = np.abs(walls[0]["rgb"].astype(int) - walls[1]["rgb"]).max(-1)[wall] <= 2
    assert wall.sum() > 900
    assert abs(same.mean() - fraction) < 0.05


def test_far_textures_are_averaged_and_not_aliased(context):
    checker = ((np.indices((256, 256)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, -1)
    views = view_records([(0.013, 0.007, 18)], [(0, 0, 0, 1)], [0])  # 20 m away: 16 texels a pixel and more
    rgb = draw(context, [bare_scene(textured_wall(checker))], views, Camera(64, 64), ("rgb", "depth"))
    shown = rgb["rgb"][rgb["depth"] > 0].astype(int)
    assert len(shown) > 30
    assert np.ptp(shown) <= 4


def test_scenes_keep_their_own_materials(context):
    red, green = (textured_wall(np.full((2, 2, 3), c, np.uint8)) for c in ((255, 0, 0), (0, 255, 0)))
    plain = Mesh(red.triangles, red.uvs, red.materials, red.labels, (Material("blue", (0, 0, 1)),))
    scenes = [bare_scene(m) for m in (red, green, plain, red)]
    views = view_records([(0, 0, 0)] * 4, [(0, 0, 0, 1)] * 4, [0, 1, 2, 3])
    rgb = draw(context, scenes, views, Camera(8, 8), ("rgb",))["rgb"]
    assert np.argmax(rgb[:, 4, 4], -1).tolist() == [0, 1, 2, 0]


def test_too_much_for_one_buffer_is_explained(context, monkeypatch):
    scenes = [bare_scene(soup(1000, np.random.default_rng(0)))] * 3
    views = view_records([(0, 0, 0)], [(0, 0, 0, 1)], [0])
    monkeypatch.setattr("batchsim.render.scene_data.scene_buffers.storage_limit", lambda _: 2 * 48_000 + 48)
    with pytest.raises(RenderError, match=r"2 such scenes fit at once.*num_resident_scenes=2"):
        draw(context, scenes, views, Camera(16, 16))
    monkeypatch.setattr("batchsim.render.opengl.storage_buffers.storage_limit", lambda _: 10_000)
    with pytest.raises(RenderError, match="fewer views or smaller images"):
        draw(context, scenes[:2], views, Camera(64, 64))


def test_bad_options(context):
    scenes = depth_buffers(context, [bare_scene(box((-1, -1, -1), (1, 1, 1)))])
    views = view_records([(0, 0, 0)], [(0, 0, 0, 1)], [0])
    with pytest.raises(OptionError, match="expected some of depth"):
        RaycastBackend(
            context, scenes, 1, Camera(), context.buffer(views.tobytes()), {"lidar": context.buffer(b"0000")}
        )
    with pytest.raises(RenderError, match="expected at least"):
        RaycastBackend(
            context, scenes, 1, Camera(), context.buffer(views.tobytes()), {"depth": context.buffer(b"0000")}
        )
    with pytest.raises(OptionError, match="width and height"):
        Patches(8, 8)
    with pytest.raises(OptionError, match="must divide"):
        Patches(3, 3, 10)
