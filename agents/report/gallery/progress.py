"""How far an episode had come after each step, computed from its path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.formatting import finite
from batchsim.agents.report.gallery.goal_distances import GoalDistances
from batchsim.scenes import Scene
from batchsim.scenes.maps.coverage_grid import coverage_cells

Steps = list[float | None]


def progress(
    record: EpisodeRecord, paths: Sequence[np.ndarray], scene: Scene, to_goal: GoalDistances | None
) -> tuple[str, list[Steps]]:
    """The task's measure of progress at each step.

    Args:
        record: The episode.
        paths: Paths float `[P, 3]` of several agents in it.
        scene: The episode's scene.
        to_goal: Distances to the goal; None for tasks without one.

    Returns:
        Words that follow a number, and for each path the numbers: metres to the goal, metres from the start, or cells
        visited. Empty words and None if the task measures none of these.
    """
    if not sum(map(len, paths)):
        return "", [[] for _ in paths]
    if to_goal is not None:
        return "m to the goal", _distances(paths, to_goal)
    if "distance_from_start" in record.measures:
        return "m from the start", _distances(paths, GoalDistances(scene, paths[0][0]))
    if "cells_visited" in record.measures:
        return "cells visited", _coverage_cells(paths, scene)
    return "", [[None] * len(path) for path in paths]


def _distances(paths: Sequence[np.ndarray], place: GoalDistances) -> list[Steps]:
    distances = place.of(np.concatenate(paths))
    split = np.split(distances, np.cumsum([len(path) for path in paths])[:-1])
    return [[finite(float(value), 3) for value in part] for part in split]


def _coverage_cells(paths: Sequence[np.ndarray], scene: Scene) -> list[Steps]:
    """Counts the coverage-grid cells visited since the start, without the start's own."""
    cell_of = coverage_cells(scene)
    counts: list[Steps] = []
    for path in paths:
        standing = scene.walkable.locate(path)
        cell = np.where(standing >= 0, cell_of[np.maximum(standing, 0)], -1)
        new = np.zeros(len(path))
        new[np.unique(cell, return_index=True)[1]] = 1
        new[cell < 0] = 0
        counts.append((new.cumsum() - new[:1].sum()).tolist())
    return counts
