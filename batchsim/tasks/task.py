"""`Task`: the base class of all tasks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import gymnasium as gym
import numpy as np
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import pick, uniform
from batchsim.render.camera import Camera
from batchsim.scenes import EpisodeSet, Scene
from batchsim.tasks.sensors import MAX_METRES, compass, gps
from batchsim.world.expert_plan import ExpertPlan
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_CANDIDATES = 8  # start cells drawn for each episode


class Task(ABC):
    """Defines how episodes start and end, and what is observed besides images, rewarded and measured.

    A new task is a subclass with a `step` method. By default, starts are drawn from the whole floor, the sensors are
    `gps` and `compass`, the actions are forward, left and right, and there are no measures; override what differs. All
    methods work on N environments at once and on any device. A task keeps its data of each environment in
    `state.task`, a dict of tensors of length N (`State.keep`).

    Attributes:
        action_names: Name of each action. "forward", "left" and "right" move the agent; others do not.
        headline_measures: The measures that tables show, the most important first.
        goal_image: Name of the observation that shows the goal, drawn once an episode from `goal_poses`; empty: none.
        uses_objects: Whether goals are objects, so that distances to them are loaded too (`ResidentScenes.objects`).
    """

    action_names: ClassVar[tuple[str, ...]] = ("forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ()
    uses_objects: ClassVar[bool] = False
    goal_image: ClassVar[str] = ""

    @property
    def goal_camera(self) -> Camera | None:
        """The camera that draws `goal_image`; None: one like the agent's."""
        return None

    def for_scenes(self, categories: Sequence[str], has: Callable[[str], bool]) -> Task:
        """Returns this task for certain scenes; by default itself.

        Args:
            categories: Names of all categories of objects; the position is the id.
            has: Says whether some scene has objects of a category.

        Raises:
            OptionError: If the task cannot be done in these scenes.
        """
        return self

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the spaces of the sensors that this task adds to the images, for one environment."""
        turn = np.float32(math.pi)
        return {
            "gps": gym.spaces.Box(-MAX_METRES, MAX_METRES, (2,), np.float32),
            "compass": gym.spaces.Box(-turn, turn, (1,), np.float32),
        }

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws one episode for each environment.

        Args:
            scenes: The resident scenes.
            seed: int64 `[N]`, each environment's random stream.
            episode: int64 `[N]`, number of the episode in that stream.

        Returns:
            `scene` (int64 slots), `position` (float32 `[N, 3]`), `heading` (radians) and `goal`: the number of a goal
            that can be reached from `position`.
        """
        draws = uniform(seed, episode, 3 + _CANDIDATES)
        scene = draw_scene(scenes, draws[:, 0])
        goal = pick(draws[:, 2], scenes.goal_count[scene])
        # Goals are on islands of some size, so a start must be connected to one.
        scene_of, goal_of = (index.unsqueeze(-1).expand(-1, _CANDIDATES) for index in (scene, goal))
        cell = scenes.cell_offset[scene_of] + pick(draws[:, 3:], scenes.cell_count[scene_of])
        reachable = scenes.cell_distance(scene_of, goal_of, cell).isfinite()
        found, first = reachable.float().max(-1, keepdim=True)
        position = scenes.cell_position[cell.gather(-1, first).squeeze(-1)]
        position = position.where(found > 0, scenes.goal_position(scene, goal))
        return {"scene": scene, "heading": draw_heading(draws[:, 1]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Initialises the task's data of environments that start an episode; by default stores the start pose.

        Args:
            scenes: The resident scenes.
            state: The state, in which the agents are already at their start.
            mask: bool `[N]`, the environments that start an episode.
            episode: What `sample` returned; rows outside `mask` are meaningless.
        """
        state.keep(mask, start_position=state.position, start_heading=state.heading)

    @abstractmethod
    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns reward (float32 `[N]`) and terminated (bool `[N]`) after the agents have moved.

        The simulator handles the limit of steps (truncation).

        Args:
            scenes: The resident scenes.
            state: The state after the motion.
            action: int64 `[N]`, the actions taken.
        """

    def goal_poses(self, scenes: ResidentScenes, state: State, camera_height: float) -> Tensor:
        """Returns the poses `[N, 7]` of cameras that see the goals, for tasks with a `goal_image`.

        Args:
            scenes: The resident scenes.
            state: The state.
            camera_height: Height of the agents' cameras above the floor, metres.
        """
        raise NotImplementedError(f"{type(self).__name__} names a goal_image but has no goal_poses.")

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns the observations described by `observation_spaces`, `[N, ...]` each."""
        start, heading = state.task["start_position"], state.task["start_heading"]
        return {"gps": gps(state.position, start, heading), "compass": compass(state.heading, heading)}

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns measures of the current episodes so far, float32 `[N]` each."""
        return {}

    def expert_plan(self, scenes: ResidentScenes, state: State) -> ExpertPlan:
        """Returns where an expert that knows the map goes from the current state, and where it ends the episode.

        Raises:
            OptionError: If the task has no expert, which is the default.
        """
        raise OptionError(f"The task {type(self).__name__} has no expert.")

    def distance_to_go(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Returns what an expert minimises, at the positions in `state`: metres, float32 `[N]`.

        By default the walking distance to the goal of `expert_plan`.
        """
        return scenes.goal_distance(state.scene, self.expert_plan(scenes, state).goal, state.position)

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Adapts a fixed set of episodes and its scenes to this task.

        By default, starts and headings are kept and goals are replaced by the start, for tasks without goals.
        """
        nothing = np.zeros(len(episodes), np.int32)
        start = episodes.start_position
        return scenes, replace(episodes, goal=start, goal_index=nothing, geodesic_distance=nothing.astype(np.float32))


def draw_scene(scenes: ResidentScenes, draw: Tensor) -> Tensor:
    """Maps uniform draws in [0, 1) to resident scenes (int64), equally likely; skips scenes about to be replaced."""
    return scenes.sample_slot(draw)


def draw_heading(draw: Tensor) -> Tensor:
    """Maps uniform draws in [0, 1) to headings in [-pi, pi)."""
    return draw * (2 * math.pi) - math.pi
