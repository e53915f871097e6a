"""Chooses the episodes that the report shows: failures first, then successes of all qualities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.report.formatting import style_of

# Shares of the worst failures and of near misses among the episodes with video.
_WORST, _NEAR = 0.4, 0.2


@dataclass(frozen=True)
class EpisodeChoice:
    """The episodes to show.

    Attributes:
        chosen: Indices into the evaluation's records, worst first.
        failures_shown: How many of them are failures.
        failures: How many failures there are in all.
    """

    chosen: tuple[int, ...]
    failures_shown: int
    failures: int


def choose_episodes(evaluation: Evaluation, count: int) -> EpisodeChoice:
    """Choose up to `count` episodes: half of them the worst failures, half successes spread evenly over SPL.

    Failures are ranked by progress (SoftSPL), then by the distance to the goal at the end. If there are too few of one
    kind, the other fills its places. Episodes of tasks without success are ranked by their first measure, and chosen
    evenly over all ranks.
    """
    ranked, failures, successes = _ranked(evaluation)
    if not failures and not successes:
        return EpisodeChoice(tuple(_spread(ranked, count)), 0, 0)
    fail_count = min(len(failures), max(count // 2, count - len(successes)))
    chosen = failures[:fail_count] + _spread(successes, min(len(successes), count - fail_count))
    return EpisodeChoice(tuple(chosen), fail_count, len(failures))


def choose_replays(evaluation: Evaluation, count: int = 20) -> list[EpisodeRecord]:
    """Choose up to `count` episodes to show with video: the worst failures, near misses and successes."""
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
    """All episodes from worst to best, and of them the failures and the successes."""
    records = evaluation.records
    ranked = sorted(range(len(records)), key=lambda i: _rank(records[i], evaluation.measures))
    judged = [i for i in ranked if records[i].has_success]
    return ranked, [i for i in judged if not records[i].succeeded], [i for i in judged if records[i].succeeded]


def _rank(record: EpisodeRecord, measures: Sequence[str]) -> tuple[float, ...]:
    found = record.measures
    if not record.has_success:
        return tuple((style_of(name).better or 1) * found[name] for name in measures[:2])
    success = record.succeeded
    quality = found.get("spl" if success else "soft_spl", 0.0)
    return success, quality, -found.get("distance_to_goal", 0.0)


def _spread(ranked: Sequence[int], count: int) -> list[int]:
    count = max(0, min(count, len(ranked)))
    return [ranked[i] for i in np.linspace(0, len(ranked) - 1, count).round().astype(int)] if count else []
