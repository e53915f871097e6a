"""Evaluates the policy during training, in scenes that it does not train in."""

from __future__ import annotations

import time

import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.networks.policy import Policy
from batchsim.agents.training.build import speed_up


class PeriodicEvaluation:
    """Runs the same few episodes every `eval_every_minutes`, with a copy of the policy in separate environments.

    Training's random numbers and state are not changed, and its clock does not count the evaluation.
    """

    def __init__(self, policy: Policy, config: TrainConfig) -> None:
        self._config = config
        count = config.eval_every_episodes
        chosen = episodes_of_set(config.eval_scenes, count)
        device = str(policy.critic.weight.device)
        self._session = EvalSession(chosen, count, config.seed, device=device, quiet=True)
        with torch.random.fork_rng(devices=[]):  # the initial weights of the copy, made on the CPU, are not used
            self._policy = Policy(policy.config).eval()
        self._policy.to(policy.critic.weight.device)
        speed_up(self._policy, config)
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Returns whether the next evaluation is due."""
        return time.monotonic() - self._last > 60 * self._config.eval_every_minutes

    def run(self, policy: Policy) -> dict[str, float]:
        """Evaluates the current weights of `policy`; returns the means of the episodes' measures."""
        self._policy.load_state_dict(policy.state_dict())
        evaluation = self._session.run(Candidate("", self._config, self._policy))
        self._last = time.monotonic()
        return {name: value["mean"] for name, value in evaluation.summary().items() if isinstance(value, dict)}
