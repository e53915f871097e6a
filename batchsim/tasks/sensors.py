"""Position and direction sensors in Habitat's conventions: episodic GPS, compass and point goal."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import poses

MAX_METRES = 1e6
"""Bound of observation spaces in metres, larger than any scene. Gymnasium's checker warns about infinite bounds."""


def gps(position: Tensor, start_position: Tensor, start_heading: Tensor) -> Tensor:
    """Returns the position relative to the start pose: metres ahead of it and to the right, float32 `[N, 2]`.

    Order and signs are those of Habitat-Lab's `EpisodicGPSSensor`.

    Args:
        position: `[N, 3]`, metres.
        start_position: `[N, 3]`, metres.
        start_heading: `[N]`, radians.
    """
    gap = position - start_position
    x, z = gap[:, 0], gap[:, 2]
    sin, cos = torch.sin(start_heading), torch.cos(start_heading)
    # In the plane (x, z), ahead is (-sin, -cos) and right is (cos, -sin).
    return torch.stack((-sin * x - cos * z, cos * x - sin * z), -1)


def compass(heading: Tensor, start_heading: Tensor) -> Tensor:
    """Returns radians turned to the left since the start, in [-pi, pi), float32 `[N, 1]`.

    This is Habitat's `EpisodicCompassSensor`.
    """
    return poses.wrap_angle(heading - start_heading).unsqueeze(-1)


def point_goal(position: Tensor, heading: Tensor, goal: Tensor) -> Tensor:
    """Returns polar coordinates of `goal` relative to each pose, `[N, 2]`: metres on the ground plane, radians left."""
    back = position - goal
    # Keep these as strided columns: on contiguous vectors, atan2 on a CPU rounds the last few elements differently, and
    # an observation would depend on the number of environments.
    x, z = back[:, 0], back[:, 2]
    # The direction (-sin a, -cos a) has heading a.
    return torch.stack((torch.hypot(x, z), poses.wrap_angle(torch.atan2(x, z) - heading)), -1)
