"""Baked scenes as tensors on the device: where bodies may stand, and how far it is to the goals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from batchsim.errors import OptionError
from scenes import Scene
from scenes.squares import floor_squares


class ResidentScenes:
    """K scenes laid end to end in flat tensors, so that one look-up serves environments in different scenes.

    A cell id is an index into `cell_position`, counted through all scenes. Look-ups take `scene`, int64 of any shape,
    and points of that shape with a trailing 3.
    """

    def __init__(self, scenes: Sequence[Scene], device: torch.device) -> None:
        if not scenes:
            raise OptionError("scenes is empty: expected at least one.")
        without_goals = [scene.name for scene in scenes if len(scene.goals) == 0]
        if without_goals:
            raise OptionError(f"{', '.join(without_goals)}: no goal could be placed; the walkable floor is too small.")
        self.scenes = tuple(scenes)
        self.device = device
        walkables = [scene.walkable for scene in scenes]
        self.smallest_cell = min(w.cell_size for w in walkables)

        def tensor(values: object, dtype: torch.dtype) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=dtype, device=device)

        def offsets(counts: Sequence[int]) -> Tensor:
            return tensor(np.cumsum([0, *counts[:-1]]), torch.int64)

        # the layered height grids
        self._origin = tensor([w.origin for w in walkables], torch.float32)
        self._inverse_cell_size = tensor([1.0 / w.cell_size for w in walkables], torch.float32)
        self._cell_size = tensor([w.cell_size for w in walkables], torch.float32)
        self._corners = tensor([(0, 0), (1, 0), (0, 1), (1, 1)], torch.int64)
        self._layers = max(w.index.shape[0] for w in walkables)
        self._rows = tensor([w.index.shape[1] for w in walkables], torch.int64)
        self._columns = tensor([w.index.shape[2] for w in walkables], torch.int64)
        cell_counts = [w.num_cells for w in walkables]
        self.cell_offset = offsets(cell_counts)
        self.cell_count = tensor(cell_counts, torch.int64)
        padded = [_pad_layers(w.index, self._layers) for w in walkables]
        self._grid_offset = offsets([grid.size for grid in padded])
        self._index = tensor(np.concatenate([grid.ravel() for grid in padded]), torch.int32)
        self._max_step = tensor([scene.body.max_step for scene in scenes], torch.float32)
        self.cell_position = tensor(np.concatenate([w.positions for w in walkables]), torch.float32)

        # the floor in squares of a metre
        squares = [floor_squares(scene) for scene in scenes]
        self._square = tensor(np.concatenate(squares), torch.int32)
        square_counts = [int(square.max()) + 1 for square in squares]
        self.square_count = tensor(square_counts, torch.int64)
        self.most_squares = max(square_counts)

        # the goals and their distance fields
        goal_counts = [len(scene.goals) for scene in scenes]
        self.goal_count = tensor(goal_counts, torch.int64)
        self._goal_offset = offsets(goal_counts)
        self._goals = tensor(np.concatenate([scene.goals for scene in scenes]), torch.float32)
        self._farthest = tensor(np.concatenate([_farthest(scene.goal_distances) for scene in scenes]), torch.float32)
        self._field_offset = offsets([scene.goal_distances.size for scene in scenes])
        self._distances = tensor(np.concatenate([s.goal_distances.ravel() for s in scenes]), torch.float16)

    def __len__(self) -> int:
        """K, the number of resident scenes."""
        return len(self.scenes)

    def locate(self, scene: Tensor, points: Tensor) -> Tensor:
        """Cell ids (int64) under `points`, or -1 where nobody can stand within one step up or down of there."""
        return self._locate(scene, points, self._grid_coordinates(scene, points).floor().long())

    def _grid_coordinates(self, scene: Tensor, points: Tensor) -> Tensor:
        """Column and row, `[..., 2]`, as real numbers; the cell (0, 0) reaches from 0 to 1."""
        return (points[..., ::2] - self._origin[scene]) * self._inverse_cell_size[scene].unsqueeze(-1)

    def _locate(self, scene: Tensor, points: Tensor, column_row: Tensor) -> Tensor:
        column, row = column_row[..., 0], column_row[..., 1]
        columns, rows = self._columns[scene], self._rows[scene]
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        slot = self._grid_offset[scene] + torch.where(inside, row * columns + column, 0)
        best = torch.full_like(slot, -1)
        best_gap = self._max_step[scene] + 1e-3
        for layer in range(self._layers):
            local = self._index[slot + layer * rows * columns]
            cell = local + self.cell_offset[scene]
            gap = (self.cell_position[cell.clamp(min=0), 1] - points[..., 1]).abs()
            nearer = inside & (local >= 0) & (gap <= best_gap)
            best = torch.where(nearer, cell, best)
            best_gap = torch.where(nearer, gap, best_gap)
        return best

    def at_height(self, cell: Tensor, points: Tensor) -> Tensor:
        """`points` put on the floor of their `cell`; where that is -1 they are meaningless."""
        height = self.cell_position[cell.clamp(min=0), 1]
        return torch.stack((points[..., 0], height, points[..., 2]), -1)

    def goal_position(self, scene: Tensor, goal: Tensor) -> Tensor:
        """float32 `[..., 3]`, metres, of the scene's goal with number `goal`."""
        return self._goals[self._goal_offset[scene] + goal]

    def farthest_distance(self, scene: Tensor, goal: Tensor) -> Tensor:
        """Metres of walking (float32) from `goal` to the farthest cell that can be reached from there."""
        return self._farthest[self._goal_offset[scene] + goal]

    def square(self, scene: Tensor, points: Tensor) -> Tensor:
        """Numbers (int64) of the squares of floor that `points` lie in, -1 where nobody can stand.

        Each scene counts its `square_count` squares from 0 (`scenes.squares`); `most_squares` is the largest count.
        """
        cell = self.locate(scene, points)
        return torch.where(cell >= 0, self._square[cell.clamp(min=0)].long(), -1)

    def cell_distance(self, scene: Tensor, goal: Tensor, cell: Tensor) -> Tensor:
        """Metres of walking (float32) from the middle of `cell` to `goal`; inf if unreachable or `cell` is -1."""
        local = (cell - self.cell_offset[scene]).clamp(min=0)
        distance = self._distances[self._field_offset[scene] + goal * self.cell_count[scene] + local].float()
        return torch.where(cell >= 0, distance, torch.inf)

    def goal_distance(self, scene: Tensor, goal: Tensor, points: Tensor) -> Tensor:
        """Metres of walking (float32) from `points` to `goal`, interpolated between the middles of the cells around.

        inf where there is no way.
        """
        grid = self._grid_coordinates(scene, points) - 0.5
        low = grid.floor()
        fraction = grid - low
        low = low.long()
        corners = low + self._corners.reshape(4, *[1] * scene.ndim, 2)
        weight_x = torch.stack((1 - fraction[..., 0], fraction[..., 0]))
        weight_z = torch.stack((1 - fraction[..., 1], fraction[..., 1]))
        weights = torch.stack([weight_x[i] * weight_z[j] for j in (0, 1) for i in (0, 1)])
        shape = (4, *scene.shape)
        scene, goal, points = scene.expand(shape), goal.expand(shape), points.expand(*shape, 3)
        distances = self.cell_distance(scene, goal, self._locate(scene, points, corners))
        # Cells that no body can stand in are left out, so that walls do not leak into the mean.
        known = distances.isfinite()
        weights = torch.where(known, weights, 0.0)
        total = weights.sum(0)
        mean = (weights * torch.where(known, distances, 0.0)).sum(0) / total
        return torch.where(total > 0, mean, torch.inf)


def _farthest(fields: np.ndarray) -> np.ndarray:
    """The largest finite value of each of `fields` `[G, C]`."""
    return np.where(np.isfinite(fields), fields, 0).max(1)


def _pad_layers(index: np.ndarray, layers: int) -> np.ndarray:
    """`index` `[L, rows, columns]` with empty layers on top up to `layers`."""
    return np.pad(index, ((0, layers - len(index)), (0, 0), (0, 0)), constant_values=-1)
