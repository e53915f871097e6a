"""Which episodes are worth a look: the worst first, then what lies between, then what went well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.report.formatting import style_of

# Of the episodes with films, the shares of the worst failures and of those that nearly succeeded.
_WORST, _NEAR = 0.4, 0.2


@dataclass(frozen=True)
class Choice:
    """The episodes to show: numbers into the evaluation's records, the worst first, and how many failed of all."""

    chosen: tuple[int, ...]
    failures_shown: int
    failures: int


def has_success(record: EpisodeRecord) -> bool:
    """Whether the task knows success."""
    return "success" in record.measures


def succeeded(record: EpisodeRecord) -> bool:
    """Whether the episode was a success; False where the task does not know."""
    return record.measures.get("success", 0.0) > 0.5


def choose_episodes(evaluation: Evaluation, count: int) -> Choice:
    """Up to `count` episodes: the worst failures fill up to half of it, successes spread evenly over SPL the rest.

    A failure is the worse, the less progress it made (SoftSPL), then the farther from the goal it ended. Where one kind
    is scarce the other takes its places. Tasks without success are ranked by their first measure and spread evenly.
    """
    ranked, failures, successes = _ranked(evaluation)
    if not failures and not successes:
        return Choice(tuple(_spread(ranked, count)), 0, 0)
    fail_count = min(len(failures), max(count // 2, count - len(successes)))
    chosen = failures[:fail_count] + _spread(successes, min(len(successes), count - fail_count))
    return Choice(tuple(chosen), fail_count, len(failures))


def choose_replays(evaluation: Evaluation, count: int = 20) -> list[EpisodeRecord]:
    """The episodes, at most `count`, to be shown from inside: the worst failures, some near misses, some successes."""
    ranked, failures, successes = _ranked(evaluation)
    if not failures and not successes:
        return [evaluation.records[i] for i in _spread(ranked, count)]
    misses = min(len(failures), max(round((_WORST + _NEAR) * count), count - len(successes)))
    near_count = round(misses * _NEAR / (_WORST + _NEAR))
    worst = failures[: misses - near_count]
    rest = failures[misses - near_count :]
    near = sorted(rest, key=lambda i: evaluation.records[i].measures.get("distance_to_goal", 0.0))[:near_count]
    chosen = worst + near + _spread(successes, count - misses)
    return [evaluation.records[i] for i in chosen]


def _ranked(evaluation: Evaluation) -> tuple[list[int], list[int], list[int]]:
    """All episodes from the worst to the best, and of them the failures and the successes."""
    records = evaluation.records
    ranked = sorted(range(len(records)), key=lambda i: _rank(records[i], evaluation.measures))
    judged = [i for i in ranked if has_success(records[i])]
    return ranked, [i for i in judged if not succeeded(records[i])], [i for i in judged if succeeded(records[i])]


def _rank(record: EpisodeRecord, measures: Sequence[str]) -> tuple[float, ...]:
    found = record.measures
    if not has_success(record):
        return tuple((style_of(name).better or 1) * found[name] for name in measures[:2])
    success = succeeded(record)
    quality = found.get("spl" if success else "soft_spl", 0.0)
    return success, quality, -found.get("distance_to_goal", 0.0)


def _spread(ranked: Sequence[int], count: int) -> list[int]:
    count = max(0, min(count, len(ranked)))
    return [ranked[i] for i in np.linspace(0, len(ranked) - 1, count).round().astype(int)] if count else []
