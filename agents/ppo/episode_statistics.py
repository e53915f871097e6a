"""Sums over the episodes that ended, for the training log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_NAMES = {"episode_return": "reward"}


class EpisodeStatistics:
    """Sums of `measures` over the episodes that ended, on the device, so that no step waits for them.

    Args:
        measures: Names of the measures.
        num_envs: Environments per call of `add`.
        device: Where the sums are.
    """

    def __init__(self, measures: Sequence[str], num_envs: int, device: torch.device) -> None:
        self._measures = measures
        self._sums = torch.zeros(1 + len(measures), num_envs, device=device)

    def add(self, measures: Mapping[str, Tensor], done: Tensor) -> None:
        """Adds the episodes where `done` (bool `[N]`) is set."""
        rows = [done.float(), *(measures[name].float() for name in self._measures)]
        self._sums += torch.where(done, torch.stack(rows), 0.0)

    def totals(self) -> dict[str, float]:
        """Returns the number of `episodes`, and the sum of each measure over them by its `full_name`."""
        names = ("episodes", *map(full_name, self._measures))
        return dict(zip(names, self._sums.double().sum(1).tolist(), strict=True))


def full_name(measure: str) -> str:
    """Returns the name of an episode measure in logs."""
    return _NAMES.get(measure, measure)
