"""Features of the vector sensors: the goal, and the agent's own position and heading."""

from __future__ import annotations

import torch
from torch import Tensor

GOAL = "pointgoal_with_gps_compass"


def vector_features(name: str, value: Tensor, fine_goal: bool) -> Tensor:
    """Returns the features of a sensor for a linear layer, `[..., K]` with K = `feature_count(name, size, fine_goal)`.

    - `pointgoal_with_gps_compass` `[..., 2]`, metres and radians: distance, cosine and sine, or `goal_features` with
      `fine_goal`.
    - `gps` `[..., 2]`, metres from the start: scaled. `compass` `[..., 1]`, radians from the first heading: cosine and
      sine.
    - Other sensors are not changed.
    """
    if name == GOAL:
        return goal_features(value) if fine_goal else _polar(value)
    if name == "gps":
        return value / 5
    if name == "compass":
        return torch.cat((torch.cos(value), torch.sin(value)), -1)
    return value


def feature_count(name: str, size: int, fine_goal: bool) -> int:
    """Returns the number of features of a sensor of `size`."""
    return {GOAL: 5 if fine_goal else 3, "compass": 2}.get(name, size)


def goal_features(goal: Tensor) -> Tensor:
    """Maps (rho, phi) `[..., 2]` to five features of order one that resolve distances near the goal finely."""
    rho, phi = goal.unbind(-1)
    return torch.stack((rho / 5, torch.exp(-2 * rho), torch.exp(-8 * rho), torch.cos(phi), torch.sin(phi)), -1)


def _polar(goal: Tensor) -> Tensor:
    rho, phi = goal.unbind(-1)
    return torch.stack((rho, torch.cos(phi), torch.sin(phi)), -1)
