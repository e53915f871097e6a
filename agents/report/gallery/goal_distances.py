"""Geodesic distances and shortest paths to one point of a scene."""

from __future__ import annotations

import numpy as np

from batchsim.scenes import Scene, SceneError
from batchsim.scenes.walking.geodesic import distance_fields, distances_to_goal, shortest_path

# Positions in records are rounded to millimetres.
_SAME_PLACE = 2e-3


class GoalDistances:
    """Distances to `goal` `[3]`, which are baked if it is one of the scene's goals, and otherwise computed."""

    def __init__(self, scene: Scene, goal: np.ndarray) -> None:
        self._walkable = scene.walkable
        self._goal = np.asarray(goal, np.float32)
        self._field = self._baked(scene)
        if self._field is None and scene.is_navigable(self._goal):
            self._field = distance_fields(scene.walkable, self._goal[None])[0]

    def _baked(self, scene: Scene) -> np.ndarray | None:
        same = np.flatnonzero((np.abs(scene.goals - self._goal) < _SAME_PLACE).all(1))
        return scene.goal_distances[same[0]].astype(np.float32) if len(same) else None

    def of(self, points: np.ndarray) -> np.ndarray:
        """Metres from `points` `[P, 3]`, float32 `[P]`; inf if there is no path."""
        if self._field is None:
            return np.full(len(points), np.inf, np.float32)
        return distances_to_goal(self._walkable, self._field, self._goal, points)

    def path_from(self, start: np.ndarray) -> np.ndarray:
        """The shortest path from `start` `[3]`, float32 `[P, 3]`; empty if there is none."""
        if self._field is None:
            return np.zeros((0, 3), np.float32)
        try:
            return shortest_path(self._walkable, self._field, start)
        except SceneError:  # the start is off the walkable surface, or cut off from the goal
            return np.zeros((0, 3), np.float32)
