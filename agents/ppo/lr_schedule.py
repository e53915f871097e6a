"""The learning rate: how it grows with the batch, and how it changes while training goes on."""

from __future__ import annotations

import math
from typing import Literal

Decay = Literal["linear", "cosine"]

_REFERENCE_BATCH = 256


def batch_scale(frames: int, minibatches: int) -> float:
    """Factor on the learning rate for a rollout of `frames` (over all ranks) learned from in `minibatches`.

    The square root of a minibatch's frames over 256, at least 1 (Shacklett et al., 2021).
    """
    return max(1.0, math.sqrt(frames / (minibatches * _REFERENCE_BATCH)))


def decay_factor(share: float, decay: Decay, warmup: float, final: float) -> float:
    """Factor on the learning rate after `share` of training, in [0, 1].

    It rises from 0 to 1 in a straight line over the first `warmup` of training, then falls to `final` at the end:
    straight, or along half a cosine.
    """
    if share < warmup:
        return share / warmup
    after = min(1.0, (share - warmup) / (1 - warmup))
    left = 1 - after if decay == "linear" else (1 + math.cos(math.pi * after)) / 2
    return final + (1 - final) * left
