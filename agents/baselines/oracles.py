"""Baselines that know the map: they read the baked distances, which no observation holds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import NavVectorEnv, poses


class PathFollower:
    """Finds the turn or step that leads along the baked distances, in N environments at once."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        names = env.task.action_names
        self.forward, self.left, self.right = (names.index(name) for name in ("forward", "left", "right"))
        options = env.simulator.options
        count = round(360 / options.turn_angle)
        turns = torch.arange(count, device=env.device) - count // 2
        self._turns = turns[turns.abs().argsort(stable=True)]  # the nearest heading first, so that ties turn least
        self._turn_angle = math.radians(options.turn_angle)

    def distance_ahead(self, goal: Tensor) -> Tensor:
        """Metres of walking `[A, N]` to `goal` int64 `[N]` from where a step in each of A headings would lead."""
        state, scenes = self._simulator.state, self._simulator.scenes
        headings = poses.wrap_angle(state.heading + self._turns[:, None] * self._turn_angle)
        count, num_envs = headings.shape
        scene = state.scene.repeat(count)
        ahead = self._simulator.motion.ahead(scene, state.position.repeat(count, 1), headings.reshape(-1))
        return scenes.goal_distance(scene, goal.repeat(count), ahead).view(count, num_envs)

    def go(self, heading: Tensor) -> Tensor:
        """The action int64 `[N]` towards the heading with this number, int64 `[N]`: the step, or the turn to it."""
        turn = self._turns[heading]
        return torch.where(turn == 0, self.forward, torch.where(turn > 0, self.left, self.right))

    def towards(self, goal: Tensor) -> Tensor:
        """The action int64 `[N]` that leads to `goal`, int64 `[N]`, on the shortest way."""
        return self.go(self.distance_ahead(goal).argmin(0))

    def distance_to_goals(self) -> Tensor:
        """Metres of walking `[N, G]` from each body to all goals of its scene, inf where there is none."""
        state, scenes = self._simulator.state, self._simulator.scenes
        numbers = torch.arange(max(len(scene.goals) for scene in scenes.scenes), device=scenes.device)
        there = numbers < scenes.goal_count[state.scene].unsqueeze(-1)
        cell = scenes.locate(state.scene, state.position)
        shape = there.shape
        scene, cell = state.scene.unsqueeze(-1).expand(shape), cell.unsqueeze(-1).expand(shape)
        distance = scenes.cell_distance(scene, torch.where(there, numbers, 0), cell)
        return torch.where(there, distance, torch.inf)


class ShortestPathAgent:
    """PointNav's upper bound: turns to the heading whose step forward leaves the shortest way, then takes it."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._state = env.simulator.state
        self._path = PathFollower(env)
        self._stop = env.task.action_names.index("stop")
        self._stop_distance = 0.9 * env.task.success_distance

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decided by the distances to the goal."""
        action = self._path.towards(self._state.task["goal"])
        # A stop is due where it counts and no step forward would come nearer.
        near = self._state.task["distance"] < self._stop_distance
        return torch.where(near, self._stop, action)


class FarthestGoalAgent:
    """Flee's: walks to the goal that is farthest from the start, then on as far as the way leads away."""

    _NEAR = 0.5  # metres

    def __init__(self, env: NavVectorEnv) -> None:
        self._state = env.simulator.state
        self._path = PathFollower(env)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._arrived = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decided by the distances to the goals and from the start."""
        path, task = self._path, self._state.task
        walks = path.distance_to_goals()
        farthest = torch.where(walks.isfinite(), walks, -1.0).argmax(-1)
        self._target = torch.where(episode_start, farthest, self._target)
        near = walks.gather(-1, self._target.unsqueeze(-1)).squeeze(-1) < self._NEAR
        self._arrived = (self._arrived & ~episode_start) | near
        from_start = path.distance_ahead(task["origin"])
        best, away = torch.where(from_start.isfinite(), from_start, -1.0).max(0)
        # At the end of the way it turns on the spot, since there is no action that does nothing.
        outward = torch.where(best > task["distance"], path.go(away), path.left)
        return torch.where(self._arrived, outward, path.towards(self._target))


class NearestUnvisitedAgent:
    """Explore's: walks to the nearest goal whose coverage-grid cell has not been visited, then to the next.

    With coarse turns it can come to stand where no step leads nearer: now and then it acts at random, which frees it.
    """

    _AT_RANDOM = 0.06
    _NEAR = 0.3  # metres: of a cell that is a mere strip along a wall, no step may ever end in it

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        self._path = PathFollower(env)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._met = torch.zeros(env.num_envs, 1, dtype=torch.bool, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decided by the distances to the goals, and by what the task has ticked off."""
        walks = self._path.distance_to_goals()
        self._met = (self._met & ~episode_start.unsqueeze(-1)) | (walks < self._NEAR)
        walks = torch.where(self._visited(walks.shape) | self._met, torch.inf, walks)
        reached = walks.gather(-1, self._target.unsqueeze(-1)).squeeze(-1).isinf()
        self._target = torch.where(episode_start | reached, walks.argmin(-1), self._target)
        path = self._path
        action = path.towards(self._target)
        third = self._AT_RANDOM / 3
        free = torch.where(uniform < third, path.forward, torch.where(uniform < 2 * third, path.left, path.right))
        return torch.where(uniform < self._AT_RANDOM, free, action)

    def _visited(self, shape: torch.Size) -> Tensor:
        """Returns whether the cell of each goal has been visited, bool `[N, G]`."""
        state, scenes = self._simulator.state, self._simulator.scenes
        scene = state.scene.unsqueeze(-1).expand(shape)
        goal = torch.arange(shape[1], device=scenes.device).minimum(scenes.goal_count[scene] - 1)
        cell = scenes.coverage_cell(scene, scenes.goal_position(scene, goal))
        return state.task["visited"].gather(-1, cell.clamp(min=0)) | (cell < 0)
