"""Actions drawn from a policy's logits, on the device that these are on."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim.random_streams import mix, uniform

_ACTIONS = 0x5AC7  # keeps a stream of actions apart from the stream of episodes with the same seed


class ActionDraws:
    """Draws actions for N environments from streams of their own, seeded with int64 `[N]`.

    What an environment draws depends on its seed and on the number of draws before alone: neither on how many others
    are drawn beside it, nor on the device.
    """

    def __init__(self, seeds: Tensor) -> None:
        self.streams = mix(seeds + _ACTIONS)
        self.count = torch.zeros_like(seeds)

    def draw(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Actions int64 `[N]` from `logits` `[N, A]`, and the logarithms of their probabilities, float32 `[N]`."""
        log_probs = torch.log_softmax(logits, -1)
        noise = uniform(self.streams, self.count, logits.shape[-1])
        self.count += 1
        # The Gumbel-max trick draws from the distribution without leaving the device.
        action = (log_probs - (-noise.clamp(1e-20).log()).log()).argmax(-1)
        return action, log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)
