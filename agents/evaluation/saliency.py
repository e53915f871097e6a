"""What goes on in a policy while it acts: where in its images it looks, and what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from batchsim.agents.networks.policy import Policy

_IMAGES = ("depth", "rgb")


@dataclass(frozen=True)
class PolicyTrace:
    """One episode's acting, step by step.

    - `saliency`: for each image sensor float32 `[steps, h, w]`: size of the gradient of the chosen action's
      log-probability with respect to each pixel (Simonyan et al., "Deep Inside Convolutional Networks", 2014), the
      largest over the channels.
    - `memory`: float32 `[steps, S]`, the recurrent state after each step.
    """

    saliency: dict[str, np.ndarray]
    memory: np.ndarray


class PolicyWatcher:
    """Follows `policy` through N environments that do recorded actions, all from the beginning of an episode."""

    def __init__(self, policy: Policy, num_envs: int) -> None:
        self._policy = policy
        self._state = policy.initial_state(num_envs)
        self._action = torch.zeros(num_envs, dtype=torch.int64, device=self._state.device)
        self._episode_start = torch.ones(num_envs, dtype=torch.bool, device=self._state.device)
        self._saliency: dict[str, list[np.ndarray]] = {}
        self._memory: list[np.ndarray] = []

    def watch(self, observation: Mapping[str, Tensor], action: Tensor) -> None:
        """One step: what was observed, and the action (int64 `[N]`) that was taken upon it."""
        # Bytes have no gradient; the policy takes the same numbers as floats.
        images = {
            name: observation[name].detach().float().clone().requires_grad_() for name in _IMAGES if name in observation
        }
        with torch.enable_grad():
            logits, _, state = self._policy.step(
                {**observation, **images}, self._action, self._episode_start, self._state
            )
            chosen = torch.log_softmax(logits, -1).gather(-1, action[:, None]).sum()
            # Environments do not touch each other, so that one sum gives all their gradients.
            gradients = torch.autograd.grad(chosen, list(images.values()), allow_unused=True) if images else ()
        for name, gradient in zip(images, gradients, strict=True):
            if gradient is not None:
                self._saliency.setdefault(name, []).append(_to_numpy(gradient.abs().amax(-1)))
        self._state = state.detach()
        self._action = action
        self._episode_start = torch.zeros_like(self._episode_start)
        self._memory.append(_to_numpy(self._state))

    def of(self, env: int, steps: int) -> PolicyTrace:
        """What was watched in the first `steps` steps of environment `env`."""

        def first(values: list[np.ndarray]) -> np.ndarray:
            return np.stack([value[env] for value in values[:steps]])

        saliency = {name: first(values) for name, values in self._saliency.items()}
        return PolicyTrace(saliency, first(self._memory))


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
