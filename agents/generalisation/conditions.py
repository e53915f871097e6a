"""The conditions in which a run is evaluated: its training homes, unseen ones, and controls."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.agent import Agent
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.scenes.sources.library import VARIED

TRAINING, UNSEEN, SHUFFLED = "training homes", "unseen homes", "shuffled goals"
_OWN_POSE = ("gps", "compass")


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        name: Its name in results.
        scenes: The scene set.
        shuffles_goals: Whether each agent is told the goal of another environment.
    """

    name: str
    scenes: str
    shuffles_goals: bool = False

    def candidate(self, run: Candidate) -> Candidate:
        """The agent of `run` in this condition."""
        return _ShuffledCandidate(**vars(run)) if self.shuffles_goals else run


def conditions_of(run: Candidate, unseen: str) -> list[Condition]:
    """The conditions of a trained run; `unseen` is the set of homes that it was not trained in.

    Homes with another look or light are left out for agents without colour images, which cannot see the difference.
    """
    homes = run.config.scenes
    found = [Condition(TRAINING, homes), Condition(UNSEEN, unseen), Condition(SHUFFLED, homes, True)]
    if not homes.startswith("homes:"):
        return found
    sees_colour = not run.config.blind and "rgb" in run.config.sensors
    axes = [axis for axis in VARIED if axis == "furniture" or sees_colour]
    joint = "&" if "?" in homes else "?"
    return found + [Condition(f"other {axis}", f"{homes}{joint}{axis}=1") for axis in axes]


class ShuffledGoals:
    """Acts like `agent`, but each environment's goal sensor and goal image are those of the environment before it.

    An agent that goes by its goal then fails; one that remembers its training homes does not need the goal. Its
    episodes depend on those that run beside them.

    Raises:
        AgentError: If there is only one environment, or the task has no sensor of a goal.
    """

    def __init__(self, agent: Agent, env: NavVectorEnv) -> None:
        names = [name for name in env.task.observation_spaces() if name not in _OWN_POSE]
        self._names = [*names, *([env.task.goal_image] if env.task.goal_image else [])]
        if env.num_envs < 2 or not self._names:
            raise AgentError("Goals are shuffled between environments: it takes at least 2 of them, and a goal sensor.")
        self._agent = agent

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """See `Agent`."""
        shuffled = {name: torch.roll(observation[name], 1, 0) for name in self._names}
        return self._agent.act(observation | shuffled, episode_start, uniform)


@dataclass(frozen=True)
class _ShuffledCandidate(Candidate):
    """A candidate whose goals are shuffled."""

    def agent(self, env: NavVectorEnv, deterministic: bool) -> Agent:
        """See `Candidate`."""
        return ShuffledGoals(super().agent(env, deterministic), env)
