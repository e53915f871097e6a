"""What tasks have in common that lead to a goal with a walking distance: reward, success, measures and candidates.

The reward is that of Habitat-Lab's reinforcement learning environments: the distance gained, a slack in every step, and
a constant at a success. The defaults are those of its ObjectNav, ImageNav and InstanceImageNav baselines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.option_checks import real_number
from batchsim.random_streams import pick
from batchsim.tasks.pointnav import soft_spl, spl
from batchsim.tasks.task import Task
from batchsim.world.expert_plan import ExpertPlan
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

CANDIDATES = 16
"""Starts drawn for each episode."""


@dataclass(frozen=True)
class GoalNavigation(Task):
    """An episode succeeds if the agent stops within `success_distance` of its goal.

    Args:
        success_distance: Walking distance from the goal within which a stop succeeds, metres.
        success_reward: Reward of a success.
        slack_reward: Reward of every step.
        min_distance: Smallest distance from start to goal, metres.
        max_distance: Largest distance from start to goal, metres.
        max_floor_gap: Largest difference in height between start and goal, metres.
    """

    success_distance: float = 0.2
    success_reward: float = 2.5
    slack_reward: float = -0.001
    min_distance: float = 1.0
    max_distance: float = 30.0
    max_floor_gap: float = 0.5

    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ("success", "spl", "soft_spl", "distance_to_goal")

    def __post_init__(self) -> None:
        for name in ("success_distance", "min_distance", "max_distance"):
            real_number(name, getattr(self, name), 1e-6, 1e6, "metres")
        if not self.min_distance < self.max_distance:
            raise OptionError(
                f"min_distance={self.min_distance!r}: expected less than max_distance={self.max_distance!r}."
            )

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the start pose, the goal and the distance to it."""
        super().begin(scenes, state, mask, episode)
        state.keep(mask, goal=episode["goal"])
        distance = scenes.goal_distance(state.scene, state.task["goal"], state.position)
        state.keep(mask, start_distance=distance, distance=distance, success=torch.zeros_like(mask))

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distance gained plus `slack_reward`, plus `success_reward` at a success; stop terminates."""
        task = state.task
        before = task["distance"]
        task["distance"] = remaining_distance(scenes, state, task["goal"], before)
        stopped = action == self.action_names.index("stop")
        task["success"] = stopped & (task["distance"] < self.success_distance)
        reward = self.slack_reward + before - task["distance"]
        return reward + self.success_reward * task["success"], stopped

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns success, SPL and SoftSPL in [0, 1], and the distances to the goal now and at the start, metres."""
        task = state.task
        start, distance = task["start_distance"], task["distance"]
        return {
            "success": task["success"].float(),
            "spl": spl(task["success"], start, state.path_length),
            "soft_spl": soft_spl(distance, start, state.path_length),
            "distance_to_goal": distance,
            "start_distance": start,
        }

    def expert_plan(self, scenes: ResidentScenes, state: State) -> ExpertPlan:
        """Goes to the goal, and ends there as soon as that succeeds."""
        task = state.task
        return ExpertPlan(task["goal"], task["distance"], task["distance"] < self.success_distance)

    def distance_to_go(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Returns the walking distance to the goal, float32 `[N]`, metres."""
        return scenes.goal_distance(state.scene, state.task["goal"], state.position)

    def allowed(self, distance: Tensor, height: Tensor, floor: Tensor) -> Tensor:
        """Returns whether pairs of start and goal make an episode (bool).

        Args:
            distance: Walking distance from start to goal, metres.
            height: Height of the start, metres.
            floor: Heights `[..., 2]` of the goal's lowest and highest view point, metres.
        """
        near = (distance >= self.min_distance) & (distance <= self.max_distance)
        low, high = floor[..., 0] - self.max_floor_gap, floor[..., 1] + self.max_floor_gap
        return near & (height >= low) & (height <= high)


def remaining_distance(scenes: ResidentScenes, state: State, goal: Tensor, before: Tensor) -> Tensor:
    """Returns the walking distance to `goal`, or `before` where rounding puts an agent where no path leads to it."""
    distance = scenes.goal_distance(state.scene, goal, state.position)
    return torch.where(distance.isfinite(), distance, before)


def draw_start(
    task: GoalNavigation, scenes: ResidentScenes, scene: Tensor, goal: Tensor, floor: Tensor, draws: Tensor
) -> Tensor:
    """Returns where episodes start, float32 `[N, 3]`: the first of several cells that `task.allowed` accepts.

    If it accepts none, the farthest cell that can reach the goal is taken; if there is none, the first one.

    Args:
        task: The task.
        scenes: The resident scenes.
        scene: int64 `[N]`.
        goal: int64 `[N]`.
        floor: float32 `[N, 2]`, heights of the goal's lowest and highest view point, metres.
        draws: Uniform numbers in [0, 1), `[N, CANDIDATES]`.
    """
    scene_of, goal_of = (index.unsqueeze(-1).expand(-1, CANDIDATES) for index in (scene, goal))
    cell = scenes.cell_offset[scene_of] + pick(draws, scenes.cell_count[scene_of])
    distance = scenes.cell_distance(scene_of, goal_of, cell)
    proper = task.allowed(distance, scenes.cell_position[cell][..., 1], floor.unsqueeze(1))
    worth = torch.where(proper, 1e6, torch.where(distance.isfinite(), distance, -1.0))
    choice = worth.argmax(-1, keepdim=True)
    return scenes.cell_position[cell.gather(-1, choice).squeeze(-1)]


def category_space(name: str, count: int) -> dict[str, gym.Space]:
    """Returns the space of a sensor that gives the id of a category, int64 `[1]`."""
    return {name: gym.spaces.Box(0, max(count - 1, 0), (1,), np.int64)}
