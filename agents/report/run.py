"""What a report is told about each agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.results import Evaluation


@dataclass(frozen=True)
class ReportedRun:
    """One agent in a report.

    - `evaluation`: its episodes, best the same as the other agents'.
    - `curves`: the lines of its training log (`frames`, `seconds`, `success`, …), any of which may be missing.
    - `config`: what it was trained with; shown as it is, and `scenes` in it names the training set.
    - `films`: what it saw in some of the episodes.
    """

    evaluation: Evaluation
    curves: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    films: Iterable[EpisodeReplay] = ()
