"""`Result`: what a trainer reached."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.96


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes:
        name: Name of the trainer.
        version: Its version; empty if it has none.
        lines: Lines of code of its adapter.
        date: When it was measured.
        frames_per_second: Frames of training divided by its seconds, learning included.
        success: Share of episodes that succeeded after training.
        episodes: Number of these episodes.
    """

    name: str
    version: str
    lines: int
    date: str
    frames_per_second: float
    success: float
    episodes: int

    def interval(self) -> tuple[float, float]:
        """Returns the 95% interval of the success rate (Wilson, "Probable inference", JASA 1927)."""
        n, z = self.episodes, _Z95
        middle = (self.success + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.success * (1 - self.success) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)
