"""Why episodes failed, as far as the map and the path tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord

_STOP, _FORWARD = 0, 1  # in all tasks with a goal
# Share of an episode, at its end, that tells what it was doing when time ran out.
_TAIL = 0.25
_STUCK_RADIUS = 0.5  # metres
_STUCK_BLOCKED = 0.25  # blocked forward steps per step
_APPROACH = 1.0  # metres that the tail came nearer to the goal
_NEAREST = 0.5  # metres between the end and the nearest point of the path
_CELL = 0.5  # metres
_REVISITS = 0.5  # share of cell changes that lead to a visited cell


@dataclass(frozen=True)
class Cause:
    """A reason for failure: `key` identifies it, `explanation` says how it is recognised."""

    key: str
    title: str
    explanation: str


STOPPED = Cause("stopped", "Stopped short", "The agent stopped too far from the goal")
STUCK = Cause(
    "stuck",
    "Stuck at an obstacle",
    "Time ran out; in the last quarter of the episode the agent stayed within 0.5 m and kept hitting an obstacle",
)
ON_THE_WAY = Cause(
    "on-the-way",
    "Out of time on the right way",
    "Time ran out; in the last quarter of the episode the agent came at least 1 m nearer to the goal",
)
CIRCLES = Cause("circles", "Went round in circles", "Time ran out; at least half of the moves led to visited places")
NEVER_SEEN = Cause(
    "never-seen", "Never saw the goal", "Time ran out; the goal's position was never in the agent's view"
)
OTHER = Cause("other", "Other", "Time ran out for none of the other reasons")
CAUSES = (STOPPED, STUCK, ON_THE_WAY, CIRCLES, NEVER_SEEN, OTHER)


@dataclass(frozen=True)
class CauseCount:
    """How many of the failures shown have a cause, and their mean distance to the goal at the end, metres."""

    cause: Cause
    count: int
    distance: float


def failure_cause(record: EpisodeRecord, to_goal: np.ndarray, saw_goal: bool) -> Cause | None:
    """Find the cause of a failure; the first of `CAUSES` that applies.

    Args:
        record: The episode.
        to_goal: Geodesic distance to the goal at each position, float `[steps + 1]`, metres.
        saw_goal: Whether the goal's position was ever in the agent's view.

    Returns:
        The cause; None for successes, tasks without a goal, and records without actions.
    """
    if not (record.has_goal and record.has_success and record.actions) or record.succeeded:
        return None
    if record.actions[-1] == _STOP:
        return STOPPED
    path = np.array(record.path)
    tail = max(2, round(_TAIL * len(record.actions)))
    if _is_stuck(path[-tail - 1 :], np.array(record.actions[-tail:])):
        return STUCK
    if to_goal[-tail - 1] - to_goal[-1] >= _APPROACH and to_goal[-1] <= to_goal.min() + _NEAREST:
        return ON_THE_WAY
    if _revisits(path) >= _REVISITS:
        return CIRCLES
    return OTHER if saw_goal else NEVER_SEEN


def count_causes(records: Sequence[EpisodeRecord], causes: Sequence[Cause | None]) -> tuple[CauseCount, ...]:
    """Count the causes of `records`; without causes that did not occur."""
    counts = []
    for cause in CAUSES:
        left = [r.measures["distance_to_goal"] for r, found in zip(records, causes, strict=True) if found is cause]
        if left:
            counts.append(CauseCount(cause, len(left), float(np.mean(left))))
    return tuple(counts)


def _is_stuck(path: np.ndarray, actions: np.ndarray) -> bool:
    moved = np.linalg.norm(np.diff(path, axis=0), axis=1)
    blocked = ((actions == _FORWARD) & (moved < 0.01)).mean()
    radius = np.linalg.norm(path - path.mean(0), axis=1).max()
    return bool(radius < _STUCK_RADIUS and blocked >= _STUCK_BLOCKED)


def _revisits(path: np.ndarray) -> float:
    """The share of changes between cells of 0.5 m that lead to a cell visited before."""
    cells = [tuple(cell) for cell in np.floor(path / _CELL).astype(int).tolist()]
    visited, changes, again = {cells[0]}, 0, 0
    for before, cell in pairwise(cells):
        if cell != before:
            changes += 1
            again += cell in visited
            visited.add(cell)
    return again / changes if changes else 0.0
