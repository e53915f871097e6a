"""What CUDA does differently: the path without a look from the host, tested on the CPU too, and the whole on a GPU."""

import numpy as np
import pytest
import torch

from batchsim import BatchRenderer, NavVectorEnv
from batchsim.cuda_graph import sync_debug
from batchsim.render.batch_renderer import NO_SCENE

HOME_VIEW = [[0.0, 1.25, 0.0, 0.0, 0.0, 0.0, 1.0]] * 3


@pytest.mark.parametrize(("backend", "sensors"), [("raycast", ("depth", "rgb", "semantic")), ("raster", ("depth",))])
def test_a_view_of_no_scene_is_empty(one_room, make_renderer, backend, sensors):
    renderer = make_renderer([one_room], 3, width=20, height=12, sensors=sensors, backend=backend)
    poses = torch.tensor(HOME_VIEW)
    full = {name: image.clone() for name, image in renderer.render(poses, torch.zeros(3, dtype=torch.int64)).items()}
    images = renderer.render(poses, torch.tensor([0, NO_SCENE, 0]))
    for name, image in images.items():
        assert full[name].any(), name
        assert not image[1].any(), name
        assert torch.equal(image[0], full[name][0]), name
        assert torch.equal(image[2], full[name][2]), name


def play(env, steps, seed=3):
    """Observations, final observations where an episode ended, rewards; actions with many stops."""
    generator = torch.Generator().manual_seed(seed)
    seen = []
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        actions = torch.randint(4, (env.num_envs,), generator=generator)
        observation, reward, _, _, info = env.step(actions)
        done = info["_final_obs"]
        final = {name: value[done].clone().cpu() for name, value in info["final_obs"].items()}
        seen.append(({name: value.clone().cpu() for name, value in observation.items()}, final, reward.clone().cpu()))
    return seen


def nearly_equal(a, b):
    return len(a) == 0 or ((a - b).abs() < 1e-4).float().mean().item() > 0.98


@pytest.mark.parametrize("renderer", ["raycast", "raster"])
def test_not_counting_the_ended_episodes_changes_nothing(homes, make_env, renderer):
    sensors = ("depth",) if renderer == "raster" else ("depth", "semantic")
    options = {"sensors": sensors, "width": 24, "height": 16, "renderer": renderer, "device": "cpu"}
    counted, uncounted = (make_env(6, homes, **options) for _ in range(2))
    uncounted.simulator.transition.counts_ended = False
    # Where in the framebuffer a image is rasterised moves its edges by rounding.
    same = torch.equal if renderer == "raycast" else nearly_equal
    ended = 0
    for (a, a_final, a_reward), (b, b_final, b_reward) in zip(play(counted, 12), play(uncounted, 12), strict=True):
        assert torch.equal(a_reward, b_reward)
        assert a.keys() == b.keys()
        assert a_final.keys() == b_final.keys()
        for name in a:
            assert same(a[name], b[name]), name
            assert same(a_final[name], b_final[name]), name
        ended += len(a_final["depth"])
    assert ended > 6


def random_poses(scenes, count):
    rng = np.random.default_rng(0)
    index = rng.integers(len(scenes), size=count)
    poses = np.zeros((count, 7), np.float32)
    for i, scene in enumerate(index):
        standing = scenes[scene].walkable.positions
        poses[i, :3] = standing[rng.integers(len(standing))] + np.array([0, 1.25, 0])
    heading = rng.uniform(-np.pi, np.pi, count)
    poses[:, 4], poses[:, 6] = np.sin(heading / 2), np.cos(heading / 2)
    return torch.as_tensor(poses), torch.as_tensor(index)


@pytest.mark.gpu
@pytest.mark.parametrize(("backend", "sensors"), [("raycast", ("depth", "rgb", "semantic")), ("raster", ("depth",))])
def test_gpu_images_lie_on_the_gpu_and_agree_with_the_other_backend(homes, make_renderer, backend, sensors):
    poses, index = random_poses(homes, 64)
    on_gpu = make_renderer(homes, 64, sensors=sensors, backend=backend, device="cuda")
    images = on_gpu.render(poses.cuda(), index.cuda())
    reference = make_renderer(homes, 64, sensors=sensors, backend="raycast", device="cpu").render(poses, index)
    for name, image in images.items():
        assert image.device.type == "cuda", name
        near = (image.cpu().float() - reference[name].float()).abs() <= (0.01 if name != "rgb" else 8)
        assert near.float().mean() > 0.99, name


@pytest.mark.gpu
def test_gpu_images_are_of_the_latest_poses(homes, make_renderer):
    """Nothing waits in between, so images of the step before would show at once."""
    poses, index = (x.cuda() for x in random_poses(homes, 32))
    renderer = make_renderer(homes, 32, backend="raycast", device="cuda")
    orders = [torch.randperm(32, device="cuda") for _ in range(20)]
    images = [renderer.render(poses[order], index[order])["depth"].clone() for order in orders]
    first = renderer.render(poses, index)["depth"]
    for order, image in zip(orders, images, strict=True):
        assert torch.equal(image, first[order])


@pytest.mark.gpu
def test_gpu_environment_lives_through_what_the_cpu_does(homes, make_env):
    options = {"width": 32, "height": 32, "renderer": "raycast"}
    on_cpu, on_gpu = (make_env(8, homes, device=device, **options) for device in ("cpu", "cuda"))
    for (a, _, a_reward), (b, _, b_reward) in zip(play(on_cpu, 20), play(on_gpu, 20), strict=True):
        torch.testing.assert_close(a_reward, b_reward, atol=1e-3, rtol=0)
        goal = "pointgoal_with_gps_compass"
        torch.testing.assert_close(a[goal], b[goal], atol=1e-3, rtol=0)
        assert ((a["depth"] - b["depth"]).abs() < 0.01).float().mean() > 0.99


@pytest.mark.gpu
@pytest.mark.parametrize("renderer", ["raycast", "raster"])
def test_gpu_steps_without_waiting(homes, make_env, renderer):
    """Torch raises for whatever makes the host wait for the device."""
    env = make_env(16, homes, renderer=renderer, device="cuda")
    actions = torch.randint(4, (30, 16), device="cuda")
    env.reset(seed=0)
    env.step(actions[0])
    with sync_debug("error"):
        for action in actions:
            env.step(action)


@pytest.mark.gpu
def test_gpu_memory_is_given_back(homes):
    def used():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        return total - free

    def once():
        NavVectorEnv(64, homes, device="cuda", sensors=("depth", "rgb")).close()
        BatchRenderer(homes, 256, device="cuda").close()

    once()
    before = used()
    for _ in range(5):
        once()
    assert used() - before < 64 * 2**20


@pytest.mark.gpu
def test_gpu_is_what_auto_takes(homes, make_env):
    env = make_env(2, homes)
    assert env.device.type == "cuda"
    observation, _ = env.reset(seed=0)
    assert all(value.device == env.device for value in observation.values())
