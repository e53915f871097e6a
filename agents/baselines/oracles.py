"""Baselines that know the map: they read the baked geodesic distances, which no observation contains."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import NavVectorEnv, poses
from batchsim.tasks import GoalNavigation, PointNav


class PathFollower:
    """Finds the turn or step that follows the baked distances, in N environments at once."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        names = env.task.action_names
        self.forward, self.left, self.right = (names.index(name) for name in ("forward", "left", "right"))
        options = env.simulator.options
        count = round(360 / options.turn_angle)
        turns = torch.arange(count, device=env.device) - count // 2
        self._turns = turns[turns.abs().argsort(stable=True)]  # nearest heading first, so that ties turn least
        self._turn_angle = math.radians(options.turn_angle)

    def distance_ahead(self, goal: Tensor) -> Tensor:
        """Geodesic distances to `goal` after one forward step in each possible heading.

        Args:
            goal: Goal index in the environment's scene, int64 `[N]`.

        Returns:
            Metres `[A, N]` for the A headings that turning can reach.
        """
        state, scenes = self._simulator.state, self._simulator.scenes
        headings = poses.wrap_angle(state.heading + self._turns[:, None] * self._turn_angle)
        count, num_envs = headings.shape
        scene = state.scene.repeat(count)
        ahead = self._simulator.motion.ahead(scene, state.position.repeat(count, 1), headings.reshape(-1))
        return scenes.goal_distance(scene, goal.repeat(count), ahead).view(count, num_envs)

    def go(self, heading: Tensor) -> Tensor:
        """The action int64 `[N]` towards the heading with this index, int64 `[N]`: a step, or a turn to it."""
        turn = self._turns[heading]
        return torch.where(turn == 0, self.forward, torch.where(turn > 0, self.left, self.right))

    def towards(self, goal: Tensor) -> Tensor:
        """The action int64 `[N]` that follows the shortest path to `goal`, int64 `[N]`."""
        return self.go(self.distance_ahead(goal).argmin(0))

    def distance_to_goals(self) -> Tensor:
        """Geodesic distances, metres `[N, G]`, to all goals of each agent's scene; inf beyond the last goal."""
        state, scenes = self._simulator.state, self._simulator.scenes
        numbers = torch.arange(max(len(scene.goals) for scene in scenes.scenes), device=scenes.device)
        exists = numbers < scenes.goal_count[state.scene].unsqueeze(-1)
        cell = scenes.locate(state.scene, state.position)
        shape = exists.shape
        scene, cell = state.scene.unsqueeze(-1).expand(shape), cell.unsqueeze(-1).expand(shape)
        distance = scenes.cell_distance(scene, torch.where(exists, numbers, 0), cell)
        return torch.where(exists, distance, torch.inf)


class ShortestPathAgent:
    """Oracle of tasks with a goal: turns to the heading whose next step minimises the remaining distance, then steps.

    Stops, or says "found", near the goal.
    """

    def __init__(self, env: NavVectorEnv) -> None:
        assert isinstance(env.task, (PointNav, GoalNavigation))
        self._state = env.simulator.state
        self._path = PathFollower(env)
        names = env.task.action_names
        self._stop = names.index("stop" if "stop" in names else "found")
        self._success_distance = env.task.success_distance

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the distances to the goal."""
        action = self._path.towards(self._state.task["goal"])
        near = self._state.task["distance"] < 0.9 * self._state.task.get("goal_radius", self._success_distance)
        return torch.where(near, self._stop, action)


class FarthestGoalAgent:
    """Flee oracle: moves to the goal point farthest from the start, then on as long as the distance grows."""

    _NEAR = 0.5  # metres

    def __init__(self, env: NavVectorEnv) -> None:
        self._state = env.simulator.state
        self._path = PathFollower(env)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._arrived = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the distances to the goal points and from the start."""
        path, task = self._path, self._state.task
        to_goals = path.distance_to_goals()
        farthest = torch.where(to_goals.isfinite(), to_goals, -1.0).argmax(-1)
        self._target = torch.where(episode_start, farthest, self._target)
        near = to_goals.gather(-1, self._target.unsqueeze(-1)).squeeze(-1) < self._NEAR
        self._arrived = (self._arrived & ~episode_start) | near
        from_start = path.distance_ahead(task["origin"])
        best, away = torch.where(from_start.isfinite(), from_start, -1.0).max(0)
        # The task has no action that does nothing, so the agent turns on the spot where no step leads farther.
        outward = torch.where(best > task["distance"], path.go(away), path.left)
        return torch.where(self._arrived, outward, path.towards(self._target))


class NearestUnvisitedAgent:
    """Explore heuristic: moves to the nearest goal point in an unvisited cell of the coverage grid, then to the next.

    With coarse turns it can stand where no step leads nearer; random actions, 6 in 100, free it.
    """

    _AT_RANDOM = 0.06
    _NEAR = 0.3  # metres; no step may end in a cell that is only a strip along a wall

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        self._path = PathFollower(env)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._met = torch.zeros(env.num_envs, 1, dtype=torch.bool, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the distances to the goal points and by the cells that the task counts as visited."""
        to_goals = self._path.distance_to_goals()
        self._met = (self._met & ~episode_start.unsqueeze(-1)) | (to_goals < self._NEAR)
        to_goals = torch.where(self._visited(to_goals.shape) | self._met, torch.inf, to_goals)
        reached = to_goals.gather(-1, self._target.unsqueeze(-1)).squeeze(-1).isinf()
        self._target = torch.where(episode_start | reached, to_goals.argmin(-1), self._target)
        path = self._path
        action = path.towards(self._target)
        third = self._AT_RANDOM / 3
        free = torch.where(uniform < third, path.forward, torch.where(uniform < 2 * third, path.left, path.right))
        return torch.where(uniform < self._AT_RANDOM, free, action)

    def _visited(self, shape: torch.Size) -> Tensor:
        """Whether the cell of each goal point has been visited, bool `[N, G]`."""
        state, scenes = self._simulator.state, self._simulator.scenes
        scene = state.scene.unsqueeze(-1).expand(shape)
        goal = torch.arange(shape[1], device=scenes.device).minimum(scenes.goal_count[scene] - 1)
        cell = scenes.coverage_cell(scene, scenes.goal_position(scene, goal))
        return state.task["visited"].gather(-1, cell.clamp(min=0)) | (cell < 0)
