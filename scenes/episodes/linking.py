"""Links episodes to their scenes: puts starts and goals on the floor, and finds or computes the goals' distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.episodes.episode_set import EpisodeSet
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.library import SceneSet, resolve
from batchsim.scenes.walking.geodesic import distances_by_fields
from batchsim.scenes.walking.walkable import Walkable

_SAME_GOAL = 1e-3
"""A goal at most so far from a baked one, metres, is that one."""


@dataclass(frozen=True)
class BadEpisode:
    """An episode that cannot be run, and the reason."""

    scene_name: str
    episode_id: str
    reason: str


def link_goals(
    episodes: EpisodeSet, scenes: SceneSet | Sequence[Scene] | None = None
) -> tuple[EpisodeSet, list[Scene], list[BadEpisode]]:
    """Links `episodes` to their scenes.

    Starts and goals are put on the floor below or above them (at most `AgentBody.max_step` away), because episode files
    of other simulators have them at the height of their navmesh: otherwise the first step would add the difference to
    the path. Positions become relative to the scene (`Scene.offset`), and `geodesic_distance` is computed again.

    Args:
        episodes: The episodes.
        scenes: One scene for each of `episodes.scene_names`; None loads them by name.

    Returns:
        The episodes that can be run, the scenes with distance fields for all their goals (`goal_index` points to them),
        and the episodes left out: start or goal is not on walkable floor, there is no path, or the scene cannot be
        loaded.
    """
    scene_set = resolve(list(episodes.scene_names) if scenes is None else scenes)
    if len(scene_set) != len(episodes.scene_names):
        raise SceneError(f"{len(scene_set)} scenes given for episodes in {len(episodes.scene_names)}.")
    start, goal, offset = episodes.start_position.copy(), episodes.goal.copy(), episodes.offset.copy()
    goal_index, distance = np.full(len(episodes), -1, np.int32), np.full(len(episodes), np.inf, np.float32)
    whole, bad = [], []
    for number, source in enumerate(scene_set):
        mine = np.flatnonzero(episodes.scene_index == number)
        try:
            scene = source.load()
            shift = offset[mine] - scene.offset
            start[mine] = on_floor(scene.walkable, episodes.start_position[mine] + shift)
            goal[mine] = on_floor(scene.walkable, episodes.goal[mine] + shift)
            offset[mine] = scene.offset
            scene, goal_index[mine], distance[mine], reasons = _link(scene, start[mine], goal[mine])
            whole.append(scene)
        except SceneError as error:
            reasons = [f"its scene cannot be loaded: {error}"] * len(mine)
        bad += [
            BadEpisode(episodes.scene_names[number], episodes.episode_id[e], reason)
            for e, reason in zip(mine, reasons, strict=True)
            if reason
        ]
    linked = replace(
        episodes,
        start_position=start,
        goal=goal,
        goal_index=goal_index,
        geodesic_distance=distance,
        offset=offset,
    )
    return linked.select(goal_index >= 0), whole, bad


def on_floor(walkable: Walkable, points: np.ndarray) -> np.ndarray:
    """Returns `points` `[.., 3]` moved up or down to the walkable floor, float32; unchanged where there is none."""
    cells = walkable.locate(points)
    moved = np.asarray(points, np.float32).copy()
    moved[..., 1] = np.where(cells >= 0, walkable.heights[cells], moved[..., 1])
    return moved


def _link(scene: Scene, start: np.ndarray, goal: np.ndarray) -> tuple[Scene, np.ndarray, np.ndarray, list[str]]:
    """Links pairs of start and goal, float32 `[E, 3]`.

    Returns:
        The scene with all goals; `goal_index` `[E]`, -1 for pairs that cannot be run; `geodesic_distance` `[E]`; and
        the reason for each pair that cannot be run, "" for the others.
    """
    start_cell, goal_cell = scene.walkable.locate(start), scene.walkable.locate(goal)
    usable = np.flatnonzero((start_cell >= 0) & (goal_cell >= 0))
    wanted = np.unique(goal[usable], axis=0)
    new = [point for point in wanted if np.linalg.norm(scene.goals - point, axis=1).min(initial=np.inf) > _SAME_GOAL]
    scene = scene.with_goals(np.array(new).reshape(-1, 3))
    goal_index, distance = np.full(len(start), -1, np.int32), np.full(len(start), np.inf, np.float32)
    if len(usable):
        number = np.array([np.linalg.norm(scene.goals - goal[e], axis=1).argmin() for e in usable])
        ends = start[usable], scene.goals[number]
        distance[usable] = distances_by_fields(scene.walkable, scene.goal_distances, number, *ends)
        goal_index[usable] = np.where(np.isfinite(distance[usable]), number, -1)
    reasons = np.select(
        [start_cell < 0, goal_cell < 0, np.isinf(distance)],
        ["its start is not on walkable floor", "its goal is not on walkable floor", "there is no path to its goal"],
        "",
    )
    return scene, goal_index, distance, reasons.tolist()
