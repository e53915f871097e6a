"""Where an agent is and how it is turned, seen from where its episode began: Habitat's episodic GPS and compass."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import poses


def gps(position: Tensor, start_position: Tensor, start_heading: Tensor) -> Tensor:
    """float32 `[N, 2]`: metres ahead of the start, and metres to the right of it, on the ground plane.

    Positions `[N, 3]`, metres; heading `[N]`, radians. Order and signs are those of Habitat-Lab's `EpisodicGPSSensor`.
    """
    gap = position - start_position
    x, z = gap[:, 0], gap[:, 2]
    sin, cos = torch.sin(start_heading), torch.cos(start_heading)
    # Ahead is (-sin, -cos) on the plane (x, z), to the right (cos, -sin).
    return torch.stack((-sin * x - cos * z, cos * x - sin * z), -1)


def compass(heading: Tensor, start_heading: Tensor) -> Tensor:
    """float32 `[N, 1]` in [-pi, pi): radians turned to the left since the start (Habitat's `EpisodicCompassSensor`)."""
    return poses.wrap_angle(heading - start_heading).unsqueeze(-1)


def point_goal(position: Tensor, heading: Tensor, goal: Tensor) -> Tensor:
    """(rho, phi) `[N, 2]` of `goal` seen from `position` `[N, 3]`: metres on the ground plane, radians to the left."""
    back = position - goal
    # Columns, not vectors of their own: of contiguous ones, atan2 on a CPU rounds the last few otherwise than the rest,
    # and what an environment sees would depend on how many stand beside it.
    x, z = back[:, 0], back[:, 2]
    # The direction (-sin a, -cos a) has heading a.
    return torch.stack((torch.hypot(x, z), poses.wrap_angle(torch.atan2(x, z) - heading)), -1)
