"""A task for people: walk and look around as long as they like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from batchsim.tasks import Task
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class FreeWalk(Task):
    """Has no goal, reward or end."""

    action_names: ClassVar[tuple[str, ...]] = ("none", "forward", "left", "right", "look_up", "look_down")

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns zeros: no reward, never terminated."""
        return torch.zeros_like(state.heading), torch.zeros_like(state.collided)
