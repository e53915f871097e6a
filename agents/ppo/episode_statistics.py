"""Sums over the episodes that ended, for figures of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_NAMES = {"r": "reward", "l": "episode_length"}  # Gymnasium's short names in full


class EpisodeStatistics:
    """Sums of `measures` over the episodes that ended, kept on the device so that no step waits for them.

    `num_envs`: how many environments are counted at a time.
    """

    def __init__(self, measures: Sequence[str], num_envs: int, device: torch.device) -> None:
        self._measures = measures
        self._sums = torch.zeros(1 + len(measures), num_envs, device=device)

    def add(self, measures: Mapping[str, Tensor], done: Tensor) -> None:
        """Count the episodes where `done` (bool `[N]`) is set."""
        rows = [done.float(), *(measures[name].float() for name in self._measures)]
        self._sums += torch.where(done, torch.stack(rows), 0.0)

    def totals(self) -> dict[str, float]:
        """`episodes`, how many ended, and the sum of each measure over them, by its `full_name`."""
        names = ("episodes", *map(full_name, self._measures))
        return dict(zip(names, self._sums.double().sum(1).tolist(), strict=True))


def full_name(measure: str) -> str:
    """What a measure of episodes is called in figures."""
    return _NAMES.get(measure, measure)
