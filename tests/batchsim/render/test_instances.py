"""Images of objects' numbers against Embree, by both backends, beside labels and colours."""

import numpy as np
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial.transform import Rotation

from batchsim import BatchRenderer
from batchsim.render.backend_autotune import sample_views
from batchsim.scenes import bake
from batchsim.scenes.homes import generate_home


@pytest.fixture(scope="module")
def home():
    return bake(generate_home(3).mesh, "home", num_goals=4)


def seen_by_embree(scene, poses, size):
    across = (np.arange(size) + 0.5) / size * 2 - 1
    right, below = np.meshgrid(across, across)
    pixels = np.stack([right, -below, -np.ones_like(right)], -1).reshape(-1, 3)
    world = EmbreeScene()
    TriangleMesh(world, scene.triangles)
    images = []
    for pose in poses.numpy().astype(float):
        ways = Rotation.from_quat(pose[3:]).apply(pixels).astype(np.float32)
        start = (pose[:3] + 0.02 * ways).astype(np.float32)
        hit = world.run(start, ways, output=True)["primID"]
        images.append(np.where(hit >= 0, scene.instances[hit], 0))
    return np.array(images).reshape(len(poses), size, size)


@pytest.mark.parametrize("backend", ["raycast", "raster"])
@pytest.mark.parametrize("sensors", [("instance",), ("instance", "semantic", "rgb", "depth")])
def test_instances_are_those_that_embree_sees(home, backend, sensors):
    poses, index = sample_views([home], 12)
    renderer = BatchRenderer([home], 12, 32, 32, sensors=sensors, backend=backend, device="cpu")
    images = renderer.render(poses, index)
    expected = seen_by_embree(home, poses, 32)
    assert (images["instance"][..., 0].numpy() == expected).mean() > 0.99
    assert len(np.unique(expected)) > 10
    if "semantic" in sensors:
        numbers = images["instance"][..., 0].numpy()
        of_object = np.concatenate([[0], home.objects.labels])
        labels = images["semantic"][..., 0].numpy()
        assert (labels[numbers > 0] == of_object[numbers[numbers > 0]]).all()
        assert images["rgb"].float().std() > 5
    assert images["instance"].dtype == torch.int32
    renderer.close()
