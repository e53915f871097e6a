"""Labels of the expert for a batch of environments, and who acts: the policy or the expert."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.random_streams import mix, uniform

_ACTORS = 0xDA66  # separates these random numbers from others of the same seed


def expert_action(env: NavVectorEnv, info: dict[str, Any]) -> Tensor:
    """Returns the expert's actions int64 `[N]` for the observations that came with `info`."""
    labels: Tensor = info["expert_action"] if "expert_action" in info else env.expert()[0]
    return labels


def take_turns(
    action: Tensor, log_prob: Tensor, logits: Tensor, label: Tensor, share: float, streams: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Replaces a share of the policy's actions by the expert's.

    Args:
        action: The policy's actions, int64 `[N]`.
        log_prob: Their log probabilities, `[N]`.
        logits: The policy's logits, `[N, A]`.
        label: The expert's actions, int64 `[N]`.
        share: Share of the steps in which the expert acts.
        streams: Random streams of the environments, int64 `[N]`.
        count: Number of this step in them.

    Returns:
        The actions, their log probabilities under the policy, and which ones are the expert's, bool `[N]`.
    """
    if share <= 0:
        return action, log_prob, torch.zeros_like(action, dtype=torch.bool)
    draws = uniform(mix(streams + _ACTORS), torch.full_like(streams, count), 1).squeeze(-1)
    by_expert = draws < share
    of_label = torch.log_softmax(logits, -1).gather(-1, label.unsqueeze(-1)).squeeze(-1)
    return torch.where(by_expert, label, action), torch.where(by_expert, of_label, log_prob), by_expert
