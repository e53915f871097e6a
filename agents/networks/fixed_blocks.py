"""Steps of a policy in blocks of a fixed number of environments.

Matrix products round differently for different batch sizes, but alike for all rows of one size. With a fixed size, what
a policy does in one environment does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

_BLOCK = {"cpu": 32, "cuda": 256}


class Steppable(Protocol):
    """What `step_in_blocks` needs of a policy; see `Policy`."""

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns logits, values and the next state."""


@torch.no_grad()
def step_in_blocks(
    policy: Steppable, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what `policy.step` returns for N environments; `observation` holds only what the policy reads."""
    count = len(episode_start)
    block = _BLOCK.get(state.device.type, 32)
    parts = []
    for first in range(0, count, block):
        rows = slice(first, first + block)
        inputs = {name: _padded(value[rows], block) for name, value in observation.items()}
        step = policy.step(inputs, *(_padded(value[rows], block) for value in (previous_action, episode_start, state)))
        parts.append(tuple(value[: count - first] for value in step))
    logits, values, state = (torch.cat(part) for part in zip(*parts, strict=True))
    return logits, values, state


def _padded(rows: Tensor, block: int) -> Tensor:
    """Returns `rows` padded with zeros to a whole block."""
    missing = block - len(rows)
    return rows if missing == 0 else torch.cat((rows, rows.new_zeros(missing, *rows.shape[1:])))
