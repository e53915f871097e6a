"""`NavigationData`: one scene's navigation tensors on the host, ready for upload. Any thread may prepare them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from batchsim.scenes import Scene, SceneError
from batchsim.scenes.maps.coverage_grid import coverage_cells
from batchsim.scenes.own_pages import in_own_pages
from batchsim.world.object_goals import ObjectGoals, object_goal_positions, object_goals


@dataclass(frozen=True, eq=False)
class NavigationData:
    """The walkable cells and distance fields of one scene, as flat tensors on the host.

    Attributes:
        scene: The scene itself, without its distance fields.
        index: int32 `[L * rows * columns]`, the walkable cell at each place of the layered height grid, or -1.
        positions: float32 `[C, 3]`, metres: the floor under the middle of each walkable cell.
        coverage_cells: int32 `[C]`, the cell of the coverage grid (`batchsim.scenes.maps.coverage_grid`) that each
            walkable cell lies in.
        num_coverage_cells: Number of cells of the coverage grid.
        goals: float32 `[G, 3]`, metres.
        distances: float16 `[G * C]`, walking distance from each cell to each goal, metres.
        farthest: float32 `[G]`, largest finite distance to each goal.
        objects: The goals that are objects; None if the scene's objects are not used. Their distance fields follow
            those of the scene's goal points in `distances`, and they are numbered on in `goals` and `farthest`.
    """

    scene: Scene
    index: Tensor
    positions: Tensor
    coverage_cells: Tensor
    num_coverage_cells: int
    goals: Tensor
    distances: Tensor
    farthest: Tensor
    objects: ObjectGoals | None = None

    @property
    def layers(self) -> int:
        """L, the number of layers of the height grid."""
        return self.scene.walkable.index.shape[0]

    @property
    def columns(self) -> int:
        """Number of places in one layer of the height grid: rows times columns."""
        return self.index.numel() // self.layers

    def padded_index(self, layers: int) -> Tensor:
        """Returns `index` with empty layers appended up to `layers`."""
        return torch.nn.functional.pad(self.index, (0, (layers - self.layers) * self.columns), value=-1)


def prepare_navigation(scene: Scene, pinned: bool = False, with_objects: bool = False) -> NavigationData:
    """Copies the navigation data of `scene` into tensors.

    Args:
        scene: A baked scene.
        pinned: Whether to use pinned memory, which a GPU can read without blocking the host.
        with_objects: Whether to include the distances to objects.

    Raises:
        SceneError: If the scene has no goals.
    """
    if len(scene.goals) == 0:
        raise SceneError(f"{scene.name}: no goal could be placed; the walkable floor is too small.")

    def tensor(array: np.ndarray, dtype: type) -> Tensor:
        result = torch.as_tensor(in_own_pages(np.ascontiguousarray(array, dtype)))
        return result.pin_memory() if pinned else result

    coverage, fields, goals = coverage_cells(scene), scene.goal_distances, scene.goals
    if with_objects:
        fields = np.concatenate([fields, scene.objects.category_distances, scene.objects.goal_distances])
        goals = np.concatenate([goals, object_goal_positions(scene)])
    return NavigationData(
        scene.without_distances(),
        tensor(scene.walkable.index.ravel(), np.int32),
        tensor(scene.walkable.positions, np.float32),
        tensor(coverage, np.int32),
        int(coverage.max()) + 1,
        tensor(goals, np.float32),
        tensor(fields.ravel(), np.float16),
        tensor(np.where(np.isfinite(fields), fields, 0).max(1), np.float32),
        object_goals(scene, tensor) if with_objects else None,
    )
