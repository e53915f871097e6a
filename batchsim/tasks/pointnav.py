"""PointNav: walk to a point given in the agent's own frame and stop there.

Rewards and success as in Wijmans et al., "DD-PPO" (ICLR 2020) and Shacklett et al., "Large Batch Simulation" (ICLR
2021); SPL as in Anderson et al., "On Evaluation of Embodied Navigation Agents" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from batchsim import defaults
from batchsim.option_checks import real_number
from batchsim.random_streams import pick, uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.tasks.sensors import MAX_METRES, point_goal
from batchsim.tasks.task import Task, draw_heading, draw_scene
from batchsim.world.expert_plan import ExpertPlan
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

STOP, FORWARD, LEFT, RIGHT = range(4)

_CANDIDATES = 16  # candidates drawn for each episode
_DRAWS = 3 + 3 * _CANDIDATES


@dataclass(frozen=True)
class PointNav(Task):
    """Point-goal navigation: an episode succeeds if the agent stops within `success_distance` of the goal.

    Distances are geodesic (walking distances). Starts are on the goal's floor; episodes whose path is almost straight
    are thinned out as in Habitat.

    Args:
        success_distance: Distance from the goal within which a stop succeeds, metres; `EpisodeSet.goal_radius` replaces
            it.
        success_reward: Reward of a success, multiplied by its SPL.
        slack_reward: Reward of every step.
        min_distance: Smallest distance from start to goal, metres.
        max_distance: Largest distance from start to goal, metres.
        max_floor_gap: Largest difference in height between start and goal, metres.
    """

    success_distance: float = defaults.SUCCESS_DISTANCE
    success_reward: float = 2.5
    slack_reward: float = -0.01
    min_distance: float = 1.0
    max_distance: float = 30.0
    max_floor_gap: float = 0.5

    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ("success", "spl", "soft_spl", "distance_to_goal")

    def __post_init__(self) -> None:
        distance = real_number("success_distance", self.success_distance, 0.01, 1000, "metres")
        object.__setattr__(self, "success_distance", distance)

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the space of `pointgoal_with_gps_compass`, the direction of the goal."""
        low, high = np.array([0.0, -math.pi], np.float32), np.array([MAX_METRES, math.pi], np.float32)
        return {"pointgoal_with_gps_compass": gym.spaces.Box(low, high, dtype=np.float32)}

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws `scene`, `position`, `heading` and the goal's number `goal`, all of length N."""
        draws = uniform(seed, episode, _DRAWS)
        scene = draw_scene(scenes, draws[:, 0])
        heading = draw_heading(draws[:, 1])
        # Each candidate is a goal and a start cell of the same scene; the first one that obeys the rules is taken.
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
        # If all are too straight, as in an open room, take the first; if none obeys the rules, take the farthest start
        # that can reach its goal.
        worth = torch.where(distance.isfinite(), distance, -1.0)
        worth = torch.where(allowed, 1e6, worth)
        worth = torch.where(proper, 2e6, worth)
        worth, choice = worth.max(-1, keepdim=True)
        goal = goal.gather(-1, choice).squeeze(-1)
        position = scenes.cell_position[cell.gather(-1, choice).squeeze(-1)]
        # Scenes of many islands may have none: then the episode starts at its goal.
        position = torch.where(worth >= 0, position, scenes.goal_position(scene, goal))
        return {"scene": scene, "heading": heading, "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the goal and the distance to it."""
        radius = torch.full_like(state.heading, self.success_distance)
        if "goal_radius" in episode:
            radius = torch.where(episode["goal_radius"] > 0, episode["goal_radius"], radius)
        state.keep(mask, goal=episode["goal"], goal_radius=radius)
        distance = distance_to_point(scenes, state)
        state.keep(mask, start_distance=distance, distance=distance, success=torch.zeros_like(mask))

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distance gained, plus `slack_reward`, plus `success_reward` times SPL; stop terminates."""
        task = state.task
        distance = distance_to_point(scenes, state)
        # At the border of two cells, rounding may put an agent where no path leads to the goal.
        distance = torch.where(distance.isfinite(), distance, task["distance"])
        stopped = action == STOP
        task["success"] = stopped & (distance < task["goal_radius"])
        reward = self.slack_reward + task["distance"] - distance
        task["distance"] = distance
        reward = reward + self.success_reward * spl(task["success"], task["start_distance"], state.path_length)
        return reward, stopped

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns `pointgoal_with_gps_compass`, float32 `[N, 2]`: metres to the goal, radians to the left."""
        goal = scenes.goal_position(state.scene, state.task["goal"])
        return {"pointgoal_with_gps_compass": point_goal(state.position, state.heading, goal)}

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
        """Goes to the goal, and stops as soon as a stop succeeds."""
        task = state.task
        return ExpertPlan(task["goal"], task["distance"], task["distance"] < task["goal_radius"])

    def distance_to_go(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Returns the geodesic distance to the goal, float32 `[N]`, metres."""
        return distance_to_point(scenes, state)

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Returns both unchanged: the episodes already have goals."""
        return scenes, episodes


def distance_to_point(scenes: ResidentScenes, state: State) -> Tensor:
    """Returns the geodesic distance from each agent to its goal point, float32 `[N]`, metres; inf if there is no path.

    Distances interpolated between cells are not 0 at a goal that is not at the centre of its cell. Within two cells of
    the goal, the straight line is exact, unless the path takes a detour.
    """
    goal = state.task["goal"]
    distance = scenes.goal_distance(state.scene, goal, state.position)
    gap = scenes.goal_position(state.scene, goal) - state.position
    straight = torch.linalg.vector_norm(gap[..., ::2], dim=-1)
    near = 2 * scenes.smallest_cell
    return torch.where((straight < near) & (distance < straight + near), straight, distance)


def spl(success: Tensor, start_distance: Tensor, path_length: Tensor) -> Tensor:
    """Returns success weighted by path length, S l / max(l, p); l / max(l, p) is 1 if both are 0.

    Args:
        success: S, bool `[N]`.
        start_distance: l, geodesic distance from start to goal, metres.
        path_length: p, length of the path walked, metres.
    """
    return success.float() * _efficiency(start_distance, path_length)


def soft_spl(distance: Tensor, start_distance: Tensor, path_length: Tensor) -> Tensor:
    """Returns progress weighted by path length: max(0, 1 - d / l) l / max(l, p) (Datta et al., 2020)."""
    progress = (1 - distance / start_distance.clamp(min=1e-6)).clamp(min=0.0)
    return progress * _efficiency(start_distance, path_length)


def _efficiency(shortest: Tensor, walked: Tensor) -> Tensor:
    longest = torch.maximum(shortest, walked)
    return torch.where(longest > 0, shortest / longest, 1.0)
