"""From triangles with instance numbers to `SceneObjects`: view points, images, and distances to them."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from batchsim.scenes.categories import CATEGORIES, HM3D_CATEGORIES, categories_of_labels
from batchsim.scenes.objects.image_goals import find_image_goals
from batchsim.scenes.objects.samples import sample_surfaces
from batchsim.scenes.objects.scene_objects import SceneObjects, check_instances
from batchsim.scenes.objects.view_points import find_view_points
from batchsim.scenes.objects.visibility import SightLines
from batchsim.scenes.walking.geodesic import distance_fields_to_sets
from batchsim.scenes.walking.walkable import Walkable

MAX_CATEGORIES = 40
MAX_GOALS = 40
"""Categories and objects of a scene that get a distance field; homes have fewer."""


def find_objects(
    name: str,
    triangles: np.ndarray,
    labels: np.ndarray,
    instances: np.ndarray,
    label_names: Sequence[str],
    nodes: np.ndarray,
    walkable: Walkable,
) -> SceneObjects:
    """What `SceneObjects` holds of a scene; the same for the same arguments.

    `triangles` float32 `[T, 3, 3]`, `labels` and `instances` int32 `[T]`, in the order of the leaves of `nodes`
    (`BVH.nodes`). View points are those of objects whose label has a category (`scenes.categories`).

    Raises `SceneError` if an object has several labels.
    """
    count = check_instances(instances, labels)
    if not count:
        return SceneObjects.none(walkable.num_cells)
    label_of = np.zeros(count + 1, np.int32)
    label_of[instances] = labels
    label_of = label_of[1:]
    rng = np.random.default_rng(crc32(name.encode("utf-8", "surrogateescape")))
    sight = SightLines.of(nodes, triangles, instances)
    category = categories_of_labels(label_names)
    wanted = np.array([category[label] is not None for label in label_of])
    samples = sample_surfaces(triangles, instances, count, rng)
    views = find_view_points(samples, np.flatnonzero(wanted), walkable, sight, rng)
    category_of_row = [category[label] if len(cells) else None for label, cells in zip(label_of, views, strict=True)]
    categories, goals = _chosen(category_of_row, samples.areas, len(label_names))
    members = [[row for row, name in enumerate(category_of_row) if name == wanted] for wanted in categories]
    goal_fields, category_fields = _fields(walkable, views, goals, members)
    rows, poses, coverage = find_image_goals(samples, goals, walkable, sight, rng)
    return SceneObjects(
        labels=label_of,
        centers=samples.centers,
        areas=samples.areas,
        view_cells=np.concatenate(views).astype(np.int32),
        view_offsets=np.concatenate([[0], np.cumsum([len(cells) for cells in views])]).astype(np.int32),
        categories=tuple(categories),
        category_distances=category_fields,
        goals=np.array(goals, np.int32),
        goal_distances=goal_fields,
        image_goals=rows,
        image_poses=poses,
        image_coverage=coverage,
    )


def _chosen(category_of_row: list[str | None], areas: np.ndarray, num_labels: int) -> tuple[list[str], list[int]]:
    """The categories and the rows of single objects that get distance fields."""
    names = {name for name in category_of_row if name is not None}
    counts = {name: category_of_row.count(name) for name in names}
    known = [name for name in CATEGORIES if name in names]
    others = sorted(names - set(known), key=lambda name: (-counts[name], name))
    categories = [*known, *others][:MAX_CATEGORIES]
    # Files with names of their own may hold none of the six.
    asked = HM3D_CATEGORIES if names & set(HM3D_CATEGORIES) else tuple(categories)
    rows = [row for row, name in enumerate(category_of_row) if name in asked]
    rows = sorted(sorted(rows, key=lambda row: (asked.index(category_of_row[row]), -areas[row]))[:MAX_GOALS])
    return categories, rows


def _fields(
    walkable: Walkable, views: list[np.ndarray], goals: list[int], members: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances float16 to the view points of the single `goals` `[J, C]` and of the categories' `members` `[K, C]`."""
    place = {row: k for k, row in enumerate(goals)}
    # What all members of a category have by themselves need not be computed again for all of them together.
    whole = [k for k, rows in enumerate(members) if not all(row in place for row in rows)]
    sets = [views[row] for row in goals]
    sets += [np.concatenate([views[row] for row in members[k]]) for k in whole]
    fields = distance_fields_to_sets(walkable, sets).astype(np.float16)
    goal_fields = fields[: len(goals)]
    category_fields = np.empty((len(members), walkable.num_cells), np.float16)
    for k, rows in enumerate(members):
        if k in whole:
            category_fields[k] = fields[len(goals) + whole.index(k)]
        else:
            category_fields[k] = goal_fields[[place[row] for row in rows]].min(0)
    return goal_fields, category_fields


def objects_from_views(
    walkable: Walkable,
    labels: np.ndarray,
    centers: np.ndarray,
    views: list[np.ndarray],
    categories: list[str | None],
    image_poses: list[np.ndarray] | None,
) -> SceneObjects:
    """Returns objects whose view points are given, as those of an episode file.

    Args:
        walkable: The scene's walkable cells.
        labels: int32 `[I]`, semantic labels.
        centers: float32 `[I, 3]`, metres.
        views: Cells int32 `[v]` of each object.
        categories: Category of each object; None if it cannot be seen from anywhere.
        image_poses: Pictures of each object, `[q, 5]`, which make goals of them; None: only categories are goals.
    """
    names = {name for name in categories if name is not None}
    known = [name for name in CATEGORIES if name in names]
    wanted = [*known, *sorted(names - set(known))]
    goals = [row for row, name in enumerate(categories) if name is not None and image_poses is not None]
    members = [[row for row, name in enumerate(categories) if name == asked] for asked in wanted]
    goal_fields, category_fields = _fields(walkable, views, goals, members)
    poses = [image_poses[row] for row in goals] if image_poses is not None else []
    of_goal = np.repeat(np.arange(len(goals)), [len(part) for part in poses]).astype(np.int32)
    image_poses_of_all = np.concatenate([*poses, np.zeros((0, 5))]).astype(np.float32)
    return SceneObjects(
        labels=labels,
        centers=centers,
        areas=np.zeros(len(labels), np.float32),
        view_cells=np.concatenate([*views, np.zeros(0, np.int32)]).astype(np.int32),
        view_offsets=np.concatenate([[0], np.cumsum([len(cells) for cells in views])]).astype(np.int32),
        categories=tuple(wanted),
        category_distances=category_fields,
        goals=np.array(goals, np.int32),
        goal_distances=goal_fields,
        image_goals=of_goal,
        image_poses=image_poses_of_all,
        image_coverage=np.zeros((len(image_poses_of_all), 2), np.float32),
    )
