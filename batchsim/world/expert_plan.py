"""`ExpertPlan`: what a task asks of an expert that knows the map."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ExpertPlan:
    """Where N experts go.

    Attributes:
        goal: int64 `[N]`, the goal of each agent's scene whose walking distances are followed.
        distance: float32 `[N]`, metres to go now, as `Task.distance_to_go` says.
        ends: bool `[N]`, whether the action that ends the episode ("stop" or "found") is due now.
        away: bool `[N]`, whether to walk away from `goal` instead of towards it; None: no agent does.
    """

    goal: Tensor
    distance: Tensor
    ends: Tensor
    away: Tensor | None = None
