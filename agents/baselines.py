"""Agents that need no training: random, forward, greedy, and the shortest-path follower as the upper bound."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from agents.errors import AgentError
from batchsim import NavVectorEnv, poses
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT, STOP

# How often the random baseline stops: once in 50 actions, so that it gets somewhere first.
_RANDOM_STOP = 0.02


class Agent(Protocol):
    """Chooses actions for N environments at once, in each of them as if it were alone."""

    def act(self, observation: dict[str, Tensor], begun: Tensor, chance: Tensor) -> Tensor:
        """Actions int64 `[N]`; `begun` bool `[N]` marks the first observation of an episode.

        `chance` float32 `[N]`: a number drawn from [0, 1) for each, the agent's only source of randomness. Thus an
        episode does not depend on which others run beside it.
        """


def pick_action(shares: Tensor, chance: Tensor) -> Tensor:
    """The actions int64 `[N]` that `chance` `[N]` in [0, 1) draws by `shares` `[A]` or `[N, A]`, which sum to one."""
    return (chance.unsqueeze(-1) >= shares.double().cumsum(-1)[..., :-1]).sum(-1)


class RandomAgent:
    """Walks and turns at random, and stops now and then."""

    def __init__(self, env: NavVectorEnv) -> None:
        walk = (1 - _RANDOM_STOP) / 3
        self._shares = torch.tensor([_RANDOM_STOP, walk, walk, walk], device=env.device)

    def act(self, observation: dict[str, Tensor], begun: Tensor, chance: Tensor) -> Tensor:
        """One draw for each environment."""
        return pick_action(self._shares, chance)


class ForwardAgent:
    """Walks straight on and never stops."""

    def __init__(self, env: NavVectorEnv) -> None:
        pass

    def act(self, observation: dict[str, Tensor], begun: Tensor, chance: Tensor) -> Tensor:
        """Forward, always."""
        return torch.full_like(begun, FORWARD, dtype=torch.int64)


class GreedyAgent:
    """Turns to the goal, walks straight at it, stops where it seems to be."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._half_turn = math.radians(env.simulator.options.turn_angle) / 2
        self._success_distance = env.task.success_distance

    def act(self, observation: dict[str, Tensor], begun: Tensor, chance: Tensor) -> Tensor:
        """Decided by the goal sensor alone."""
        rho, phi = observation["pointgoal_with_gps_compass"].unbind(-1)
        turn = torch.where(phi > 0, LEFT, RIGHT)
        action = torch.where(phi.abs() > self._half_turn + 1e-4, turn, FORWARD)
        return torch.where(rho < self._success_distance, STOP, action)


class ShortestPathAgent:
    """Knows the map: turns to the heading whose step forward leaves the shortest way, then takes it."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._simulator = env.simulator
        options = env.simulator.options
        count = round(360 / options.turn_angle)
        turns = torch.arange(count, device=env.device) - count // 2
        self._turns = turns[turns.abs().argsort(stable=True)]  # the nearest heading first, so that ties turn least
        self._turn_angle = math.radians(options.turn_angle)
        self._stop_distance = 0.9 * env.task.success_distance

    def act(self, observation: dict[str, Tensor], begun: Tensor, chance: Tensor) -> Tensor:
        """Decided by the baked distances, which no observation holds."""
        state, scenes = self._simulator.state, self._simulator.scenes
        headings = poses.wrap_angle(state.heading + self._turns[:, None] * self._turn_angle)
        count, num_envs = headings.shape
        scene = state.scene.repeat(count)
        ahead = self._simulator.motion.ahead(scene, state.position.repeat(count, 1), headings.reshape(-1))
        distance = scenes.goal_distance(scene, state.task["goal"].repeat(count), ahead).view(count, num_envs)
        best = self._turns[distance.argmin(0)]
        action = torch.where(best == 0, FORWARD, torch.where(best > 0, LEFT, RIGHT))
        # A stop is due where it counts and no step forward would come nearer.
        near = state.task["distance"] < self._stop_distance
        return torch.where(near, STOP, action)


BASELINES = {
    "random": RandomAgent,
    "forward": ForwardAgent,
    "greedy": GreedyAgent,
    "oracle": ShortestPathAgent,
}


def make_baseline(name: str, env: NavVectorEnv) -> Agent:
    """The baseline called `name` for `env`; raises `AgentError` for an unknown name."""
    if name not in BASELINES:
        raise AgentError(f"{name!r} is no baseline: expected one of {', '.join(BASELINES)}.")
    return BASELINES[name](env)
