"""Flee: get as far from the start as possible, by walking distance (Shacklett et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import pick, uniform
from batchsim.scenes import EpisodeSet, Scene, link_goals
from batchsim.tasks.task import Task, draw_heading, draw_scene
from batchsim.world.expert_plan import ExpertPlan
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_NEAR = 0.5  # metres


@dataclass(frozen=True)
class Flee(Task):
    """Rewards each metre of walking distance gained from the start; ends only at the time limit.

    Episodes start at one of the scene's goals, because distances to everywhere are baked for those.
    """

    headline_measures: ClassVar[tuple[str, ...]] = ("distance_from_start", "max_distance", "flee_ratio")

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws a scene, one of its goals as the start, and a heading."""
        draws = uniform(seed, episode, 3)
        scene = draw_scene(scenes, draws[:, 0])
        goal = pick(draws[:, 2], scenes.goal_count[scene])
        position = scenes.goal_position(scene, goal)
        return {"scene": scene, "heading": draw_heading(draws[:, 1]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores which goal is the start, and the largest distance that can be reached from it."""
        super().begin(scenes, state, mask, episode)
        zero = torch.zeros_like(state.heading)
        state.keep(mask, origin=episode["goal"], distance=zero, max_distance=zero)
        refuge_distance, refuge = _farthest_goal(scenes, state)
        state.keep(mask, refuge=refuge, refuge_distance=refuge_distance)
        state.keep(mask, farthest=scenes.farthest_distance(state.scene, state.task["origin"]))

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distance gained in this step; never terminates."""
        task = state.task
        distance = scenes.goal_distance(state.scene, task["origin"], state.position)
        distance = torch.where(distance.isfinite(), distance, task["distance"])
        reward = distance - task["distance"]
        task["distance"] = distance
        task["max_distance"] = torch.maximum(task["max_distance"], distance)
        return reward, torch.zeros_like(action, dtype=torch.bool)

    def expert_plan(self, scenes: ResidentScenes, state: State) -> ExpertPlan:
        """Goes to the goal point that is farthest from the start, and from there on as long as the distance grows."""
        task = state.task
        arrived = task["distance"] > task["refuge_distance"] - _NEAR
        goal = torch.where(arrived, task["origin"], task["refuge"])
        return ExpertPlan(goal, task["farthest"] - task["distance"], torch.zeros_like(arrived), arrived)

    def distance_to_go(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Returns how much farther from the start one can get than the agent is, float32 `[N]`, metres."""
        return state.task["farthest"] - scenes.goal_distance(state.scene, state.task["origin"], state.position)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns the distance from the start now, its maximum (metres), and `flee_ratio`: now / farthest possible."""
        task = state.task
        return {
            "distance_from_start": task["distance"],
            "max_distance": task["max_distance"],
            "flee_ratio": (task["distance"] / task["farthest"].clamp(min=1e-6)).clamp(max=1.0),
        }

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Makes each start a goal of its scene, so that it has a distance field.

        Raises:
            OptionError: If a start is not on the walkable floor.
        """
        scenes, episodes = super().prepare(scenes, episodes)
        by_name = {scene.name: scene for scene in scenes}
        if not by_name.keys() >= set(episodes.scene_names):
            return scenes, episodes
        episodes, linked, bad = link_goals(episodes, [by_name[name] for name in episodes.scene_names])
        if bad:
            raise OptionError(
                f"{len(bad)} episodes cannot be run. The first is {bad[0].episode_id} of {bad[0].scene_name}: "
                f"{bad[0].reason}."
            )
        by_name |= {scene.name: scene for scene in linked}
        return [by_name[scene.name] for scene in scenes], episodes


def _farthest_goal(scenes: ResidentScenes, state: State) -> tuple[Tensor, Tensor]:
    """Returns the walking distance of the goal point that is farthest from each agent, and its number."""
    distances = scenes.distances_to_goals(state.scene, state.position)
    farthest, goal = torch.where(distances.isfinite(), distances, -1.0).max(-1)
    return farthest, goal
