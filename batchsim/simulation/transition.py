"""`Transition`: one step of the simulation in torch, from one state to the next; everything but the images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim import poses
from batchsim.control import Command, Control, DiscreteControl
from batchsim.expert.expert import Expert
from batchsim.noise.normal import step_counter
from batchsim.render.batch_renderer import NO_SCENE
from batchsim.simulation.episode_sources import EpisodeSource
from batchsim.tasks import Task
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

EnvIndex = Tensor | slice
"""Selects environments: int64 numbers, or a slice."""


@dataclass
class StepResult:
    """The result of one step of N environments.

    Attributes:
        observation: Observations of the next state, `[N, ...]` each.
        reward: float32 `[N]`.
        terminated: bool `[N]`.
        truncated: bool `[N]`, whether the step limit was reached; an episode can be terminated and truncated at once.
        done: bool `[N]`, `terminated | truncated`.
        final_observation: Last observations of the episodes that ended, `[N, ...]` each; other rows are meaningless.
        measures: Measures of the episodes after the action, before any reset.
        position: float32 `[N, 3]`, metres: where the action led, before any reset.
        heading: float32 `[N]`, radians, likewise.
        expert: "expert_action" and "expert_cost" of the next state (`Expert`); empty if they are not asked for.
    """

    observation: dict[str, Tensor]
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    done: Tensor
    final_observation: dict[str, Tensor]
    measures: dict[str, Tensor]
    position: Tensor
    heading: Tensor
    expert: dict[str, Tensor] = field(default_factory=dict)


class Transition:
    """Advances N environments by one step when called.

    Args:
        scenes: The resident scenes.
        state: The state, which is changed in place.
        motion: Moves the agents.
        task: Rewards, measures and ends episodes.
        episodes: Where new episodes come from.
        camera_height: Height of the cameras' mount above the floor, metres.
        max_episode_steps: Steps after which an episode is truncated.
        control: What actions mean; None: steps of 0.25 m and turns of 10 degrees.
        has_goal_images: Whether goal images are rendered.
        expert: Computed after every step; None: not.

    Attributes:
        poses: float32 `[2 N, 7]`, the views to render: N of the next states, then those of the last states of episodes
            that ended.
        view_scene: int64 `[2 N]`, the scene slot of each view.
        goal_poses: float32 `[N, 7]`, the views of the goals of episodes that start; `goal_scene` int64 `[N]`, the
            slots.
        view_seed: int64, as `view_scene`: the random stream of each view's noise; `view_counter`: the place in it.
        has_goal_images: Whether the task shows its goals.
        counts_ended: Whether the host asks how many episodes ended, and places only their last views (on a CPU, where
            that is free). Otherwise N last views are placed, empty ones where no episode ended, and the host never
            waits for the device.
    """

    def __init__(
        self,
        scenes: ResidentScenes,
        state: State,
        motion: Motion,
        task: Task,
        episodes: EpisodeSource,
        camera_height: float,
        max_episode_steps: int,
        control: Control | None = None,
        has_goal_images: bool = False,
        expert: Expert | None = None,
    ) -> None:
        self.scenes = scenes
        self.state = state
        self.task = task
        self.episodes = episodes
        self.num_envs = len(state.seed)
        self.counts_ended = scenes.device.type == "cpu"
        self.has_goal_images = has_goal_images
        views = 2 * self.num_envs
        self.goal_poses = torch.zeros((self.num_envs, 7), device=scenes.device)
        self.goal_scene = torch.zeros(self.num_envs, dtype=torch.int64, device=scenes.device)
        self.poses = torch.zeros((views, 7), device=scenes.device)
        self.view_scene, self.view_seed, self.view_counter = (
            torch.zeros(views, dtype=torch.int64, device=scenes.device) for _ in range(3)
        )
        self.control = control or DiscreteControl(task.action_names, 0.25, 10.0, 15.0, scenes.device)
        self._motion = motion
        self._expert = expert
        self._camera_height = camera_height
        self._tilts = "look_up" in task.action_names
        self._samples_rows = isinstance(episodes, Task)  # other sources look at the environment's number
        self._max_episode_steps = max_episode_steps

    def __call__(
        self, action: Tensor, mode: AutoresetMode, waiting: Tensor | None
    ) -> tuple[StepResult, EnvIndex | None]:
        """Makes one step; see `Simulator.step` for the arguments.

        Returns:
            The result without images, and the environments whose last views were placed, or None if there are none.
        """
        result = self._act(action, mode, waiting)
        ended = self._ended(result.done) if mode == AutoresetMode.SAME_STEP else None
        if ended is not None:
            self._place_cameras(self.num_envs, ended)
            if not self.counts_ended:
                self.view_scene[self.num_envs :].masked_fill_(~result.done, NO_SCENE)
            result.final_observation = self.task.observe(self.scenes, self.state)
            self.start_episodes(result.done, ended)
        result.observation = self.observe()
        if self._expert is not None:
            result.expert = self._expert.as_info()
        if self.has_goal_images:
            mask = result.done if mode == AutoresetMode.SAME_STEP else waiting
            started = self.started(mode, ended, waiting)
            if mask is not None and started is not None:
                self.place_goals(started, mask)
        return result, ended

    def started(self, mode: AutoresetMode, ended: EnvIndex | None, waiting: Tensor | None) -> EnvIndex | None:
        """Returns the environments whose goal views a step placed; None if there are none.

        Args:
            mode: See `Simulator.step`; `waiting` too.
            ended: The second result of the step.
            waiting: See `mode`.
        """
        if not self.has_goal_images:
            return None
        if mode == AutoresetMode.SAME_STEP:
            return ended
        return None if waiting is None or mode == AutoresetMode.DISABLED else self._ended(waiting)

    def place_goals(self, which: EnvIndex, mask: Tensor) -> None:
        """Writes the views of the goals of the environments in `which` to the first rows of `goal_poses`.

        Views of environments outside `mask` (bool `[N]`) are empty.
        """
        goals = self.task.goal_poses(self.scenes, self.state, self._camera_height)[which]
        self.goal_poses[: len(goals)] = goals
        self.goal_scene[: len(goals)] = torch.where(mask, self.state.scene, NO_SCENE)[which]

    def compile(self) -> None:
        """Fuses the hundreds of short operations of a step with `torch.compile`, each part at its first call.

        The parts are separated by the point where a CPU asks which episodes ended.
        """
        # On a CPU, one thread because the tensors are short, and no SIMD because the vector code of torch 2.13 crashes.
        cpu = self.scenes.device.type == "cpu"
        options: dict[str, Any] = {"cpp.threads": 1, "cpp.simdlen": 1} if cpu else {}
        self._samples_rows = False  # tensors of any length would be compiled again and again
        for name in ("_act", "start_episodes", "observe"):
            setattr(self, name, torch.compile(getattr(self, name), options=options))

    def count_views(self, ended: EnvIndex | None) -> int:
        """Returns the number of views that a step placed; `ended` is the second result of the step."""
        if ended is None:
            return self.num_envs
        return 2 * self.num_envs if isinstance(ended, slice) else self.num_envs + len(ended)

    def count_goals(self, started: EnvIndex | None) -> int:
        """Returns the number of goal views that a step placed; `started` is what the method of that name returns."""
        if started is None:
            return 0
        return self.num_envs if isinstance(started, slice) else len(started)

    def start_episodes(self, mask: Tensor, which: EnvIndex | None = None) -> None:
        """Puts the environments in `mask` (bool `[N]`) at the start of their next episode.

        `which` selects the same environments, if the host knows them: then only their episodes are sampled.
        """
        state = self.state
        state.episode = state.episode + mask
        if isinstance(which, Tensor) and self._samples_rows:
            sampled = self.episodes.sample(self.scenes, state.seed[which], state.episode[which])
            episode = {name: _spread(rows, which, self.num_envs) for name, rows in sampled.items()}
        else:
            episode = self.episodes.sample(self.scenes, state.seed, state.episode)
        for name in ("scene", "position", "heading"):
            setattr(state, name, _select(mask, episode[name], getattr(state, name)))
        for name in ("pitch", "step", "path_length", "collisions", "collided", "episode_return"):
            old = getattr(state, name)
            setattr(state, name, torch.where(mask, torch.zeros_like(old), old))
        self.task.begin(self.scenes, state, mask, episode)

    def observe(self) -> dict[str, Tensor]:
        """Places the views of all environments; returns the observations of the task."""
        self._place_cameras(0, slice(None))
        return self.task.observe(self.scenes, self.state)

    def measures(self) -> dict[str, Tensor]:
        """Returns the measures of the current episodes, `[N]` each: the task's and those common to all tasks."""
        state = self.state
        measures = self.task.measures(self.scenes, state)
        return measures | {
            "episode_return": state.episode_return,
            "episode_length": state.step,
            "collisions": state.collisions,
            "path_length": state.path_length,
        }

    def _act(self, action: Tensor, mode: AutoresetMode, waiting: Tensor | None) -> StepResult:
        """Moves, rewards and ends; the observations are filled in later."""
        state = self.state
        frozen = waiting if mode == AutoresetMode.DISABLED else None
        before = None if frozen is None else state.state_dict()
        command = self.control(action)
        if frozen is not None:
            command = Command(command.task_action, *(amount.masked_fill(frozen, 0.0) for amount in command[1:]))
        self._motion.apply(state, command)
        state.step = state.step + 1
        reward, terminated = self.task.step(self.scenes, state, command.task_action)
        truncated = state.step >= self._max_episode_steps
        if before is not None and frozen is not None:
            after = state.tensors()
            state.assign({name: _select(frozen, before.get(name, value), value) for name, value in after.items()})
        elif waiting is not None:
            self.start_episodes(waiting)
        if waiting is not None:
            reward = torch.where(waiting, 0.0, reward)
            terminated, truncated = terminated & ~waiting, truncated & ~waiting
        done = terminated | truncated
        state.episode_return = state.episode_return + reward
        return StepResult({}, reward, terminated, truncated, done, {}, self.measures(), state.position, state.heading)

    def _ended(self, done: Tensor) -> EnvIndex | None:
        """Returns the environments whose last views to place; None if there are none."""
        if not self.counts_ended:
            return slice(None)
        ended = done.nonzero().squeeze(-1)
        return ended if len(ended) else None

    def _place_cameras(self, first: int, which: EnvIndex) -> None:
        """Writes the views of the environments in `which` to row `first` and those after it."""
        position, heading = self.state.position[which], self.state.heading[which]
        rows = slice(first, first + len(heading))
        self.poses[rows, 0:3] = position
        self.poses[rows, 1] += self._camera_height
        self.poses[rows, 3:7] = poses.heading_to_quaternion(heading)
        if self._tilts:
            self.poses[rows, 3:7] = poses.tilted(self.poses[rows, 3:7], self.state.pitch[which])
        self.view_scene[rows] = self.state.scene[which]
        self.view_seed[rows] = self.state.seed[which]
        self.view_counter[rows] = step_counter(self.state.episode[which], self.state.step[which])


def _select(mask: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """Returns the rows of `chosen` where `mask` (bool `[N]`) is set, else those of `other`."""
    if chosen.shape != other.shape:  # a task's tensor has grown in this step
        return other
    return torch.where(mask.view(-1, *[1] * (other.ndim - 1)), chosen, other)


def _spread(rows: Tensor, which: Tensor, length: int) -> Tensor:
    """Returns zeros `[length, ...]` with `rows` at the places `which`."""
    return rows.new_zeros((length, *rows.shape[1:])).index_copy_(0, which, rows)
