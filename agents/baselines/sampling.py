"""Draws actions from probabilities with given random numbers."""

from __future__ import annotations

from torch import Tensor


def sample_categorical(probs: Tensor, uniform: Tensor) -> Tensor:
    """Sample one category per environment by inverse transform sampling.

    Args:
        probs: Probabilities `[A]` or `[N, A]` that sum to one over the last dimension.
        uniform: Random numbers `[N]` in [0, 1).

    Returns:
        Category indices, int64 `[N]`.
    """
    return (uniform.unsqueeze(-1) >= probs.double().cumsum(-1)[..., :-1]).sum(-1)
