"""The distributions of actions: categorical for numbered actions, gaussian for velocities.

A policy's "logits" are `[..., A]` log probabilities up to a constant for A numbered actions, or `[..., 2 A]` means and
logarithms of standard deviations for actions of A real numbers. Which of the two holds shows in the actions' dtype.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOG_2_PI = math.log(2 * math.pi)


def log_prob_and_entropy(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the log probabilities (densities) of `actions`, and the entropies of the distributions, `[...]` each.

    Args:
        logits: See the module.
        actions: int64 `[...]`, or float32 `[..., A]`.
    """
    if actions.is_floating_point():
        mean, log_std = logits.chunk(2, -1)
        return gaussian_log_prob(mean, log_std, actions), (log_std + 0.5 * (1 + _LOG_2_PI)).sum(-1)
    log_probs = torch.log_softmax(logits, -1)
    chosen = log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return chosen, -(log_probs.exp() * log_probs).sum(-1)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, actions: Tensor) -> Tensor:
    """Returns the log densities `[...]` of `actions` `[..., A]`, independent normal numbers."""
    deviation = (actions - mean) * (-log_std).exp()
    return -(0.5 * deviation.square() + log_std + 0.5 * _LOG_2_PI).sum(-1)


def kl_divergence(logits: Tensor, others: Tensor, continuous: bool) -> Tensor:
    """Returns the Kullback-Leibler divergences `[...]` from the distributions of `logits` to those of `others`.

    Args:
        logits: See the module.
        others: Of the same shape.
        continuous: Whether the actions are real numbers.
    """
    if continuous:
        (mean, log_std), (other_mean, other_log_std) = logits.chunk(2, -1), others.chunk(2, -1)
        spread = (2 * log_std).exp() + (mean - other_mean).square()
        return (other_log_std - log_std + 0.5 * spread * (-2 * other_log_std).exp() - 0.5).sum(-1)
    log_probs = torch.log_softmax(logits, -1)
    return (log_probs.exp() * (log_probs - torch.log_softmax(others, -1))).sum(-1)
