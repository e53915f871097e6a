"""Panoramas, fisheye lenses and lidars against Embree, with directions worked out by hand, and against cube maps."""

import math

import numpy as np
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial.transform import Rotation

from batchsim import BatchRenderer, Camera, Lidar, NavVectorEnv, OptionError
from batchsim.render.backend_autotune import sample_views
from batchsim.scenes import bake
from batchsim.scenes.homes import generate_home

VIEWS = 6
SENSORS = ("depth", "semantic", "instance", "rgb")
FAN = {"horizontal": range(90, -91, -15), "vertical": (-10.0, 0.0, 25.0)}


@pytest.fixture(scope="module")
def home():
    return bake(generate_home(3).mesh, "home", num_goals=4)


def looking(heading, elevation):
    """Unit vectors that look `heading` radians to the left and `elevation` up, by rotations of the axis -z."""
    turns = Rotation.from_euler("YX", np.stack([np.ravel(heading), np.ravel(elevation)], -1))
    return turns.apply([0.0, 0.0, -1.0])


def panorama_directions(width, height, hfov, vfov):
    heading = np.radians(np.linspace(hfov / 2, -hfov / 2, 2 * width + 1)[1::2])
    elevation = np.radians(np.linspace(vfov / 2, -vfov / 2, 2 * height + 1)[1::2])
    return looking(*np.meshgrid(heading, elevation))


def fisheye_directions(width, height, hfov):
    """Turn the axis by an angle that grows with the distance from the centre, about an axis in the image plane."""
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, height / 2 - np.arange(height) - 0.5)
    angle = np.radians(hfov) / width * np.hypot(x, y)
    axis = np.stack([y, -x, 0 * x], -1) / np.hypot(x, y)[..., None]
    directions = Rotation.from_rotvec((axis * angle[..., None]).reshape(-1, 3)).apply([0.0, 0.0, -1.0])
    return directions, (angle <= np.radians(hfov) / 2).ravel()


def seen_by_embree(scene, poses, directions):
    """Distance along each ray, label and object number of what it hits, `[N, R]` each; 0 where it hits nothing."""
    world = EmbreeScene()
    TriangleMesh(world, scene.triangles)
    distance, labels, numbers = [], [], []
    for pose in poses.numpy().astype(float):
        ways = Rotation.from_quat(pose[3:]).apply(directions).astype(np.float32)
        hit = world.run((pose[:3] + 0.02 * ways).astype(np.float32), ways, output=True)
        found = hit["primID"] >= 0
        distance.append(np.where(found, hit["tfar"] + 0.02, 0))
        labels.append(np.where(found, scene.labels[hit["primID"]], 0))
        numbers.append(np.where(found, scene.instances[hit["primID"]], 0))
    return np.array(distance), np.array(labels), np.array(numbers)


def flat(image):
    return image.reshape(len(image), -1).numpy()


def assert_sees_the_same(images, expected, inside=slice(None)):
    depth, labels, numbers = (value[:, inside] for value in expected)
    assert depth.any(1).all()
    assert (np.abs(flat(images["depth"])[:, inside] - depth) < 1e-3 + 1e-3 * depth).mean() > 0.995
    if "semantic" in images:
        assert (flat(images["semantic"])[:, inside] == labels).mean() > 0.995
        assert (flat(images["instance"])[:, inside] == numbers).mean() > 0.995


def draw(scene, camera, sensors=SENSORS, poses=None, **options):
    poses = sample_views([scene], VIEWS)[0] if poses is None else poses
    renderer = BatchRenderer([scene], len(poses), sensors=sensors, cameras=[camera], device="cpu", **options)
    images = renderer.render(poses, torch.zeros(len(poses), dtype=torch.int64))
    copies = {name: image.clone() for name, image in images.items()}
    assert renderer.backend == "raycast"
    renderer.close()
    return copies, poses


@pytest.mark.parametrize(
    ("width", "height", "hfov", "vfov"), [(64, 32, 360, 180), (30, 30, 360, 180), (33, 9, 220, 60)]
)
def test_panoramas_against_embree(home, width, height, hfov, vfov):
    camera = Camera(width, height, hfov, projection="equirectangular")
    assert camera.vfov == pytest.approx(vfov)
    images, poses = draw(home, camera)
    assert_sees_the_same(images, seen_by_embree(home, poses, panorama_directions(width, height, hfov, vfov)))


