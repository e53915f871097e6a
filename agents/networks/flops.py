"""Counts the floating-point operations of a policy, to compare its speed with a device's peak."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from batchsim.agents.networks.policy import Policy


@dataclass(frozen=True)
class FrameFlops:
    """Floating-point operations per frame; a multiplication and an addition count as two."""

    forward: int
    """Operations of the forward pass."""
    backward: int
    """Operations of the backward pass alone."""

    def training(self, epochs: int = 1) -> int:
        """Returns the operations to collect a frame and to learn from it `epochs` times."""
        return self.forward + epochs * (self.forward + self.backward)


def flops_per_frame(policy: Policy) -> FrameFlops:
    """Counts the matrix products and convolutions of `policy`; the rest, a few per cent, is not counted.

    Runs a policy of the same architecture once on the CPU; `policy` and torch's random numbers are not changed.
    """
    with torch.random.fork_rng(devices=[]):
        twin = Policy(policy.config)
    observation = twin.blank_observation(1, 1)
    action = twin.blank_action(1, 1)
    episode_start = torch.zeros(1, 1, dtype=torch.bool)
    state = twin.initial_state(1).requires_grad_()  # in a sequence, all steps but the first need its gradient
    with FlopCounterMode(display=False) as forward:
        logits, values = twin.sequence(observation, action, episode_start, state)
    with FlopCounterMode(display=False) as backward:
        (logits.sum() + values.sum()).backward()
    return FrameFlops(forward.get_total_flops(), backward.get_total_flops())
