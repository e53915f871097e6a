"""What a report shows of each agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.runs.shrink_record import ShrinkRecord


@dataclass(frozen=True)
class ReportedRun:
    """One agent in a report.

    Attributes:
        evaluation: Its episodes, preferably the same as the other agents'.
        curves: The lines of its training log (`frames`, `seconds`, `success`, ...); any of these may be missing.
        config: The training configuration. It is shown unchanged; its `scenes` names the training set.
        replays: The images of some of its episodes.
        shrunk: How it was shrunk, if it was.
        last_chances: Steps of failed episodes after which an expert could still have succeeded, by scene and id.
    """

    evaluation: Evaluation
    curves: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    replays: Iterable[EpisodeReplay] = ()
    shrunk: ShrinkRecord | None = None
    last_chances: Mapping[tuple[str, str], int] = field(default_factory=dict)
