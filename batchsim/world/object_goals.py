"""`ObjectGoals`: what of a scene's objects goes to the device besides their distance fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from batchsim.scenes import Scene
from batchsim.scenes.categories import category_name


@dataclass(frozen=True, eq=False)
class ObjectGoals:
    """Goals of one scene that are objects, on the host. They are numbered on from the scene's G goal points.

    Goal G + k is any object of the k-th category of the scene, goal G + K + j a single object.

    Attributes:
        categories: Names of the K categories.
        first: G.
        category_floors: float32 `[K, 2]`, lowest and highest view point of each category, metres.
        object_categories: Name of the category of each of the J single objects.
        object_floors: float32 `[J, 2]`, as `category_floors`.
        images: int64 `[Q]`: which of the single objects each image shows, in order.
        image_poses: float32 `[Q, 5]`: x, y, z (metres), heading and pitch (radians) of the camera of each image.
    """

    categories: tuple[str, ...]
    first: int
    category_floors: np.ndarray
    object_categories: tuple[str, ...]
    object_floors: np.ndarray
    images: Tensor
    image_poses: Tensor


def object_goals(scene: Scene, tensor: Callable[[np.ndarray, type], Tensor]) -> ObjectGoals:
    """Collects the goals of `scene` that are objects; `tensor` makes a tensor of an array and a dtype."""
    objects, height = scene.objects, scene.walkable.heights
    name_of = [category_name(scene.label_names[label]) for label in objects.labels]

    def floors(rows: list[int]) -> tuple[float, float]:
        seen = height[np.concatenate([objects.view_cells_of(row) for row in rows])]
        return float(seen.min()), float(seen.max())

    def with_views(name: str) -> list[int]:
        return [row for row, own in enumerate(name_of) if own == name and len(objects.view_cells_of(row))]

    return ObjectGoals(
        objects.categories,
        len(scene.goals),
        np.array([floors(with_views(name)) for name in objects.categories], np.float32).reshape(-1, 2),
        tuple(name_of[row] for row in objects.goals),
        np.array([floors([row]) for row in objects.goals], np.float32).reshape(-1, 2),
        tensor(objects.image_goals, np.int64),
        tensor(objects.image_poses, np.float32),
    )


def object_goal_positions(scene: Scene) -> np.ndarray:
    """float32 `[K + J, 3]`: a place for each goal that is an object: of a category that of one of its objects."""
    objects = scene.objects
    name_of = [category_name(scene.label_names[label]) for label in objects.labels]
    rows = [name_of.index(name) for name in objects.categories]
    return objects.centers[np.array([*rows, *objects.goals], np.int64)]
