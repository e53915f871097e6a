"""The imitation loss: a cross-entropy to the expert's actions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from batchsim.agents.imitation.schedule import Imitation


def imitation_terms(logits: Tensor, labels: Tensor, final_action: int | None, now: Imitation) -> dict[str, Tensor]:
    """Returns the loss, not multiplied by its weight, and how often the likeliest action is the expert's, scalars.

    Args:
        logits: The policy's logits, `[T, M, A]`.
        labels: The expert's actions, int64 `[T, M]`.
        final_action: The action that ends an episode; None if there is none.
        now: The weight of steps where the expert takes that action.
    """
    losses = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    weights = torch.ones_like(losses)
    if final_action is not None:
        weights = torch.where(labels.flatten() == final_action, now.stop_weight, weights)
    with torch.no_grad():
        agreement = (logits.argmax(-1) == labels).float().mean()
    return {"imitation_loss": (losses * weights).sum() / weights.sum(), "expert_agreement": agreement}
