"""Evaluation while training goes on: how the policy stands on scenes that it does not learn from."""

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
    """Runs the same few episodes every `eval_every_minutes`, with a copy of the policy in environments of its own.

    Nothing that training draws or keeps is touched, and its clock stands still meanwhile.
    """

    def __init__(self, policy: Policy, config: TrainConfig) -> None:
        self._config = config
        count = config.eval_every_episodes
        chosen = episodes_of_set(config.eval_scenes, count)
        device = str(policy.critic.weight.device)
        self._session = EvalSession(chosen, count, config.seed, device=device, quiet=True)
        with torch.random.fork_rng():  # a new network draws weights, which are not used
            self._policy = Policy(policy.config).eval()
        self._policy.to(policy.critic.weight.device)
        speed_up(self._policy, config)
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() - self._last > 60 * self._config.eval_every_minutes

    def run(self, policy: Policy) -> dict[str, float]:
        """The means of the episodes' measures with the weights that `policy` has now."""
        self._policy.load_state_dict(policy.state_dict())
        evaluation = self._session.run(Candidate("", self._config, self._policy))
        self._last = time.monotonic()
        return {name: value["mean"] for name, value in evaluation.summary().items() if isinstance(value, dict)}
