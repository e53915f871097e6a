"""Episodes whose goals are objects: starts of point-goal episodes with a category or a single object for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.categories import CATEGORIES, category_name
from batchsim.scenes.episodes.sampling import EpisodeSet
from batchsim.scenes.errors import SceneError


def assign_categories(
    episodes: EpisodeSet,
    scenes: Sequence[Scene],
    categories: Sequence[str] = (),
    min_distance: float = 1.0,
    max_distance: float = 30.0,
    max_floor_gap: float = 0.5,
) -> EpisodeSet:
    """Gives each start a category that is in its scene, as evenly as the scenes allow.

    The category has a view point on the start's floor and `min_distance` to `max_distance` metres of walking away.
    Episodes for which there is none are left out. `goal_index` counts the categories on from the scene's goal points,
    as `ResidentScenes` does; `goal` is the nearest view point by the beeline, `geodesic_distance` the walk. Episodes
    that have such a goal already are returned as they are.

    `categories`: names to choose from, all without it. Raises `SceneError` if no episode is left.
    """

    def options(scene: Scene) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
        objects, found = scene.objects, []
        for k, name in enumerate(objects.categories):
            if not categories or name in categories:
                cells = np.concatenate([objects.view_cells_of(row) for row in rows_of(scene, name)])
                found.append((name, len(scene.goals) + k, objects.category_distances[k], cells))
        return found

    what = f"of the categories {', '.join(categories)}" if categories else "that is a goal"
    return _assign(episodes, scenes, options, min_distance, max_distance, max_floor_gap, what)


def assign_objects(
    episodes: EpisodeSet,
    scenes: Sequence[Scene],
    min_distance: float = 1.0,
    max_distance: float = 30.0,
    max_floor_gap: float = 0.5,
) -> EpisodeSet:
    """Gives each start an object that images show, evenly by category, by the rules of `assign_categories`."""

    def options(scene: Scene) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
        objects, found = scene.objects, []
        for j in np.unique(objects.image_goals).tolist():
            row = int(objects.goals[j])
            name = category_name(scene.label_names[objects.labels[row]])
            number = len(scene.goals) + len(objects.categories) + j
            found.append((name, number, objects.goal_distances[j], objects.view_cells_of(row)))
        return found

    what = "that a goal image shows"
    return _assign(episodes, scenes, options, min_distance, max_distance, max_floor_gap, what)


def rows_of(scene: Scene, category: str) -> list[int]:
    """Rows of the scene's objects of a category that can be seen from somewhere."""
    named = [category_name(name) == category for name in scene.label_names]
    objects = scene.objects
    return [row for row, label in enumerate(objects.labels) if named[label] and len(objects.view_cells_of(row))]


_Options = list[tuple[str, int, np.ndarray, np.ndarray]]
"""Of a scene: a name, the number of a goal, the distances float16 `[C]` to it, and the cells of its view points."""


def _assign(
    episodes: EpisodeSet,
    scenes: Sequence[Scene],
    options_of: Callable[[Scene], _Options],
    min_distance: float,
    max_distance: float,
    max_floor_gap: float,
    what: str,
) -> EpisodeSet:
    by_name = {scene.name: scene for scene in scenes}
    used_scenes = [by_name[name] for name in episodes.scene_names]
    if all(episodes.goal_index[e] >= len(used_scenes[episodes.scene_index[e]].goals) for e in range(len(episodes))):
        return episodes
    options = [options_of(scene) for scene in used_scenes]
    times: dict[str, int] = dict.fromkeys(CATEGORIES, 0)
    taken: dict[tuple[int, int], int] = {}
    goals, numbers, walks, kept = [], [], [], []
    for e in range(len(episodes)):
        k = int(episodes.scene_index[e])
        scene, start = used_scenes[k], episodes.start_position[e]
        cell = int(scene.walkable.locate(start))
        allowed = []
        for name, number, field, cells in options[k]:
            walk = float(field[cell]) if cell >= 0 else np.inf
            height = scene.walkable.heights[cells]
            level = height.min() - max_floor_gap <= start[1] <= height.max() + max_floor_gap
            if level and min_distance <= walk <= max_distance:
                allowed.append((times.get(name, 0), taken.get((k, number), 0), number, name, walk, cells))
        if not allowed:
            continue
        _, _, number, name, walk, cells = min(allowed, key=lambda option: option[:3])
        times[name] = times.get(name, 0) + 1
        taken[k, number] = taken.get((k, number), 0) + 1
        places = scene.walkable.positions[cells]
        goals.append(places[np.linalg.norm(places - start, axis=1).argmin()])
        numbers.append(number)
        walks.append(walk)
        kept.append(e)
    if not kept:
        raise SceneError(
            f"None of {len(episodes)} episodes has an object {what} {min_distance:g} to {max_distance:g} m away on its "
            "floor. Choose other categories, or scenes with objects: files need names such as 'chair' for their parts."
        )
    return replace(
        episodes.select(np.array(kept)),
        goal=np.array(goals, np.float32),
        goal_index=np.array(numbers, np.int32),
        geodesic_distance=np.array(walks, np.float32),
    )
