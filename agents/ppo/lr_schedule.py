"""Learning-rate schedule: scaling with the batch size, warm-up and decay."""

from __future__ import annotations

import math
from typing import Literal

Decay = Literal["linear", "cosine"]

_REFERENCE_BATCH = 256


def batch_scale(frames: int, minibatches: int) -> float:
    """Returns the factor on the learning rate for a rollout of `frames` (of all ranks) split into `minibatches`.

    It is the square root of a minibatch's frames over 256, at least 1 (Shacklett et al., 2021).
    """
    return max(1.0, math.sqrt(frames / (minibatches * _REFERENCE_BATCH)))


def decay_factor(share: float, decay: Decay, warmup: float, final: float) -> float:
    """Returns the factor on the learning rate when the fraction `share` of training is done.

    It rises linearly from 0 to 1 over the first fraction `warmup` of training, then falls to `final` at the end,
    linearly or along half a cosine.
    """
    if share < warmup:
        return share / warmup
    after = min(1.0, (share - warmup) / (1 - warmup))
    left = 1 - after if decay == "linear" else (1 + math.cos(math.pi * after)) / 2
    return final + (1 - final) * left
