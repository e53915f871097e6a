"""What `ResidentScenes` keeps of a scene, as tensors ready to be copied. Any thread may pack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from batchsim.scenes import Scene, SceneError
from batchsim.scenes.maps.coverage_grid import coverage_cells


@dataclass(frozen=True, eq=False)
class NavigationData:
    """A scene's share of the flat tensors, on the host.

    - `index` int32 `[L * rows * columns]`, `positions` float32 `[C, 3]`: its walkable cells, as in `scenes.Walkable`.
    - `coverage_cells` int32 `[C]`: the cells of the coverage grid that they lie in
      (`batchsim.scenes.maps.coverage_grid`); `num_coverage_cells` in all.
    - `goals` float32 `[G, 3]`; `distances` float16 `[G * C]`; `farthest` float32 `[G]`: the largest finite ones.
    """

    scene: Scene
    index: Tensor
    positions: Tensor
    coverage_cells: Tensor
    num_coverage_cells: int
    goals: Tensor
    distances: Tensor
    farthest: Tensor

    @property
    def layers(self) -> int:
        """L, of the height grid."""
        return self.scene.walkable.index.shape[0]

    @property
    def columns(self) -> int:
        """Of the height grid, those of all rows: rows times columns."""
        return self.index.numel() // self.layers

    def padded_index(self, layers: int) -> Tensor:
        """`index` with empty layers on top up to `layers`."""
        return torch.nn.functional.pad(self.index, (0, (layers - self.layers) * self.columns), value=-1)


def prepare_navigation(scene: Scene, pinned: bool = False) -> NavigationData:
    """Pack `scene`; in pinned memory a GPU reads it while the host goes on.

    Raises `SceneError` if the scene has no goals, for nobody could walk to one.
    """
    if len(scene.goals) == 0:
        raise SceneError(f"{scene.name}: no goal could be placed; the walkable floor is too small.")

    def tensor(array: np.ndarray, dtype: type) -> Tensor:
        packed = torch.as_tensor(np.ascontiguousarray(array, dtype))
        return packed.pin_memory() if pinned else packed

    coverage, fields = coverage_cells(scene), scene.goal_distances
    return NavigationData(
        scene,
        tensor(scene.walkable.index.ravel(), np.int32),
        tensor(scene.walkable.positions, np.float32),
        tensor(coverage, np.int32),
        int(coverage.max()) + 1,
        tensor(scene.goals, np.float32),
        tensor(fields.ravel(), np.float16),
        tensor(np.where(np.isfinite(fields), fields, 0).max(1), np.float32),
    )
