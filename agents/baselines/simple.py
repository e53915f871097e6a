"""Baselines that do not know the map: random, forward and greedy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.sampling import sample_categorical
from batchsim.tasks import PointNav
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT, STOP

# Stops once in 50 actions on average, so that it moves away from the start first.
_RANDOM_STOP = 0.02


class RandomAgent:
    """Moves and turns at random; stops occasionally if the task has a stop action."""

    def __init__(self, env: NavVectorEnv) -> None:
        names = env.task.action_names
        stop = _RANDOM_STOP if "stop" in names else 0.0
        others = (1 - stop) / (len(names) - ("stop" in names))
        self._probs = torch.tensor([stop if name == "stop" else others for name in names], device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Sample one action per environment."""
        return sample_categorical(self._probs, uniform)


class ForwardAgent:
    """Moves straight ahead, turns left after a collision, and never stops."""

    def __init__(self, env: NavVectorEnv) -> None:
        names = env.task.action_names
        self._state = env.simulator.state
        self._forward, self._left = names.index("forward"), names.index("left")

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the last step's collision alone."""
        return torch.where(self._state.collided, self._left, self._forward)


class GreedyAgent:
    """Turns towards the goal, moves straight to it, and stops within the success distance (PointNav)."""

    def __init__(self, env: NavVectorEnv) -> None:
        assert isinstance(env.task, PointNav)
        self._half_turn = math.radians(env.simulator.options.turn_angle) / 2
        self._state = env.simulator.state

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the goal sensor, and by the distance at which a stop succeeds."""
        rho, phi = observation["pointgoal_with_gps_compass"].unbind(-1)
        turn = torch.where(phi > 0, LEFT, RIGHT)
        action = torch.where(phi.abs() > self._half_turn + 1e-4, turn, FORWARD)
        return torch.where(rho < self._state.task["goal_radius"], STOP, action)
