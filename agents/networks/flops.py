"""How much arithmetic a policy takes, for the share of a device's peak that it uses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from batchsim.agents.networks.policy import Policy


@dataclass(frozen=True)
class FrameFlops:
    """Floating-point operations of one frame, a multiplication and an addition counted as two."""

    forward: int
    """To choose an action."""
    backward: int
    """For the gradients, once the forward pass is there."""

    def training(self, epochs: int = 1) -> int:
        """To collect a frame and to learn from it `epochs` times."""
        return self.forward + epochs * (self.forward + self.backward)


def flops_per_frame(policy: Policy) -> FrameFlops:
    """Count the matrix products and convolutions of `policy`; the rest, a few in a hundred, is left out.

    A policy of the same shape is run once on the CPU; `policy` itself and torch's random numbers stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        twin = Policy(policy.config)
    observation = twin.blank_observation(1, 1)
    action = torch.zeros(1, 1, dtype=torch.int64)
    episode_start = torch.zeros(1, 1, dtype=torch.bool)
    state = twin.initial_state(1).requires_grad_()  # in a sequence gradients flow into the state of all steps but one
    with FlopCounterMode(display=False) as forward:
        logits, values = twin.sequence(observation, action, episode_start, state)
    with FlopCounterMode(display=False) as backward:
        (logits.sum() + values.sum()).backward()
    return FrameFlops(forward.get_total_flops(), backward.get_total_flops())
