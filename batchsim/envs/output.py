"""Converts results to what callers get: NumPy copies, pictures for `render`, one value for each environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from batchsim.simulation.simulator import SimulatorOptions


def to_numpy(value: Any) -> Any:
    """Replaces the tensors in nested dicts and tuples by NumPy copies."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: to_numpy(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(to_numpy(item) for item in value)
    return value


def pictures(images: dict[str, Tensor], options: SimulatorOptions) -> tuple[np.ndarray, ...]:
    """Returns the images of the first camera, uint8 `[height, width, 3]` each: rgb, or else depth in grey.

    Args:
        images: The observed images by name.
        options: How they were rendered.
    """
    sensor, camera = next(
        (sensor, camera)
        for sensor in ("rgb", "depth")
        for camera in options.rig
        if sensor in camera.sees(options.sensors)
    )
    image = images[camera.key(sensor)].cpu().numpy()
    if options.channels_first:
        image = image.transpose(0, 2, 3, 1)
    if sensor == "rgb":
        return tuple(image.copy())
    share = image / 255 if options.depth_format == "uint8" else image
    grey = np.where(share > 0, 255 * (1 - share), 0).astype(np.uint8)
    return tuple(np.repeat(grey, 3, axis=-1))


def one_each(value: Any, num_envs: int) -> tuple[Any, ...]:
    """Returns one value for each environment: a batch is split, any other value is repeated."""
    value = to_numpy(value) if isinstance(value, Tensor) else value
    is_batch = isinstance(value, (tuple, list, np.ndarray)) and len(value) == num_envs
    return tuple(value) if is_batch else (value,) * num_envs
