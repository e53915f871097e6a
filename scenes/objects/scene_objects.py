"""`SceneObjects`: what a baked scene keeps of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from batchsim.scenes.errors import SceneError


@dataclass(frozen=True, eq=False)
class SceneObjects:
    """The I objects of a scene; number k of `Scene.instances` is row k - 1 here. Units are metres.

    - `labels` int32 `[I]`: the semantic label of each; `centers` float32 `[I, 3]`, of its bounding box; `areas` float32
      `[I]`, of its surface, square metres.
    - `view_cells` int32 `[V]`: walkable cells from which objects can be seen at most a metre away, those of object k at
      `view_offsets[k] : view_offsets[k + 1]` (int32 `[I + 1]`).
    - `categories`: names of what can be asked for here; `category_distances` float16 `[K, C]`: metres of walking from
      each cell to the nearest view point of any object of the category, inf where there is no way.
    - `goals` int32 `[J]`: rows of the objects that can be goals by themselves; `goal_distances` float16 `[J, C]`: to
      the nearest view point of each.
    - `image_goals` int32 `[Q]`: positions in `goals`, in order, of the objects that images show; `image_poses`
      float32 `[Q, 5]`: position x y z of the camera, its heading and its pitch; `image_coverage` float32 `[Q, 2]`: the
      share of a square image, `IMAGE_HFOV` degrees wide, that the object fills, and how much of its surface is seen.
    """

    labels: np.ndarray
    centers: np.ndarray
    areas: np.ndarray
    view_cells: np.ndarray
    view_offsets: np.ndarray
    categories: tuple[str, ...]
    category_distances: np.ndarray
    goals: np.ndarray
    goal_distances: np.ndarray
    image_goals: np.ndarray
    image_poses: np.ndarray
    image_coverage: np.ndarray

    def __len__(self) -> int:
        """I, the number of objects."""
        return len(self.labels)

    def view_cells_of(self, row: int) -> np.ndarray:
        """Cells int32 `[v]` from which the object in that row can be seen."""
        return self.view_cells[self.view_offsets[row] : self.view_offsets[row + 1]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in self.to_arrays().values())

    def without_distances(self) -> SceneObjects:
        """Returns these objects without their distance fields: the first dimension of both is 0."""
        none = {name: getattr(self, name)[:0].copy() for name in ("category_distances", "goal_distances")}
        return replace(self, **none)

    def check(self, num_cells: int, num_labels: int, instances: np.ndarray) -> None:
        """Checks arrays that were read from a file.

        Raises:
            ValueError: If they do not fit each other, a scene of `num_cells` walkable cells and `num_labels` labels, or
                the scene's `instances`.
        """
        objects, goals, poses = len(self), len(self.goals), len(self.image_poses)
        whole, real, near = np.int32, np.float32, np.float16
        expected = {
            "labels": (whole, (objects,), num_labels),
            "centers": (real, (objects, 3), None),
            "areas": (real, (objects,), None),
            "view_cells": (whole, (len(self.view_cells),), num_cells),
            "view_offsets": (whole, (objects + 1,), len(self.view_cells) + 1),
            "category_distances": (near, (len(self.categories), num_cells), None),
            "goals": (whole, (goals,), objects),
            "goal_distances": (near, (goals, num_cells), None),
            "image_goals": (whole, (poses,), goals),
            "image_poses": (real, (poses, 5), None),
            "image_coverage": (real, (poses, 2), None),
        }
        for name, (dtype, shape, end) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"objects.{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
            if end is not None and array.size and not 0 <= array.min() <= array.max() < end:
                raise ValueError(f"objects.{name} runs from {array.min()} to {array.max()}, expected 0 to {end - 1}")
            if dtype is real and not np.isfinite(array).all():
                raise ValueError(f"objects.{name} holds NaN or infinite numbers")
            if dtype is near and (array.view(np.uint16) > np.float16(np.inf).view(np.uint16)).any():
                raise ValueError(f"objects.{name} holds negative distances or NaN")
        ends = (self.view_offsets[0], self.view_offsets[-1])
        if ends != (0, len(self.view_cells)) or (np.diff(self.view_offsets) < 0).any():
            raise ValueError("objects.view_offsets do not divide objects.view_cells")
        if len(instances) and not 0 <= instances.min() <= instances.max() <= objects:
            raise ValueError("instances point outside the objects")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, as a file keeps them; `categories` is text and kept apart."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "categories"}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray], categories: tuple[str, ...]) -> SceneObjects:
        """The inverse of `to_arrays`."""
        return SceneObjects(categories=categories, **arrays)

    @staticmethod
    def none(num_cells: int) -> SceneObjects:
        """Those of a scene without objects."""
        whole, real, near = np.int32, np.float32, np.float16
        return SceneObjects(
            labels=np.zeros(0, whole),
            centers=np.zeros((0, 3), real),
            areas=np.zeros(0, real),
            view_cells=np.zeros(0, whole),
            view_offsets=np.zeros(1, whole),
            categories=(),
            category_distances=np.zeros((0, num_cells), near),
            goals=np.zeros(0, whole),
            goal_distances=np.zeros((0, num_cells), near),
            image_goals=np.zeros(0, whole),
            image_poses=np.zeros((0, 5), real),
            image_coverage=np.zeros((0, 2), real),
        )


def check_instances(instances: np.ndarray, labels: np.ndarray) -> int:
    """How many objects there are; raises `SceneError` if the triangles of one have different labels."""
    count = int(instances.max(initial=0))
    low = np.full(count + 1, np.iinfo(np.int32).max)
    high = np.full(count + 1, -1)
    np.minimum.at(low, instances, labels)
    np.maximum.at(high, instances, labels)
    mixed = np.flatnonzero((low < high)[1:])
    if len(mixed):
        raise SceneError(
            f"Object {mixed[0] + 1} has triangles with the labels {low[mixed[0] + 1]} and {high[mixed[0] + 1]}. Give "
            "each object one label, or its parts numbers of their own."
        )
    return count
