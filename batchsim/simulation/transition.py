"""What a step does to tensors: from one state to the next, to rewards, and to the views that are to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from batchsim import poses
from batchsim.render.batch_renderer import NO_SCENE
from batchsim.simulation.episode_sources import EpisodeSource
from batchsim.tasks import Task
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

Which = Tensor | slice
"""Numbers of environments, int64; or a slice of them."""


@dataclass
class StepResult:
    """What one step gave, all of length N: observations of the next state, and of the finished episodes' last.

    `done` is `terminated | truncated`; rows of `final_observation` mean something only where it is set.
    `position` float32 `[N, 3]` and `heading`: where the action led, before any new episode began.
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


class Transition:
    """Leads N environments from one state to the next; called, it makes a step, but for its images.

    - `camera_height`: metres; `max_episode_steps`: after which an episode is cut off.
    - `poses` float32 `[2 N, 7]`, `view_scene` int64 `[2 N]`: the views that show the next state, and from N on those of
      the last states of episodes that ended.
    - `counts_ended`: ask how many ended, for which the host waits, and place views for those alone; without, for all,
      empty ones where no episode ended, and nothing is decided by the host.
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
    ) -> None:
        self.scenes = scenes
        self.state = state
        self.task = task
        self.episodes = episodes
        self.num_envs = len(state.seed)
        self.counts_ended = scenes.device.type == "cpu"
        self.poses = torch.zeros((2 * self.num_envs, 7), device=scenes.device)
        self.view_scene = torch.zeros(2 * self.num_envs, dtype=torch.int64, device=scenes.device)
        self._motion = motion
        self._camera_height = camera_height
        self._max_episode_steps = max_episode_steps
        turns = [{"left": 1.0, "right": -1.0}.get(name, 0.0) for name in task.action_names]
        self._turn_of_action = torch.tensor(turns, device=scenes.device)
        self._is_walk = torch.tensor([name == "forward" for name in task.action_names], device=scenes.device)

    def __call__(
        self, action: Tensor, episode_start: Tensor | None, autoreset: bool
    ) -> tuple[StepResult, Which | None]:
        """One step, as `Simulator.step` says, and whose last views were placed; None for nobody's."""
        result = self._act(action, episode_start)
        ended = self._ended(result.done) if autoreset else None
        if ended is not None:
            self._place_cameras(self.num_envs, ended)
            if not self.counts_ended:
                self.view_scene[self.num_envs :].masked_fill_(~result.done, NO_SCENE)
            result.final_observation = self.task.observe(self.scenes, self.state)
            self.begin(result.done)
        result.observation = self.look()
        return result, ended

    def compile(self) -> None:
        """Fuse the hundreds of short operations of a step by `torch.compile`, each part of it at its first call.

        The parts are those between which a CPU asks whose episodes ended.
        """
        # On a CPU one thread, since the tensors are short, and one number at a time: what torch 2.13 writes for several
        # at once crashes.
        options = {"cpp.threads": 1, "cpp.simdlen": 1} if self.scenes.device.type == "cpu" else {}
        for name in ("_act", "begin", "look"):
            setattr(self, name, torch.compile(getattr(self, name), options=options))

    def count_views(self, ended: Which | None) -> int:
        """How many views a step has placed."""
        if ended is None:
            return self.num_envs
        return 2 * self.num_envs if isinstance(ended, slice) else self.num_envs + len(ended)

    def begin(self, episode_start: Tensor) -> None:
        """Put the environments in `episode_start` (bool `[N]`) at the start of their next episode."""
        state = self.state
        state.episode = state.episode + episode_start
        episode = self.episodes.sample(self.scenes, state.seed, state.episode)
        for name in ("scene", "position", "heading"):
            old = getattr(state, name)
            setattr(state, name, torch.where(episode_start.view(-1, *[1] * (old.ndim - 1)), episode[name], old))
        for name in ("step", "path_length", "collisions", "collided", "episode_return"):
            old = getattr(state, name)
            setattr(state, name, torch.where(episode_start, torch.zeros_like(old), old))
        self.task.begin(self.scenes, state, episode_start, episode)

    def look(self) -> dict[str, Tensor]:
        """Place the views of all environments as they stand; returns what the task senses there."""
        self._place_cameras(0, slice(None))
        return self.task.observe(self.scenes, self.state)

    def measures(self) -> dict[str, Tensor]:
        """The current episodes' measures, length N each: the task's, and `r` (return), `l` (steps), `collisions`."""
        state = self.state
        measures = self.task.measures(self.scenes, state)
        return measures | {
            "r": state.episode_return,
            "l": state.step,
            "collisions": state.collisions,
            "path_length": state.path_length,
        }

    def _act(self, action: Tensor, episode_start: Tensor | None) -> StepResult:
        """Move, reward and end; the observations are still to come."""
        state = self.state
        self._motion.apply(state, self._turn_of_action[action], self._is_walk[action])
        state.step = state.step + 1
        reward, terminated = self.task.step(self.scenes, state, action)
        truncated = (state.step >= self._max_episode_steps) & ~terminated
        if episode_start is not None:
            self.begin(episode_start)
            reward = torch.where(episode_start, 0.0, reward)
            terminated, truncated = terminated & ~episode_start, truncated & ~episode_start
        done = terminated | truncated
        state.episode_return = state.episode_return + reward
        return StepResult({}, reward, terminated, truncated, done, {}, self.measures(), state.position, state.heading)

    def _ended(self, done: Tensor) -> Which | None:
        """Whose episodes ended, as far as the host may ask; None where it knows of nobody's."""
        if not self.counts_ended:
            return slice(None)
        ended = done.nonzero().squeeze(-1)
        return ended if len(ended) else None

    def _place_cameras(self, first: int, which: Which) -> None:
        """Write the views from `first` on: the cameras of the bodies in `which`."""
        position, heading = self.state.position[which], self.state.heading[which]
        rows = slice(first, first + len(heading))
        self.poses[rows, 0:3] = position
        self.poses[rows, 1] += self._camera_height
        self.poses[rows, 3:7] = poses.heading_to_quaternion(heading)
        self.view_scene[rows] = self.state.scene[which]
