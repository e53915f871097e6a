"""PointNav: walk to a point given in the agent's own frame, and say "stop" there.

Rewards and success as in Wijmans et al., "DD-PPO" (ICLR 2020) and Shacklett et al., "Large Batch Simulation" (ICLR
2021); SPL as in Anderson et al., "On Evaluation of Embodied Navigation Agents" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import pick, uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.tasks.sensors import point_goal
from batchsim.tasks.task import Task, draw_heading, draw_scene
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

STOP, FORWARD, LEFT, RIGHT = range(4)

_CANDIDATES = 16  # places tried at once for a start
_DRAWS = 3 + 3 * _CANDIDATES


@dataclass(frozen=True)
class PointNav(Task):
    """The task's constants: distances in metres, rewards per step.

    An episode succeeds when the agent stops at less than `success_distance` (geodesic) from the goal. Starts lie
    `min_distance` to `max_distance` from it, on the goal's floor; nearly straight ways are thinned out as Habitat does.
    """

    success_distance: float = 0.2
    success_reward: float = 2.5
    slack_reward: float = -0.01
    min_distance: float = 1.0
    max_distance: float = 30.0
    max_floor_gap: float = 0.5

    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ("success", "spl", "soft_spl", "distance_to_goal")

    def __post_init__(self) -> None:
        if not (isinstance(self.success_distance, Real) and self.success_distance > 0):
            raise OptionError(f"success_distance={self.success_distance!r}: expected metres, more than 0.")

    def observation_spaces(self) -> dict[str, gym.Space]:
        """`pointgoal_with_gps_compass`, which tells where the goal lies."""
        low, high = np.array([0.0, -math.pi], np.float32), np.array([np.inf, math.pi], np.float32)
        return {"pointgoal_with_gps_compass": gym.spaces.Box(low, high, dtype=np.float32)}

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draw `scene`, `position`, `heading` and the goal's number `goal` by the rules, all of length N."""
        draws = uniform(seed, episode, _DRAWS)
        scene = draw_scene(scenes, draws[:, 0])
        heading = draw_heading(draws[:, 1])
        # Each candidate is a goal and a cell of the same scene; the first that makes a proper episode is taken.
        draws = draws[:, 3:].reshape(-1, _CANDIDATES, 3)
        scene_of = scene.unsqueeze(-1).expand(-1, _CANDIDATES)
        goal = pick(draws[..., 0], scenes.goal_count[scene_of])
        cell = scenes.cell_offset[scene_of] + pick(draws[..., 1], scenes.cell_count[scene_of])
        distance = scenes.cell_distance(scene_of, goal, cell)
        gap = scenes.cell_position[cell] - scenes.goal_position(scene_of, goal)
        allowed = (distance >= self.min_distance) & (distance <= self.max_distance)
        allowed &= gap[..., 1].abs() <= self.max_floor_gap
        ratio = distance / gap.norm(dim=-1).clamp(min=1e-6)
        proper = allowed & ((ratio >= 1.1) | (draws[..., 2] < 20 * (ratio - 0.98).clamp(min=0) ** 2))
        # Where all are too straight, as in an open room, the first is as good as any; where nothing keeps to the rules,
        # the farthest that can be reached at all is the best there is.
        worth = torch.where(distance.isfinite(), distance, -1.0)
        worth = torch.where(allowed, 1e6, worth)
        worth = torch.where(proper, 2e6, worth)
        worth, choice = worth.max(-1, keepdim=True)
        goal = goal.gather(-1, choice).squeeze(-1)
        position = scenes.cell_position[cell.gather(-1, choice).squeeze(-1)]
        # On scenes of many islands even that may fail: then the episode begins at its goal.
        position = torch.where(worth >= 0, position, scenes.goal_position(scene, goal))
        return {"scene": scene, "heading": heading, "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, episode_start: Tensor, episode: dict[str, Tensor]) -> None:
        """Keep the goal, and how far it is."""
        # The others go on with theirs: what was drawn for them now may be of another scene.
        state.keep(episode_start, goal=episode["goal"])
        distance = scenes.goal_distance(state.scene, state.task["goal"], state.position)
        state.keep(episode_start, start_distance=distance, distance=distance, success=torch.zeros_like(episode_start))

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """The way gained and a little less, more for success; a stop ends the episode."""
        task = state.task
        distance = scenes.goal_distance(state.scene, task["goal"], state.position)
        # On the border of two cells rounding may put a body where no way leads to the goal.
        distance = torch.where(distance.isfinite(), distance, task["distance"])
        stopped = action == STOP
        task["success"] = stopped & (distance < self.success_distance)
        reward = self.slack_reward + task["distance"] - distance
        task["distance"] = distance
        reward = reward + self.success_reward * spl(task["success"], task["start_distance"], state.path_length)
        return reward, stopped

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """`pointgoal_with_gps_compass` float32 `[N, 2]`: metres to the goal, angle to it (positive to the left)."""
        goal = scenes.goal_position(state.scene, state.task["goal"])
        return {"pointgoal_with_gps_compass": point_goal(state.position, state.heading, goal)}

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Success, SPL and SoftSPL in [0, 1]; metres left, and metres at the start."""
        task = state.task
        start, distance = task["start_distance"], task["distance"]
        return {
            "success": task["success"].float(),
            "spl": spl(task["success"], start, state.path_length),
            "soft_spl": soft_spl(distance, start, state.path_length),
            "distance_to_goal": distance,
            "start_distance": start,
        }

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Episodes of point-goal navigation are what this task runs."""
        return scenes, episodes


def spl(success: Tensor, start_distance: Tensor, path_length: Tensor) -> Tensor:
    """Success weighted by path length: S l / max(l, p), with l geodesic and p walked; 0 where both are 0 is 1."""
    return success.float() * _efficiency(start_distance, path_length)


def soft_spl(distance: Tensor, start_distance: Tensor, path_length: Tensor) -> Tensor:
    """Progress weighted by path length: max(0, 1 - d / l) l / max(l, p) (Datta et al., 2020)."""
    progress = (1 - distance / start_distance.clamp(min=1e-6)).clamp(min=0.0)
    return progress * _efficiency(start_distance, path_length)


def _efficiency(shortest: Tensor, walked: Tensor) -> Tensor:
    longest = torch.maximum(shortest, walked)
    return torch.where(longest > 0, shortest / longest, 1.0)
