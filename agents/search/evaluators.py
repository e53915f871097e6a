"""What a search expects of the states that it reaches: values and probabilities of actions."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy
from batchsim.tasks import GoalNavigation, PointNav

_BLOCK = {"cpu": 32, "cuda": 256}


class Evaluator(Protocol):
    """Judges states; `memory` is what it remembers of an agent's past, a tensor `[N, M]`.

    Attributes:
        discount: Discount factor of the rewards that values add up.
        needs_images: Whether it looks at images.
    """

    discount: float
    needs_images: bool

    def blank_memory(self, count: int) -> Tensor:
        """Returns the memory before the first step, `[count, M]`."""

    def __call__(
        self, env: NavVectorEnv, observation: dict[str, Tensor], action: Tensor, start: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Judges the states of all environments.

        Args:
            env: The environments.
            observation: What their agents see, `[N, ...]` each.
            action: int64 `[N]`, the actions that led there.
            start: bool `[N]`, whether an episode starts.
            memory: `[N, M]`, from before the actions.

        Returns:
            Probabilities of the actions float32 `[N, A]`, values float32 `[N]`, and the memory after it.
        """


class CriticEvaluator:
    """Probabilities and values of a trained policy and its critic; the memory is the recurrent state.

    It works on blocks of a fixed size, like `PolicyAgent`, so that a result does not depend on the other environments.
    """

    needs_images = True

    def __init__(self, policy: Policy, discount: float) -> None:
        self.discount = discount
        self._policy = policy
        self._inputs = tuple(policy.blank_observation(0))
        self._block = _BLOCK.get(policy.critic.weight.device.type, 32)

    def blank_memory(self, count: int) -> Tensor:
        """See `Evaluator`."""
        return self._policy.initial_state(count)

    @torch.no_grad()
    def __call__(
        self, env: NavVectorEnv, observation: dict[str, Tensor], action: Tensor, start: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Evaluator`."""
        parts = []
        for first in range(0, len(action), self._block):
            rows = slice(first, first + self._block)
            inputs = {name: self._padded(observation[name][rows]) for name in self._inputs}
            step = self._policy.step(inputs, *(self._padded(value[rows]) for value in (action, start, memory)))
            parts.append(tuple(value[: len(action) - first] for value in step))
        logits, values, memory = (torch.cat(values) for values in zip(*parts, strict=True))
        return torch.softmax(logits, -1), values, memory

    def _padded(self, rows: Tensor) -> Tensor:
        missing = self._block - len(rows)
        return rows if missing == 0 else torch.cat((rows, rows.new_zeros(missing, *rows.shape[1:])))


class DistanceEvaluator:
    """The return of an agent that walks straight along the shortest path, by the distance to the goal; no preferences.

    Turns are not counted: the search finds them.
    """

    needs_images = False
    discount = 0.99

    def __init__(self, env: NavVectorEnv) -> None:
        task = env.task
        if not isinstance(task, (PointNav, GoalNavigation)):
            raise AgentError(
                f"Search by distances needs a task with a goal; {type(task).__name__} has none. Name a run: mcts:FOLDER."
            )
        self._step, self._slack = env.simulator.options.forward_step, task.slack_reward
        self._success, self._actions = task.success_reward, len(task.action_names)

    def blank_memory(self, count: int) -> Tensor:
        """See `Evaluator`."""
        return torch.zeros(count, 0)

    def __call__(
        self, env: NavVectorEnv, observation: dict[str, Tensor], action: Tensor, start: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Evaluator`."""
        steps = env.simulator.state.task["distance"] / self._step
        share = self.discount**steps
        value = (self._step + self._slack) * (1 - share) / (1 - self.discount) + self._success * share
        prior = torch.full((len(value), self._actions), 1 / self._actions, device=value.device)
        return prior, value, memory