@pytest.mark.parametrize(("width", "height", "hfov"), [(48, 48, 180), (40, 40, 360), (40, 24, 130)])
def test_fisheye_lenses_against_embree(home, width, height, hfov):
    images, poses = draw(home, Camera(width, height, hfov, projection="fisheye"))
    directions, inside = fisheye_directions(width, height, hfov)
    assert_sees_the_same(images, seen_by_embree(home, poses, directions), inside)
    for image in images.values():
        assert not image.reshape(VIEWS, width * height, -1)[:, ~inside].any()
    assert inside.mean() == pytest.approx(min(1.0, math.pi / 4), abs=0.02) or height < width


def test_lidars_against_embree(home):
    lidar = Lidar(**FAN, name="scan", yaw=40.0, position=(0.0, -0.5, 0.1))
    images, poses = draw(home, lidar, ("depth", "rgb"))
    assert list(images) == ["scan_depth"]
    heading, elevation = np.meshgrid(np.radians(FAN["horizontal"]), np.radians(FAN["vertical"]))
    turned = Rotation.from_euler("Y", np.radians(40.0)).apply(looking(heading, elevation))
    moved = poses.clone()
    moved[:, :3] += torch.tensor(Rotation.from_quat(poses[:, 3:].numpy()).apply([0.0, -0.5, 0.1])).float()
    assert images["scan_depth"].shape == (VIEWS, 3, 13, 1)
    assert_sees_the_same({"depth": images["scan_depth"]}, seen_by_embree(home, moved, turned))


def test_a_lidar_in_a_known_room_measures_worked_distances(one_room):
    pose = torch.tensor([[1.0, 1.25, -2.0, 0.0, 0.0, 0.0, 1.0]])  # looks along -z; walls at +-5 m
    images, _ = draw(one_room, Lidar(horizontal=(0, 90, 180, -90, 45), vertical=(0,), name=""), ("depth",), pose)
    expected = torch.tensor([3.0, 6.0, 7.0, 4.0, 3.0 * math.sqrt(2)])
    assert images["depth"].flatten() == pytest.approx(expected, abs=0.15)  # walls have a thickness


@pytest.mark.parametrize("projection", ["equirectangular", "fisheye"])
def test_colours_are_those_of_pinhole_cameras(home, projection):
    size, side = 48, 256
    camera = Camera(size, size, 340, projection=projection)
    images, poses = draw(home, camera, ("rgb",))
    directions = panorama_directions(size, size, 340, 180)
    inside = np.ones(size * size, bool)
    if projection == "fisheye":
        directions, inside = fisheye_directions(size, size, 340)
    # The six faces of a cube around the camera, from which each pixel takes the colour in its direction.
    expected, closest = np.zeros((VIEWS, size * size, 3)), np.zeros(size * size)
    faces = [{"yaw": yaw} for yaw in (0, 90, 180, -90)] + [{"pitch": 90}, {"pitch": -90}]
    cameras = [Camera(side, side, name=f"face{k}", **face) for k, face in enumerate(faces)]
    renderer = BatchRenderer([home], VIEWS, sensors=("rgb",), cameras=cameras, backend="raycast", device="cpu")
    cube = renderer.render(poses, torch.zeros(VIEWS, dtype=torch.int64))
    for k, face in enumerate(faces):
        turn = Rotation.from_euler("YX", [face.get("yaw", 0), face.get("pitch", 0)], degrees=True)
        x, y, z = turn.inv().apply(directions).T
        mine = -z > np.maximum(closest, 0.5)
        column, row = ((1 + x[mine] / -z[mine]) / 2 * side), ((1 - y[mine] / -z[mine]) / 2 * side)
        place = np.clip(row, 0, side - 1).astype(int), np.clip(column, 0, side - 1).astype(int)
        expected[:, mine] = cube[f"face{k}_rgb"].numpy()[:, place[0], place[1]]
        closest[mine] = -z[mine]
    renderer.close()
    difference = np.abs(images["rgb"].reshape(VIEWS, -1, 3).numpy().astype(float) - expected)[:, inside]
    assert np.median(difference) <= 3
    assert difference.mean() < 8  # textures: the cube's pixels are smaller
    assert expected[:, inside].std() > 30


