"""ImageNav: walk to the place where an image was taken and stop there.

As in Zhu et al., "Target-driven Visual Navigation" (ICRA 2017) and Habitat's ImageNav: the image is what the agent's
own camera sees from the goal, in a random direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import torch
from torch import Tensor

from batchsim import poses
from batchsim.random_streams import pick, uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.tasks.goal_navigation import CANDIDATES, GoalNavigation, draw_start
from batchsim.tasks.task import draw_heading, draw_scene
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class ImageNav(GoalNavigation):
    """Image-goal navigation; the goal is a point, shown by `imagegoal`.

    The goal image's heading follows from the start and the goal alone, so that an episode is the same in every process.
    """

    goal_image: ClassVar[str] = "imagegoal"

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns no sensors: the simulator adds the images, `imagegoal` among them."""
        return {}

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws a scene, a goal, a start and a heading."""
        draws = uniform(seed, episode, 3 + CANDIDATES)
        scene = draw_scene(scenes, draws[:, 0])
        goal = pick(draws[:, 1], scenes.goal_count[scene])
        height = scenes.goal_position(scene, goal)[:, 1]
        position = draw_start(self, scenes, scene, goal, torch.stack((height, height), -1), draws[:, 3:])
        return {"scene": scene, "heading": draw_heading(draws[:, 2]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the start pose, the goal, the distance to it and the image's heading."""
        super().begin(scenes, state, mask, episode)
        draw = episode_draw(state, state.task["goal"])
        state.keep(mask, goal_heading=draw * (2 * math.pi) - math.pi)

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns nothing: the simulator adds `imagegoal`."""
        return {}

    def goal_poses(self, scenes: ResidentScenes, state: State, camera_height: float) -> Tensor:
        """Returns the poses of cameras at the goals."""
        position = scenes.goal_position(state.scene, state.task["goal"])
        camera = torch.stack((position[:, 0], position[:, 1] + camera_height, position[:, 2]), -1)
        return torch.cat((camera, poses.heading_to_quaternion(state.task["goal_heading"])), -1)

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Returns both unchanged: episodes of PointNav are those of ImageNav."""
        return scenes, episodes


def episode_draw(state: State, goal: Tensor) -> Tensor:
    """Returns a uniform number in [0, 1) that follows from the start and the goal of each episode, float32 `[N]`."""
    start = state.position.view(torch.int32).to(torch.int64)
    key = (start[:, 0] << 32) ^ (start[:, 2] << 1) ^ state.heading.view(torch.int32).to(torch.int64)
    return uniform(key, goal, 1).squeeze(-1)
