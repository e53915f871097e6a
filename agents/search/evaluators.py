"""What a search expects of the states that it reaches: values and probabilities of actions."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.fixed_blocks import step_in_blocks
from batchsim.agents.networks.policy import Policy
from batchsim.tasks import GoalNavigation, PointNav

_UNLIKELY = 0.01


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

    It works on blocks of a fixed size, so that a result does not depend on the other environments.
    """

    needs_images = True

    def __init__(self, policy: Policy, discount: float) -> None:
        self.discount = discount
        self._policy = policy
        self._inputs = tuple(policy.blank_observation(0))

    def blank_memory(self, count: int) -> Tensor:
        """See `Evaluator`."""
        return self._policy.initial_state(count)

    def __call__(
        self, env: NavVectorEnv, observation: dict[str, Tensor], action: Tensor, start: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Evaluator`."""
        inputs = {name: observation[name] for name in self._inputs}
        logits, values, memory = step_in_blocks(self._policy, inputs, action, start, memory)
        return torch.softmax(logits, -1), values, memory


class DistanceEvaluator:
    """The return of an agent that turns to the shortest path and walks along it to the goal.

    Distances come from the map. Moves are equally likely; to end the episode is likely near the goal only.
    """

    needs_images = False
    discount = 0.99

    def __init__(self, env: NavVectorEnv) -> None:
        task = env.task
        if not isinstance(task, (PointNav, GoalNavigation)):
            kind = type(task).__name__
            raise AgentError(f"Search by distances needs a task with a goal; {kind} has none. Name a run: mcts:FOLDER.")
        self._step, self._slack = env.simulator.options.forward_step, task.slack_reward
        self._success, self._actions = task.success_reward, len(task.action_names)
        self._radius = task.success_distance
        self._final = task.action_names.index("stop" if "stop" in task.action_names else "found")

    def blank_memory(self, count: int) -> Tensor:
        """See `Evaluator`."""
        return torch.zeros(count, 0)

    def __call__(
        self, env: NavVectorEnv, observation: dict[str, Tensor], action: Tensor, start: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Evaluator`."""
        state, simulator = env.simulator.state, env.simulator
        steps = state.task["distance"] / self._step
        turns = simulator.expert.path.turns_towards(state.task["goal"]).abs()
        after_turns, after_all = self.discount**turns, self.discount ** (turns + steps)
        walked = self._step * (after_turns - after_all) / (1 - self.discount)
        value = walked + self._slack * (1 - after_all) / (1 - self.discount) + self._success * after_all
        weights = torch.ones(len(value), self._actions, device=value.device)
        near = state.task["distance"] < state.task.get("goal_radius", self._radius)
        weights[:, self._final] = torch.where(near, 1.0, _UNLIKELY)
        return weights / weights.sum(-1, keepdim=True), value, memory
