"""Who moves the agent in the viewer: a person at the keyboard, or a trained policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from batchsim import NavVectorEnv
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.viewer.free_walk import FreeWalk
from batchsim.scenes import Scene
from batchsim.simulation.simulator import Simulator

_WALK_OPTIONS = {"forward_step": 0.1, "turn_angle": 4.0, "tilt_angle": 4.0, "max_episode_steps": 10**9}
_MEASURES = ("success", "spl", "distance_to_goal", "collisions", "path_length", "episode_return")


@dataclass
class Report:
    """What a pilot says of its last tick, for the page.

    Attributes:
        step: Steps of the episode.
        ended: Whether the episode has ended.
        actions: Names of the actions with their probabilities, for policies with numbered actions.
        taken: What was done last.
        value: The critic's estimate of the return; None for a person.
        measures: Measures of the episode so far, by name.
        goal: The goal's position, metres; None if there is none, or it is not one place.
    """

    step: int = 0
    ended: bool = False
    actions: list[tuple[str, float]] = field(default_factory=list)
    taken: str = ""
    value: float | None = None
    measures: dict[str, float] = field(default_factory=dict)
    goal: np.ndarray | None = None


class Pilot(Protocol):
    """Moves the single agent of `simulator`."""

    simulator: Simulator
    report: Report

    def restart(self, seed: int) -> None:
        """Start an episode."""

    def tick(self, keys: Iterable[str]) -> None:
        """Move on by one step; `keys` names the actions whose keys are held down."""

    def close(self) -> None:
        """Release all memory."""


class Person:
    """Walks as the keys say."""

    def __init__(self, scene: Scene) -> None:
        self._env = NavVectorEnv(1, [scene], task=FreeWalk(), sensors=(), device="cpu", **_WALK_OPTIONS)
        self.simulator = self._env.simulator
        self.report = Report()

    def restart(self, seed: int) -> None:
        """Put the person at a random place."""
        self._env.reset(seed=seed)
        self.report = Report()

    def tick(self, keys: Iterable[str]) -> None:
        """Take one small step for each key."""
        names = self._env.task.action_names
        for key in keys:
            if key in names:
                self._env.step(np.array([names.index(key)]))
        self.report.step = int(self.simulator.state.step)
        collided = self.simulator.state.collided.item()
        self.report.taken = "blocked" if collided else ""

    def close(self) -> None:
        """Release the environment."""
        self._env.close()


class TrainedPolicy:
    """Drives as the policy of a run says.

    Args:
        candidate: The run.
        scene: Where to drive.
        deterministic: Take the most likely action instead of drawing one.
    """

    def __init__(self, candidate: Candidate, scene: Scene, deterministic: bool = False) -> None:
        assert candidate.policy is not None
        self._policy = candidate.policy.to("cpu").eval()
        options: dict[str, Any] = candidate.env_options() | {"device": "cpu", "autoreset_mode": AutoresetMode.DISABLED}
        self._env = NavVectorEnv(1, [scene], **options)
        self.simulator = self._env.simulator
        self._deterministic = deterministic
        self._random = torch.Generator()
        self.report = Report()

    def restart(self, seed: int) -> None:
        """Start the first episode of `seed`."""
        self._observation, _ = self._env.reset(seed=seed)
        self._random.manual_seed(seed)
        self._agent = PolicyAgent(self._policy, 1, self._deterministic)
        self._start = torch.ones(1, dtype=torch.bool)
        self.report = Report(goal=self._goal())

    def tick(self, keys: Iterable[str]) -> None:
        """Take one step, unless the episode has ended."""
        if self.report.ended:
            return
        uniform = torch.rand(1, generator=self._random, dtype=torch.float64)
        action = self._agent.act(self._observation, self._start, uniform)
        self._start = torch.zeros(1, dtype=torch.bool)
        names = self._env.task.action_names
        actions: list[tuple[str, float]] = []
        if self._policy.config.continuous:
            taken = ", ".join(f"{number:+.2f}" for number in action[0].clamp(-1, 1).tolist())
        else:
            actions = list(zip(names, torch.softmax(self._agent.logits[0].double(), -1).tolist(), strict=True))
            taken = names[int(action)]
        self._observation, _, terminated, truncated, info = self._env.step(action)
        measures = {name: float(info[name][0]) for name in _MEASURES if name in info}
        ended = bool(terminated[0] | truncated[0])
        step = int(info["episode_length"][0])
        value = float(self._agent.values[0])
        self.report = Report(step, ended, actions, taken, value, measures, self.report.goal)

    def _goal(self) -> np.ndarray | None:
        state, scenes = self.simulator.state, self.simulator.scenes
        goal = state.task.get("goal")
        if self._env.task.uses_objects or goal is None:
            return None
        return scenes.goal_position(state.scene, goal)[0].numpy()

    def close(self) -> None:
        """Release the environment."""
        self._env.close()
