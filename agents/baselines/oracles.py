"""Baselines that know the map: they read the baked geodesic distances, which no observation contains."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.expert.expert import Expert
from batchsim.expert.path_follower import PathFollower


class ExpertAgent:
    """Oracle of tasks that have an expert: does what `NavVectorEnv.expert` says.

    With velocity control, the actions are those of an environment with numbered ones.
    """

    def __init__(self, env: NavVectorEnv) -> None:
        simulator, options = env.simulator, env.simulator.options
        moves = options.forward_step, options.turn_angle
        self._expert = Expert(simulator.scenes, simulator.state, simulator.motion, env.task, *moves)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the distances on the map."""
        return self._expert()[0]


class NearestUnvisitedAgent:
    """Explore heuristic: moves to the nearest goal point in an unvisited cell of the coverage grid, then to the next.

    With coarse turns it can stand where no step leads nearer; random actions, 6 in 100, free it.
    """

    _AT_RANDOM = 0.06
    _NEAR = 0.3  # metres; no step may end in a cell that is only a strip along a wall

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        self._path = path_follower(env)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._met = torch.zeros(env.num_envs, 1, dtype=torch.bool, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the distances to the goal points and by the cells that the task counts as visited."""
        state = self._simulator.state
        to_goals = self._simulator.scenes.distances_to_goals(state.scene, state.position)
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


def path_follower(env: NavVectorEnv) -> PathFollower:
    """Returns what leads the agents of `env` to any goals of their scenes."""
    simulator, options = env.simulator, env.simulator.options
    world = simulator.scenes, simulator.state, simulator.motion
    return PathFollower(*world, env.task.action_names, options.forward_step, options.turn_angle)
