"""What happens inside a policy while it acts: which pixels its action depends on, and its recurrent state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_distribution import log_prob_and_entropy

_IMAGES = ("depth", "rgb")


@dataclass(frozen=True)
class PolicyTrace:
    """A policy's inner values during one episode.

    Attributes:
        saliency: For each image sensor float32 `[steps, h, w]`: the absolute gradient of the chosen action's
            log-probability with respect to each pixel, the maximum over channels (Simonyan et al., "Deep Inside
            Convolutional Networks", 2014).
        memory: The recurrent state after each step, float32 `[steps, S]`.
    """

    saliency: dict[str, np.ndarray]
    memory: np.ndarray


class PolicyTracer:
    """Runs `policy` on the observations of N environments that repeat recorded actions, and records its inner values.

    All environments start at the beginning of an episode.
    """

    def __init__(self, policy: Policy, num_envs: int) -> None:
        self._policy = policy
        self._state = policy.initial_state(num_envs)
        self._action = policy.blank_action(num_envs)
        self._episode_start = torch.ones(num_envs, dtype=torch.bool, device=self._state.device)
        self._saliency: dict[str, list[np.ndarray]] = {}
        self._memory: list[np.ndarray] = []

    def add(self, observation: Mapping[str, Tensor], action: Tensor) -> None:
        """Record one step.

        Args:
            observation: The observations, `[N, ...]` by sensor.
            action: The recorded actions taken on them, int64 `[N]`, or velocities, float32 `[N, A]`.
        """
        # uint8 tensors have no gradient; the policy accepts the same values as floats.
        images = {
            name: observation[name].detach().float().clone().requires_grad_() for name in _IMAGES if name in observation
        }
        with torch.enable_grad():
            logits, _, state = self._policy.step(
                {**observation, **images}, self._action, self._episode_start, self._state
            )
            chosen = log_prob_and_entropy(logits, action)[0].sum()
            # The environments are independent, so the gradient of the sum holds the gradient of each.
            gradients = torch.autograd.grad(chosen, list(images.values()), allow_unused=True) if images else ()
        for name, gradient in zip(images, gradients, strict=True):
            if gradient is not None:
                self._saliency.setdefault(name, []).append(_to_numpy(gradient.abs().amax(-1)))
        self._state = state.detach()
        self._action = action
        self._episode_start = torch.zeros_like(self._episode_start)
        self._memory.append(_to_numpy(self._state))

    def trace(self, env: int, steps: int) -> PolicyTrace:
        """The first `steps` steps of environment `env`."""

        def first(values: list[np.ndarray]) -> np.ndarray:
            return np.stack([value[env] for value in values[:steps]])

        saliency = {name: first(values) for name, values in self._saliency.items()}
        return PolicyTrace(saliency, first(self._memory))


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
