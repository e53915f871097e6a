"""The observation spaces of the images of an environment."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from batchsim.render.camera import AnyCamera
from batchsim.simulation.simulator import Simulator


def image_spaces(simulator: Simulator, num_labels: int | None) -> dict[str, gym.Space]:
    """Returns the spaces of the images of each camera and of the goal image, by the names of the images.

    Args:
        simulator: The simulator that renders them.
        num_labels: Largest number of labels of any scene; None if that is not known yet.
    """
    options = simulator.options
    labels = num_labels or np.iinfo(np.int32).max

    def space(camera: AnyCamera, sensor: str) -> gym.Space:
        low, high, channels, dtype = {
            "depth": (0.0, 1.0, 1, np.float32) if options.depth_format == "float32" else (0, 255, 1, np.uint8),
            "rgb": (0, 255, 3, np.uint8),
            "semantic": (0, labels - 1, 1, np.int32),
            "instance": (0, 0xFFFF, 1, np.int32),
        }[sensor]
        size = camera.height, camera.width
        return gym.spaces.Box(low, high, (channels, *size) if options.channels_first else (*size, channels), dtype)

    images = {camera.key(name): space(camera, name) for camera in options.rig for name in camera.sees(options.sensors)}
    if simulator.goal_images is None:
        return images
    return images | {simulator.task.goal_image: space(simulator.goal_images.camera, "rgb")}
