"""`Task`: what every task has, with what most of them share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import gymnasium as gym
import numpy as np
from torch import Tensor

from batchsim.random_streams import pick, uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.tasks.sensors import compass, gps
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_CANDIDATES = 8  # cells tried for a start


class Task(ABC):
    """What an episode is about: how it starts, what is sensed beside the images, rewarded, measured, and its end.

    A new task is a subclass with `step`, and with whatever of the rest differs from what stands here: starts drawn from
    the floor, the sensors `gps` and `compass`, the actions forward, left and right, no measures. All methods work on N
    environments at once and on any device; what a task keeps of each environment lies in `state.task`, a dict of
    tensors of length N, written by `state.keep`.

    - `action_names`: what action k is called. "forward", "left" and "right" move the body; others move nothing.
    - `headline_measures`: those of `measures` that tables show, the one that matters most first.
    """

    action_names: ClassVar[tuple[str, ...]] = ("forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ()

    def observation_spaces(self) -> dict[str, gym.Space]:
        """The sensors this task adds to the images."""
        turn = np.float32(math.pi)
        return {
            "gps": gym.spaces.Box(-np.inf, np.inf, (2,), np.float32),
            "compass": gym.spaces.Box(-turn, turn, (1,), np.float32),
        }

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draw one episode for each environment from its own stream: number `episode` (int64 `[N]`) of `seed`.

        Returns `scene`, `position`, `heading` and the number `goal` of a goal that can be reached from there.
        """
        draws = uniform(seed, episode, 3 + _CANDIDATES)
        scene = draw_scene(scenes, draws[:, 0])
        goal = pick(draws[:, 2], scenes.goal_count[scene])
        # Goals lie on islands of some size: what cannot be reached from one is no place to start.
        scene_of, goal_of = (index.unsqueeze(-1).expand(-1, _CANDIDATES) for index in (scene, goal))
        cell = scenes.cell_offset[scene_of] + pick(draws[:, 3:], scenes.cell_count[scene_of])
        reachable = scenes.cell_distance(scene_of, goal_of, cell).isfinite()
        found, first = reachable.float().max(-1, keepdim=True)
        position = scenes.cell_position[cell.gather(-1, first).squeeze(-1)]
        position = position.where(found > 0, scenes.goal_position(scene, goal))
        return {"scene": scene, "heading": draw_heading(draws[:, 1]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, episode_start: Tensor, episode: dict[str, Tensor]) -> None:
        """Start the episodes of the environments in `episode_start`, bool `[N]`; `state` has their bodies in place already.

        `episode` is what `sample` gave. Here the start pose is kept, for `gps` and `compass`.
        """
        state.keep(episode_start, start_position=state.position, start_heading=state.heading)

    @abstractmethod
    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward float32 `[N]` and terminated bool `[N]` after the bodies have moved by `action`, int64 `[N]`.

        The limit of steps is none of the task's business: it truncates.
        """

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """What `observation_spaces` promises, `[N, ...]` each."""
        start, heading = state.task["start_position"], state.task["start_heading"]
        return {"gps": gps(state.position, start, heading), "compass": compass(state.heading, heading)}

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """float32 `[N]` each: how the current episodes stand."""
        return {}

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """A fixed set of episodes and its scenes, made ready for this task: here the goals, which it does not have.

        Starts and headings stay; the start stands for the goal.
        """
        nothing = np.zeros(len(episodes), np.int32)
        start = episodes.start_position
        return scenes, replace(episodes, goal=start, goal_index=nothing, geodesic_distance=nothing.astype(np.float32))


def draw_scene(scenes: ResidentScenes, draw: Tensor) -> Tensor:
    """Resident scenes int64 from uniform draws in [0, 1), each as likely as another; none that is about to go."""
    return scenes.draw(draw)


def draw_heading(draw: Tensor) -> Tensor:
    """Headings in [-pi, pi) from uniform draws in [0, 1)."""
    return draw * (2 * math.pi) - math.pi
