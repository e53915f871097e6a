"""Sensors that give a few numbers: where the goal is, where the agent has come to."""

from __future__ import annotations

import torch
from torch import Tensor

GOAL = "pointgoal_with_gps_compass"


def vector_features(name: str, value: Tensor, fine_goal: bool) -> Tensor:
    """Numbers that a linear layer can use, `[..., K]` with K = `feature_count(name, size, fine_goal)`.

    - `pointgoal_with_gps_compass` `[..., 2]`, metres and radians: distance, cosine and sine; with `fine_goal`
      `goal_features`, where the last metre counts for more.
    - `gps` `[..., 2]`, metres from the start. `compass` `[..., 1]`, radians from the first heading: cosine and sine.
    - Others as they are.
    """
    if name == GOAL:
        return goal_features(value) if fine_goal else _polar(value)
    if name == "gps":
        return value / 5
    if name == "compass":
        return torch.cat((torch.cos(value), torch.sin(value)), -1)
    return value


def feature_count(name: str, size: int, fine_goal: bool) -> int:
    """How many numbers `vector_features` makes of a sensor of `size`."""
    return {GOAL: 5 if fine_goal else 3, "compass": 2}.get(name, size)


def goal_features(goal: Tensor) -> Tensor:
    """(rho, phi) `[..., 2]` as numbers of order one, `[..., 5]`, with fine resolution near the goal."""
    rho, phi = goal.unbind(-1)
    return torch.stack((rho / 5, torch.exp(-2 * rho), torch.exp(-8 * rho), torch.cos(phi), torch.sin(phi)), -1)


def _polar(goal: Tensor) -> Tensor:
    rho, phi = goal.unbind(-1)
    return torch.stack((rho, torch.cos(phi), torch.sin(phi)), -1)
