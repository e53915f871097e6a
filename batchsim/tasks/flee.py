"""Flee: get as far from the start as one can, by walking distance (Shacklett et al., ICLR 2021)."""

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
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class Flee(Task):
    """Reward: metres by which the walking distance from the start has grown. Ends when time is up.

    Episodes start at one of the scene's goals, since the distance from there to everywhere is baked.
    """

    headline_measures: ClassVar[tuple[str, ...]] = ("distance_from_start", "max_distance", "flee_ratio")

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """A scene, one of its goals to start at, and a heading."""
        draws = uniform(seed, episode, 3)
        scene = draw_scene(scenes, draws[:, 0])
        goal = pick(draws[:, 2], scenes.goal_count[scene])
        position = scenes.goal_position(scene, goal)
        return {"scene": scene, "heading": draw_heading(draws[:, 1]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, episode_start: Tensor, episode: dict[str, Tensor]) -> None:
        """Keep which field measures the distance from the start, and the farthest that one can get."""
        super().begin(scenes, state, episode_start, episode)
        zero = torch.zeros_like(state.heading)
        state.keep(episode_start, origin=episode["goal"], distance=zero, max_distance=zero)
        state.keep(episode_start, farthest=scenes.farthest_distance(state.scene, state.task["origin"]))

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """The distance gained; never terminated."""
        task = state.task
        distance = scenes.goal_distance(state.scene, task["origin"], state.position)
        distance = torch.where(distance.isfinite(), distance, task["distance"])
        reward = distance - task["distance"]
        task["distance"] = distance
        task["max_distance"] = torch.maximum(task["max_distance"], distance)
        return reward, torch.zeros_like(action, dtype=torch.bool)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Metres from the start now and at the most; `flee_ratio`: the former's share of the farthest possible."""
        task = state.task
        return {
            "distance_from_start": task["distance"],
            "max_distance": task["max_distance"],
            "flee_ratio": (task["distance"] / task["farthest"].clamp(min=1e-6)).clamp(max=1.0),
        }

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Starts need a distance field: each becomes a goal of its scene. `OptionError` where nobody can stand."""
        scenes, episodes = super().prepare(scenes, episodes)
        by_name = {scene.name: scene for scene in scenes}
        if not by_name.keys() >= set(episodes.scene_names):
            return scenes, episodes
        episodes, linked, bad = link_goals(episodes, [by_name[name] for name in episodes.scene_names])
        if bad:
            raise OptionError(
                f"{len(bad)} episodes cannot be run; the first, {bad[0].episode_id} of {bad[0].scene_name}, "
                f"since {bad[0].reason}."
            )
        by_name |= {scene.name: scene for scene in linked}
        return [by_name[scene.name] for scene in scenes], episodes
