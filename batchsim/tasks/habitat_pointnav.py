"""PointNav with the reward of Habitat-Lab, and the realistic version of Habitat's challenges of 2020 and 2021."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from torch import Tensor

from batchsim.tasks.pointnav import PointNav, spl
from batchsim.tasks.sensors import point_goal
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class HabitatPointNav(PointNav):
    """PointNav whose success is worth a constant `success_reward`, not multiplied by SPL."""

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distance gained plus `slack_reward`, plus `success_reward` at a success; stop terminates."""
        reward, stopped = super().step(scenes, state, action)
        success = state.task["success"]
        weighted = spl(success, state.task["start_distance"], state.path_length)
        return reward + self.success_reward * (success.float() - weighted), stopped


@dataclass(frozen=True)
class RealisticPointNav(HabitatPointNav):
    """PointNav without GPS and compass: `pointgoal` says where the goal is as seen from the start, all the time."""

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the space of `pointgoal`: metres and radians to the left."""
        low, high = np.array([0.0, -math.pi], np.float32), np.array([np.inf, math.pi], np.float32)
        return {"pointgoal": gym.spaces.Box(low, high, dtype=np.float32)}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the goal, the distance to it, and its direction from the start."""
        super().begin(scenes, state, mask, episode)
        goal = scenes.goal_position(state.scene, state.task["goal"])
        state.keep(mask, pointgoal=point_goal(state.position, state.heading, goal))

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns `pointgoal`, float32 `[N, 2]`."""
        return {"pointgoal": state.task["pointgoal"]}
