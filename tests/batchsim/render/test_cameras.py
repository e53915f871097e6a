"""Several cameras on one agent, against renderers with one camera each at poses worked out by hand."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from batchsim import Camera, NavEnv, OptionError, poses
from batchsim.render.batch_renderer import SENSORS

BACKENDS = ("raycast", "raster")
FRONT = Camera(32, 24, 75.0, name="front")
# A quarter turn to the left, tilted down by 30 degrees, half a metre to the right, 10 cm below and 20 cm ahead.
SIDE = {"name": "side", "width": 16, "height": 16, "hfov": 100.0, "yaw": 90.0, "pitch": -30.0}
SIDE |= {"position": (0.5, -0.1, -0.2)}


def eyes(count, scene, seed):
    rng = np.random.default_rng(seed)
    points = scene.sample_navigable(count, rng) + np.array([0, 1.25, 0])
    return points, rng.uniform(-math.pi, math.pi, count)


def pose_tensor(points, rotations):
    return torch.tensor(np.concatenate([points, rotations.as_quat()], 1), dtype=torch.float32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_cameras_show_what_two_renderers_do(homes, make_renderer, backend):
    points, heading = eyes(8, homes[0], 0)
    bodies = pose_tensor(points, Rotation.from_euler("y", heading[:, None]))
    nowhere = torch.zeros(8, dtype=torch.int64)
    both = make_renderer(homes[:1], 8, sensors=SENSORS, backend=backend, cameras=[FRONT, SIDE]).render(bodies, nowhere)
    assert list(both) == [f"{name}_{sensor}" for name in ("front", "side") for sensor in SENSORS]

    front = make_renderer(homes[:1], 8, 32, 24, 75.0, SENSORS, backend).render(bodies, nowhere)
    # In the world: right is (cos h, 0, -sin h), ahead is (-sin h, 0, -cos h), and the camera looks along -right.
    right = np.stack([np.cos(heading), 0 * heading, -np.sin(heading)], 1)
    ahead = np.stack([-np.sin(heading), 0 * heading, -np.cos(heading)], 1)
    place = points + 0.5 * right + np.array([0, -0.1, 0]) + 0.2 * ahead
    down = np.array([0.0, -1.0, 0.0])
    look = -right * math.cos(math.pi / 6) + down * math.sin(math.pi / 6)
    up = -right * math.sin(math.pi / 6) - down * math.cos(math.pi / 6)
    axes = np.stack([np.cross(look, up), up, -look], -1)  # the camera's x, y, z as columns
    side_pose = pose_tensor(place, Rotation.from_matrix(axes))
    side = make_renderer(homes[:1], 8, 16, 16, 100.0, SENSORS, backend).render(side_pose, nowhere)

    for sensor in SENSORS:
        assert torch.equal(both[f"front_{sensor}"], front[sensor])
        assert (both[f"side_{sensor}"] == side[sensor]).float().mean() > 0.98 or sensor == "depth"
        assert both[f"side_{sensor}"].any()
    assert ((both["side_depth"] - side["depth"]).abs() < 1e-3).float().mean() > 0.99


def test_scenes_are_uploaded_once_for_all_cameras(homes, make_renderer):
    one = make_renderer(homes, 1, backend="raycast", cameras=[FRONT])
    three = make_renderer(homes, 1, backend="raycast", cameras=[FRONT, SIDE, Camera(8, 8, name="small")])
    buffers = {camera.backend._scenes for camera in three._rig._cameras}
    assert len(buffers) == 1
    assert {b.size for b in three._rig.scenes.buffers.values()} == {b.size for b in one._rig.scenes.buffers.values()}


def test_a_vector_environment_with_two_cameras(homes, make_env):
    env = make_env(3, homes[:1], sensors=("depth", "rgb"), cameras=[FRONT, SIDE], render_mode="rgb_array", device="cpu")
    shapes = {name: space.shape for name, space in env.single_observation_space.spaces.items()}
    assert shapes == {
        "front_depth": (24, 32, 1),
        "front_rgb": (24, 32, 3),
        "side_depth": (16, 16, 1),
        "side_rgb": (16, 16, 3),
        "pointgoal_with_gps_compass": (2,),
    }
    observation, _ = env.reset(seed=0)
    for _ in range(30):
        as_arrays = {name: value.numpy() for name, value in observation.items()}
        assert env.observation_space.contains(as_arrays)
        observation, _, _, _, info = env.step(torch.tensor([1, 2, 0]))  # the third ends at once, again and again
        assert info["_final_obs"].tolist() == [False, False, True]
        assert env.single_observation_space.contains({k: v[2].numpy() for k, v in info["final_obs"].items()})
    assert [image.shape for image in env.render()] == [(24, 32, 3)] * 3
    for name in ("front_depth", "side_depth"):
        assert 0 < observation[name].max() <= 1


def test_one_camera_needs_no_name(homes, make_env):
    env = make_env(2, homes[:1], sensors=("depth", "rgb"), cameras=[Camera(16, 16, pitch=-30)], device="cpu")
    plain = make_env(2, homes[:1], sensors=("depth", "rgb"), width=16, height=16, device="cpu")
    tilted, level = env.reset(seed=0)[0], plain.reset(seed=0)[0]
    assert set(tilted) == set(level)
    assert tilted["depth"].mean() < level["depth"].mean()  # it sees more of the floor


def test_a_single_environment_and_gymnasium_take_cameras(homes):
    env = gym.make("batchsim/PointNav-v0", scenes=homes[:1], cameras=[SIDE], device="cpu")
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["side_depth"].shape == (16, 16, 1)
    env.close()
    plain = NavEnv(homes[:1], device="cpu")
    assert set(plain.observation_space.spaces) == {"depth", "pointgoal_with_gps_compass"}
    plain.close()


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ([], "expected at least one"),
        ([Camera(), FRONT], r"names \['', 'front'\].*a unique name"),
        ([FRONT, {"name": "front"}], r"'front', 'front'.*a unique name"),
        ([{"name": "a", "fov": 80}], r"cameras\[0\]: fov: expected some of width, height, hfov"),
        ([{"name": "a", "width": 0}], "width=0.*1 to 4096"),
        ([{"name": "a", "hfov": 179.0}], "hfov=179.*degrees from 1 to 170"),
        ([{"name": "a", "position": (0, 1)}], r"position=\(0, 1\).*three numbers"),
        ([{"name": "a", "pitch": math.nan}], "pitch=nan"),
        (["front"], r"cameras\[0\]='front'.*batchsim.Camera"),
    ],
)
def test_cameras_that_cannot_be_used(homes, make_env, cameras, message):
    with pytest.raises(OptionError, match=message):
        make_env(1, homes[:1], cameras=cameras, device="cpu")


def test_composed_poses_agree_with_scipy():
    rng = np.random.default_rng(0)
    carrier, mounted = Rotation.random(20, random_state=0), Rotation.random(20, random_state=1)
    place, offset = rng.normal(size=(2, 20, 3))
    composed = poses.compose(pose_tensor(place, carrier), pose_tensor(offset, mounted)).double().numpy()
    assert np.allclose(composed[:, :3], place + carrier.apply(offset), atol=1e-5)
    assert np.allclose(Rotation.from_quat(composed[:, 3:]).as_matrix(), (carrier * mounted).as_matrix(), atol=1e-5)
