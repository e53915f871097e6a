"""Agents that need no training, by task: random, forward, greedy, and an oracle that knows the map."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from batchsim import NavVectorEnv, Task
from batchsim.agents.baselines.oracles import FarthestGoalAgent, NearestUnvisitedAgent, ShortestPathAgent
from batchsim.agents.errors import AgentError
from batchsim.tasks import Explore, Flee, PointNav
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT, STOP

# How often the random baseline stops: once in 50 actions, so that it gets somewhere first.
_RANDOM_STOP = 0.02


class Agent(Protocol):
    """Chooses actions for N environments at once, in each of them as if it were alone."""

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Actions int64 `[N]`; `episode_start` bool `[N]` marks the first observation of an episode.

        `uniform` float32 `[N]`: a number drawn from [0, 1) for each, the agent's only source of randomness. Thus an
        episode does not depend on which others run beside it.
        """


def sample_categorical(probs: Tensor, uniform: Tensor) -> Tensor:
    """The actions int64 `[N]` that `uniform` `[N]` in [0, 1) draws by `probs` `[A]` or `[N, A]`, which sum to one."""
    return (uniform.unsqueeze(-1) >= probs.double().cumsum(-1)[..., :-1]).sum(-1)


class RandomAgent:
    """Walks and turns at random, and stops now and then where the task knows a stop."""

    def __init__(self, env: NavVectorEnv) -> None:
        names = env.task.action_names
        stop = _RANDOM_STOP if "stop" in names else 0.0
        others = (1 - stop) / (len(names) - ("stop" in names))
        self._probs = torch.tensor([stop if name == "stop" else others for name in names], device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """One draw for each environment."""
        return sample_categorical(self._probs, uniform)


class ForwardAgent:
    """Walks straight on, turns left where it bumps into something, and never stops."""

    def __init__(self, env: NavVectorEnv) -> None:
        names = env.task.action_names
        self._state = env.simulator.state
        self._forward, self._left = names.index("forward"), names.index("left")

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decided by touch alone."""
        return torch.where(self._state.collided, self._left, self._forward)


class GreedyAgent:
    """Turns to the goal, walks straight at it, stops where it seems to be."""

    def __init__(self, env: NavVectorEnv) -> None:
        self._half_turn = math.radians(env.simulator.options.turn_angle) / 2
        self._success_distance = env.task.success_distance

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decided by the goal sensor alone."""
        rho, phi = observation["pointgoal_with_gps_compass"].unbind(-1)
        turn = torch.where(phi > 0, LEFT, RIGHT)
        action = torch.where(phi.abs() > self._half_turn + 1e-4, turn, FORWARD)
        return torch.where(rho < self._success_distance, STOP, action)


_ANY_TASK = {"random": RandomAgent, "forward": ForwardAgent}
_OF_TASK: dict[type[Task], dict[str, type[Agent]]] = {
    PointNav: {"greedy": GreedyAgent, "oracle": ShortestPathAgent},
    Flee: {"oracle": FarthestGoalAgent},
    Explore: {"oracle": NearestUnvisitedAgent},
}
BASELINES = {
    "random": "walks and turns at random",
    "forward": "walks straight on, turns left where it bumps into something",
    "greedy": "turns to the goal and walks straight at it (PointNav)",
    "oracle": "knows the map: next to the best there is in PointNav and Flee, a good round in Explore",
}


def baselines_of(task: Task) -> dict[str, type[Agent]]:
    """The baselines that can do `task`, by name."""
    return _ANY_TASK | _OF_TASK.get(type(task), {})


def compared_with(task: Task) -> tuple[str, ...]:
    """The baselines that stand beside an agent of `task` unless others are named."""
    known = baselines_of(task)
    return tuple(name for name in BASELINES if name in known and not (name == "forward" and "greedy" in known))


def make_baseline(name: str, env: NavVectorEnv) -> Agent:
    """The baseline called `name` for `env`; raises `AgentError` for a name that is unknown, or to its task."""
    known = baselines_of(env.task)
    if name not in known:
        raise AgentError(
            f"{name!r} is no baseline of the task {type(env.task).__name__}: expected one of {', '.join(known)}."
        )
    return known[name](env)