def test_an_environment_with_a_panorama_and_a_lidar(homes, make_env):
    cameras = [Camera(16, 8, projection="equirectangular", name="round"), Lidar(**FAN, name="lidar")]
    env = make_env(3, homes[:1], cameras=cameras, sensors=("rgb", "depth"), max_depth=4.0, device="cpu")
    shapes = {name: space.shape for name, space in env.single_observation_space.spaces.items()}
    assert shapes == {
        "round_rgb": (8, 16, 3),
        "round_depth": (8, 16, 1),
        "lidar_depth": (3, 13, 1),
        "pointgoal_with_gps_compass": (2,),
    }
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        assert env.observation_space.contains({name: value.numpy() for name, value in observation.items()})
        observation, _, _, _, _ = env.step(torch.tensor([1, 2, 0]))
    assert observation["lidar_depth"].max() == 1.0  # clipped to 4 m and divided by it
    assert env.simulator.renderer.backend == "raycast"


def test_a_goal_image_is_taken_by_the_agents_panorama(homes, make_env):
    camera = Camera(16, 8, projection="equirectangular")
    env = make_env(2, homes[:1], task="imagenav", cameras=[camera], sensors=("rgb",), device="cpu")
    observation, _ = env.reset(seed=0)
    assert observation["imagegoal"].shape == observation["rgb"].shape == (2, 8, 16, 3)
    assert observation["imagegoal"].float().std() > 5
    with pytest.raises(OptionError, match="imagegoal is seen through the agent's one camera"):
        make_env(2, homes[:1], task="imagenav", cameras=[Lidar(name="")], sensors=("rgb",), device="cpu")


def test_noise_on_panoramas(homes, make_env):
    def rgb(**noise):
        camera = Camera(32, 16, projection="equirectangular")
        env = make_env(4, homes[:1], cameras=[camera], sensors=("rgb", "depth"), noise=noise or None, device="cpu")
        return env.reset(seed=0)[0]

    plain, noisy = rgb(), rgb(rgb={"model": "gaussian", "intensity": 0.1})
    inner = (plain["rgb"] > 80) & (plain["rgb"] < 170)  # not clipped
    difference = (noisy["rgb"].float() - plain["rgb"].float())[inner]
    assert difference.std().item() == pytest.approx(25.5, rel=0.1)
    assert not torch.equal(rgb(depth="redwood")["depth"], plain["depth"])


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (
            Camera(16, 8, projection="equirectangular"),
            "cameras: has projection='equirectangular', which renderer=",
        ),
        (Camera(8, 8, name="wide", projection="fisheye"), "'wide' has projection='fisheye'.*use 'raycast' or 'auto'"),
        (Lidar(name="scan"), "'scan' is a lidar, which renderer='raster' cannot draw"),
    ],
)
def test_raster_refuses_in_one_line(one_room, camera, message):
    with pytest.raises(OptionError, match=message) as caught:
        NavVectorEnv(1, [one_room], cameras=[camera], renderer="raster", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Camera(projection="cylinder"), "projection='cylinder': expected one of 'pinhole', 'equirectangular'"),
        (lambda: Camera(hfov=361, projection="fisheye"), "hfov=361: expected a number of degrees from 1 to 360"),
        (lambda: Camera(hfov=0, projection="equirectangular"), "hfov=0"),
        (lambda: Lidar(horizontal=()), "horizontal has 0 angles: expected 1 to 4096"),
        (lambda: Lidar(vertical=(0, 91)), "vertical=91: expected a number of degrees from -90 to 90"),
        (lambda: Lidar(horizontal=(math.nan,)), "horizontal=nan"),
        (lambda: Lidar(horizontal=30), r"horizontal=30: expected a sequence, such as \(-10, 0, 10\)"),
        (lambda: Lidar(position=(0, 0)), "three numbers"),
    ],
)
def test_cameras_that_cannot_be_made(made, message):
    with pytest.raises(OptionError, match=message):
        made()


def test_mappings_describe_cameras_and_lidars():
    from batchsim.render.camera import read_cameras

    cameras = read_cameras([{"name": "pano", "projection": "equirectangular"}, {"name": "scan", "vertical": [0, 5]}])
    assert cameras == (Camera(name="pano", projection="equirectangular"), Lidar(name="scan", vertical=(0, 5)))
    assert (cameras[0].hfov, Camera(projection="fisheye").hfov, Camera().hfov) == (360, 180, 90)
    with pytest.raises(OptionError, match=r"cameras\[0\]: hfov: expected some of horizontal, vertical, name"):
        read_cameras([{"name": "scan", "vertical": [0], "hfov": 80}])
