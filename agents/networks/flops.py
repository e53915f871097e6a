"""How much arithmetic a policy takes, for the share of a device's peak that it uses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.networks.policy import Policy


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
    config = policy.config
    with torch.random.fork_rng(devices=[]):
        twin = Policy(config)
    sizes = {"depth": (torch.float32, 1), "rgb": (torch.uint8, 3)}
    observation = {
        name: torch.zeros(1, 1, *config.image_size, channels, dtype=dtype)
        for name, (dtype, channels) in sizes.items()
        if name in config.images
    }
    observation |= {name: torch.zeros(1, 1, size) for name, size in config.vectors.items()}
    action = torch.zeros(1, 1, dtype=torch.int64)
    begun = torch.zeros(1, 1, dtype=torch.bool)
    state = twin.initial_state(1).requires_grad_()  # in a sequence gradients flow into the state of all steps but one
    with FlopCounterMode(display=False) as forward:
        logits, values = twin.sequence(observation, action, begun, state)
    with FlopCounterMode(display=False) as backward:
        (logits.sum() + values.sum()).backward()
    return FrameFlops(forward.get_total_flops(), backward.get_total_flops())
