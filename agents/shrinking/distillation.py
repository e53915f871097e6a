"""Distillation: a student learns to act as its teacher does, in the states that the student itself gets into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from batchsim.agents.imitation.schedule import Imitation
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_distribution import kl_divergence
from batchsim.agents.ppo.ppo import PPOConfig, check_finite
from batchsim.agents.ppo.rollout_buffer import RolloutBuffer

_VALUE_COEFFICIENT = 0.1  # of the teacher's value, which the student needs only if it is trained by PPO afterwards


class Constraint(Protocol):
    """Keeps the weights of a policy in a set, such as those with enough zeros."""

    def tighten(self, done: float) -> None:
        """Makes the set as small as it must be when the fraction `done` of training is over, and enters it."""

    def apply(self) -> None:
        """Moves the weights back into the set, after an update."""


@dataclass(frozen=True)
class _Lesson:
    """Some environments' columns of a rollout, with what the teacher says about them."""

    observations: dict[str, Tensor]
    previous_actions: Tensor
    episode_start: Tensor
    state: Tensor
    teacher_logits: Tensor
    teacher_values: Tensor


class Distillation:
    """Trains `policy` to act as `teacher`, in place of `PPO` in a `Trainer`.

    The student acts, so that it learns in the states that its own mistakes lead to (DAgger; Ross et al., 2011). The
    loss is the Kullback-Leibler divergence from the teacher's distribution of actions to the student's (Rusu et al.,
    "Policy Distillation", 2016, with temperature 1). Each of them has a recurrent state of its own; the teacher's
    previous action is the student's.

    Args:
        policy: The student.
        teacher: The teacher, which is not changed.
        config: Epochs, minibatches, learning rate and the limit of the gradient's norm.
        done: Returns the fraction of training that is over.
        constraint: What the student's weights must satisfy.
    """

    def __init__(
        self,
        policy: Policy,
        teacher: Policy,
        config: PPOConfig,
        done: Callable[[], float],
        constraint: Constraint | None = None,
    ) -> None:
        self.policy, self.teacher, self.config = policy, teacher, config
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            policy.parameters(), lr=config.learning_rate, eps=1e-5, fused=config.fused_optimizer, foreach=False
        )
        self.imitation = Imitation()  # of an expert, which is not used
        self._done, self._constraint = done, constraint
        self._teacher_state: Tensor | None = None

    def set_learning_rate(self, rate: float) -> None:
        """Sets the learning rate of the next updates."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def update(self, rollout: RolloutBuffer, generator: torch.Generator) -> dict[str, float]:
        """Learns from `rollout`; returns the means of the losses.

        Raises:
            AgentError: If one of them is not finite.
        """
        if self._constraint:
            self._constraint.tighten(self._done())
        teacher = self._ask_teacher(rollout)
        learned = [
            self._learn(lesson)
            for _ in range(self.config.epochs)
            for lesson in self._lessons(rollout, teacher, generator)
        ]
        names = tuple(learned[0])
        means = torch.stack([torch.stack([terms[name] for terms in learned]).mean() for name in names]).tolist()
        found = dict(zip(names, means, strict=True))
        check_finite(found)
        return found

    @torch.no_grad()
    def _ask_teacher(self, rollout: RolloutBuffer) -> tuple[Tensor, Tensor]:
        """Returns the teacher's logits `[T, N, A]` and values `[T, N]` along the student's steps."""
        state = self._teacher_state
        if state is None:
            state = self.teacher.initial_state(rollout.num_envs)
        logits, values = [], []
        for t in range(rollout.length):
            observation = {name: _widened(images[t]) for name, images in rollout.observations.items()}
            now, value, state = self.teacher.step(
                observation, rollout.previous_actions[t], rollout.episode_start[t], state
            )
            logits.append(now)
            values.append(value)
        self._teacher_state = state
        return torch.stack(logits), torch.stack(values)

    def _lessons(
        self, rollout: RolloutBuffer, teacher: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> Iterator[_Lesson]:
        filled = slice(rollout.length)
        order = torch.randperm(rollout.num_envs, generator=generator)
        for chosen in order.tensor_split(min(self.config.minibatches, rollout.num_envs)):
            columns = chosen.to(rollout.state.device)
            yield _Lesson(
                {name: _widened(value[filled, columns]) for name, value in rollout.observations.items()},
                rollout.previous_actions[filled, columns],
                rollout.episode_start[filled, columns],
                rollout.state[columns],
                teacher[0][:, columns],
                teacher[1][:, columns],
            )

    def _learn(self, lesson: _Lesson) -> dict[str, Tensor]:
        logits, values = self.policy(lesson.observations, lesson.previous_actions, lesson.episode_start, lesson.state)
        kl = kl_divergence(lesson.teacher_logits, logits, self.policy.config.continuous).mean()
        value_loss = 0.5 * (values - lesson.teacher_values).square().mean()
        loss = kl + _VALUE_COEFFICIENT * value_loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.max_gradient_norm)
        self.optimizer.step()
        if self._constraint:
            self._constraint.apply()
        agree = torch.zeros(())
        if not self.policy.config.continuous:
            agree = (logits.argmax(-1) == lesson.teacher_logits.argmax(-1)).float().mean()
        terms = {"loss": loss, "teacher_kl": kl, "value_loss": value_loss, "gradient_norm": norm}
        return {name: value.detach() for name, value in terms.items()} | {"teacher_agreement": agree.detach()}


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
