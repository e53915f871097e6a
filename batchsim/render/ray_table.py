"""Tables of the rays of cameras that are not pinhole cameras: one direction for each pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RayTable = NDArray[np.float32]
"""`[height, width, 4]`: a unit vector in the camera's frame (right, up, backwards), and the root of the pixel's solid
angle, radians. A vector of zeros stands for a pixel without a ray, which sees nothing."""


def equirectangular(width: int, height: int, hfov: float, vfov: float) -> RayTable:
    """Returns the rays of a panorama: the columns are equal steps of longitude, the rows of latitude.

    Args:
        width: Pixels.
        height: Pixels.
        hfov: Longitudes that the image covers, radians; its centre looks ahead, its left edge to the left.
        vfov: Latitudes that the image covers, radians.
    """
    longitude = (0.5 - (np.arange(width) + 0.5) / width) * hfov
    edges = (0.5 - np.arange(height + 1) / height) * vfov
    solid_angle = hfov / width * (np.sin(edges[:-1]) - np.sin(edges[1:]))
    size = np.broadcast_to(np.sqrt(solid_angle)[:, None], (height, width))
    return _table(longitude, (edges[:-1] + edges[1:]) / 2, size)


def fisheye(width: int, height: int, hfov: float) -> RayTable:
    """Returns the rays of an equidistant fisheye lens: the angle to the axis grows evenly with the distance in pixels.

    Pixels at an angle of more than `hfov` / 2 to the axis have no ray.

    Args:
        width: Pixels.
        height: Pixels.
        hfov: Angle that a row through the centre covers, radians.
    """
    across, down = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    pitch = hfov / width
    angle = pitch * np.hypot(across, down)
    reach = pitch * np.sinc(angle / np.pi)  # sin(angle) / radius
    vectors = np.stack((reach * across, -reach * down, -np.cos(angle)), -1)
    vectors[angle > hfov / 2 * (1 + 1e-9)] = 0
    # A ring of radius r and thickness 1 has 2 pi r pixels and the solid angle 2 pi sin(angle) pitch.
    size = pitch * np.sqrt(np.maximum(np.sinc(angle / np.pi), 1e-6))
    return np.concatenate((vectors, size[..., None]), -1).astype(np.float32)


def fan(horizontal: NDArray, vertical: NDArray) -> RayTable:
    """Returns rays at the angles `horizontal` (columns; radians to the left) and `vertical` (rows; radians up)."""
    return _table(horizontal, vertical, np.ones((len(vertical), len(horizontal))))


def _table(longitudes: NDArray, latitudes: NDArray, size: NDArray) -> RayTable:
    longitude, latitude = np.meshgrid(longitudes, latitudes)
    level = np.cos(latitude)
    parts = (-np.sin(longitude) * level, np.sin(latitude), -np.cos(longitude) * level, size)
    return np.stack(parts, -1).astype(np.float32)
