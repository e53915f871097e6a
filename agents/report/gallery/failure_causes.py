"""Why episodes failed, as far as the map and the path tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.gallery.fog import FogMap
from batchsim.agents.report.gallery.goal_distances import GoalDistances
from batchsim.scenes import Scene

_STOP, _FORWARD = 0, 1  # in all tasks with a goal
# Share of an episode, at its end, that tells what it was doing when time ran out.
_TAIL = 0.25
_STUCK_RADIUS = 0.5  # metres
_STUCK_BLOCKED = 0.25  # blocked forward steps per step
_APPROACH = 1.0  # metres that the tail came nearer to the goal
_NEAREST = 0.5  # metres between the end and the nearest point of the path
_CELL = 0.5  # metres
_REVISITS = 0.5  # share of cell changes that lead to a visited cell
_ROOM = 3.0  # metres around the goal
_SEEN = 0.2  # share of the goal's room


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
    "never-seen",
    "Never saw the goal's room",
    "Time ran out; less than a fifth of what can be seen from the goal within 3 m was ever in the agent's view",
)
OTHER = Cause("other", "Other", "Time ran out for none of the other reasons")
CAUSES = (STOPPED, STUCK, ON_THE_WAY, CIRCLES, NEVER_SEEN, OTHER)


@dataclass(frozen=True)
class CauseCount:
    """The failures with one cause.

    Attributes:
        cause: The cause.
        count: How many there are.
        distance: Their mean distance to the goal at the end, metres.
        shown: How many of them the gallery shows.
        last_chance: Median number of steps after which an expert could still have succeeded; None if unknown.
    """

    cause: Cause
    count: int
    distance: float
    shown: int = 0
    last_chance: float | None = None


def cause_on_map(record: EpisodeRecord, scene: Scene, fog_map: FogMap) -> Cause | None:
    """Find the cause of a failure on the map of its scene; None as in `failure_cause`, or without headings."""
    path, headings = np.array(record.path, np.float64).reshape(-1, 3), np.array(record.headings)
    if not record.has_goal or record.succeeded or not len(path) or len(headings) != len(path):
        return None
    goal = np.array(record.goal, np.float64)
    seen = fog_map.share_seen(path, headings, goal, _ROOM)
    return failure_cause(record, GoalDistances(scene, goal).of(path), seen >= _SEEN)


def failure_cause(record: EpisodeRecord, to_goal: np.ndarray, saw_room: bool) -> Cause | None:
    """Find the cause of a failure; the first of `CAUSES` that applies.

    Args:
        record: The episode.
        to_goal: Geodesic distance to the goal at each position, float `[steps + 1]`, metres.
        saw_room: Whether the goal's room was ever in the agent's view.

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
    return OTHER if saw_room else NEVER_SEEN


def count_causes(
    records: Sequence[EpisodeRecord],
    causes: Mapping[tuple[str, str], Cause],
    shown: Collection[tuple[str, str]] = (),
    last_chances: Mapping[tuple[str, str], int] | None = None,
) -> tuple[CauseCount, ...]:
    """Count the causes of `records`; without causes that did not occur.

    Args:
        records: The episodes.
        causes: Causes by the keys of episodes.
        shown: Keys of the episodes that the gallery shows.
        last_chances: Steps after which an expert could still have succeeded, by the keys of episodes.
    """
    chances, counts = last_chances or {}, []
    for cause in CAUSES:
        mine = [record for record in records if causes.get(record.key) is cause]
        if mine:
            left = float(np.mean([record.measures["distance_to_goal"] for record in mine]))
            steps = [max(chances[record.key], 0) for record in mine if record.key in chances]
            median = float(np.median(steps)) if steps else None
            counts.append(CauseCount(cause, len(mine), left, sum(record.key in shown for record in mine), median))
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
