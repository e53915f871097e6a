"""Depth and label images by Embree, a ray tracer that shares no code with the renderer."""

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial.transform import Rotation

from batchsim.render.camera import Camera


def embree_depth(scenes, poses, scene_index, width, height, hfov, near=None):
    """Returns float64 `[N, height, width]`: metres along the axis of cameras at `poses` `[N, 7]`, 0 for no hit.

    Rays start at the depth `near`; None stands for the renderer's near plane.
    """
    return embree_images(scenes, poses, scene_index, width, height, hfov, near)[0]


def embree_images(scenes, poses, scene_index, width, height, hfov, near=None):
    """Returns the same, and the labels of what is hit, int `[N, height, width]`."""
    across = ((np.arange(width) + 0.5) / width * 2 - 1) * np.tan(np.radians(hfov) / 2)
    down = ((np.arange(height) + 0.5) / height * 2 - 1) * np.tan(np.radians(hfov) / 2) * height / width
    right, below = np.meshgrid(across, down)
    pixels = np.stack([right, -below, -np.ones_like(right)], -1).reshape(-1, 3)
    near = Camera(width, height, hfov).near if near is None else near
    worlds = []
    for scene in scenes:
        worlds.append(EmbreeScene())
        TriangleMesh(worlds[-1], scene.triangles)
    depth = np.zeros((len(poses), height * width))
    label = np.zeros(depth.shape, int)
    for image, shown, pose, k in zip(depth, label, np.asarray(poses, float), scene_index, strict=True):
        # Not scaled to length 1: along the axis they reach one metre, so that a ray's parameter is depth.
        directions = Rotation.from_quat(pose[3:]).apply(pixels).astype(np.float32)
        origins = (pose[:3] + near * directions).astype(np.float32)
        hit = worlds[int(k)].run(origins, directions, output=True)
        found = hit["primID"] >= 0
        image[found] = hit["tfar"][found] + near
        shown[found] = scenes[int(k)].labels[hit["primID"][found]]
    return depth.reshape(-1, height, width), label.reshape(-1, height, width)


def share_within(images, expected, metres):
    """Which share of the pixels agree to within `metres`."""
    return (np.abs(np.asarray(images, float).reshape(expected.shape) - expected) <= metres).mean()
