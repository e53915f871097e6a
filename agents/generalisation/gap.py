"""The gap between the training homes and unseen ones, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchsim.agents.evaluation.results import Evaluation, bootstrap_means
from batchsim.agents.generalisation.conditions import TRAINING, UNSEEN

MEASURES = ("success", "spl")


@dataclass(frozen=True)
class RunResults:
    """What was found of one run.

    Attributes:
        run: Its name.
        homes: Number of homes that it was trained in.
        frames: Frames of experience that it was trained with; None if unknown.
        evaluations: Its evaluations by condition.
    """

    run: str
    homes: int
    frames: int | None
    evaluations: dict[str, Evaluation]

    @property
    def measures(self) -> list[str]:
        """The measures that are shown."""
        known = self.evaluations[UNSEEN].measures
        return [name for name in MEASURES if name in known] or list(known[:1])

    def to_json(self) -> dict[str, Any]:
        """The means with 95% intervals in each condition, and the gaps."""
        summaries = {name: evaluation.summary() for name, evaluation in self.evaluations.items()}
        return {
            "run": self.run,
            "homes": self.homes,
            "frames": self.frames,
            "conditions": {
                condition: {"scenes": self.evaluations[condition].scenes, "episodes": summary["episodes"]}
                | {name: summary[name] for name in self.measures}
                for condition, summary in summaries.items()
            },
            "gap": {name: self.gap(name) for name in self.measures},
        }

    def gap(self, measure: str) -> dict[str, Any]:
        """The mean in the training homes less that in unseen homes, with a 95% bootstrap interval."""
        known, unseen = self.evaluations[TRAINING], self.evaluations[UNSEEN]
        mean = float(known.values(measure).mean() - unseen.values(measure).mean())
        low, high = difference_interval(known, unseen, measure)
        return {"mean": mean, "ci95": [low, high]}


def difference_interval(first: Evaluation, second: Evaluation, measure: str) -> tuple[float, float]:
    """95% interval of the difference of two means, by the cluster bootstrap of `bootstrap_interval` in each set."""
    # Different seeds: the two sets are resampled independently.
    means = [
        bootstrap_means(each.values(measure), [record.scene for record in each.records], each.seed + k)
        for k, each in enumerate((first, second))
    ]
    low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
    return float(low), float(high)


def in_order(results: Sequence[RunResults]) -> list[RunResults]:
    """The results by rising number of homes."""
    return sorted(results, key=lambda result: (result.homes, result.run))
