"""Baked scenes as tensors on the device: where bodies may stand, and how far it is to the goals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import pick
from batchsim.scenes import Scene
from batchsim.world.navigation_data import NavigationData, prepare_navigation
from batchsim.world.ragged_tensor import RaggedTensor


class ResidentScenes:
    """K scenes laid end to end in flat tensors, so that one look-up serves environments in different scenes.

    A cell id is an index into `cell_position`, counted through all scenes. Look-ups take `scene`, int64 of any shape,
    and points of that shape with a trailing 3. `scenes` lists the scenes by slot; `smallest_cell`, metres, is of them.

    - `replaceable`: others may take the place of `scenes` (`replace`), which costs some memory.

    Raises `OptionError` for no scenes, `SceneError` for one without goals.
    """

    def __init__(self, scenes: Sequence[Scene], device: torch.device, replaceable: bool = False) -> None:
        if not scenes:
            raise OptionError("scenes is empty: expected at least one.")
        self.scenes = list(scenes)
        self.device = device
        packed = [prepare_navigation(scene) for scene in scenes]
        self._layers = max(p.layers for p in packed)
        self._grid_columns = [p.columns for p in packed]

        def ragged(arrays: Sequence[Tensor]) -> RaggedTensor:
            return RaggedTensor(arrays, device, replaceable)

        self._grid = ragged([p.padded_index(self._layers) for p in packed])
        self._cells = ragged([p.positions for p in packed])
        self._coverage_cells = ragged([p.coverage_cells for p in packed])
        self.max_coverage_cells = max(p.num_coverage_cells for p in packed)
        self._goals = ragged([p.goals for p in packed])
        self._farthest = ragged([p.farthest for p in packed])
        self._fields = ragged([p.distances for p in packed])

        facts = [_facts(p) for p in packed]
        self._facts = {name: torch.tensor([f[name] for f in facts], device=device) for name in facts[0]}
        self._corners = torch.tensor([(0, 0), (1, 0), (0, 1), (1, 1)], device=device)
        self.smallest_cell = self._smallest_cell()
        self._drawn = torch.arange(len(scenes), device=device)
        self._num_drawn = torch.tensor(len(scenes), device=device)

    def __len__(self) -> int:
        """K, the number of resident scenes."""
        return len(self.scenes)

    @property
    def layout(self) -> tuple[float, ...]:
        """Changes whenever tensors move to where there is more room, or a number that look-ups take from the host.

        Until then a recorded look-up can be replayed: scenes that come and go are written in place.
        """
        ragged = (self._grid, self._cells, self._coverage_cells, self._goals, self._farthest, self._fields)
        return (*(s.capacity for s in ragged), self._layers, self.max_coverage_cells, self.smallest_cell)

    def _smallest_cell(self) -> float:
        return min(scene.walkable.cell_size for scene in self.scenes)

    @property
    def cell_position(self) -> Tensor:
        """float32 `[cells, 3]`, metres: the floor under the middle of each cell, by cell id."""
        return self._cells.data

    @property
    def cell_offset(self) -> Tensor:
        """int64 `[K]`: the cell id with which each scene begins."""
        return self._cells.offset

    @property
    def cell_count(self) -> Tensor:
        """int64 `[K]`: the number of cells of each scene."""
        return self._facts["cell_count"]

    @property
    def goal_count(self) -> Tensor:
        """int64 `[K]`: the number of goals of each scene."""
        return self._facts["goal_count"]

    @property
    def coverage_cell_count(self) -> Tensor:
        """int64 `[K]`: the number of cells of each scene's coverage grid."""
        return self._facts["coverage_cell_count"]

    def draw(self, draws: Tensor) -> Tensor:
        """int64: for each uniform number in [0, 1) one of the slots in which episodes may begin."""
        return self._drawn[pick(draws, self._num_drawn)]

    def draw_among(self, slots: Sequence[int]) -> None:
        """Let new episodes begin in `slots` alone."""
        drawn = torch.tensor(slots)
        drawn = drawn.pin_memory() if self.device.type == "cuda" else drawn
        self._drawn[: len(slots)].copy_(drawn, non_blocking=True)
        self._num_drawn.fill_(len(slots))

    def replace(self, slot: int, packed: NavigationData) -> Iterator[int]:
        """Put another scene into `slot`, in which nobody stands or will stand until all is copied.

        Yields the bytes copied, piece by piece; the rest of the scenes can be looked up all the while.
        """
        layers = max(self._layers, packed.layers)
        self._grid_columns[slot] = packed.columns
        yield from self._grid.grow(layers * max(self._grid_columns))
        yield from self._cells.grow(len(packed.positions))
        yield from self._coverage_cells.grow(len(packed.coverage_cells))
        yield from self._goals.grow(len(packed.goals))
        yield from self._farthest.grow(len(packed.farthest))
        yield from self._fields.grow(len(packed.distances))
        if layers > self._layers:
            for other in range(len(self)):
                yield from self._empty_layers(other, self._layers, layers)
            self._layers = layers
        yield from self._grid.write(slot, packed.index)
        yield from self._empty_layers(slot, packed.layers, layers)
        yield from self._cells.write(slot, packed.positions)
        yield from self._coverage_cells.write(slot, packed.coverage_cells)
        self.max_coverage_cells = max(self.max_coverage_cells, packed.num_coverage_cells)
        yield from self._goals.write(slot, packed.goals)
        yield from self._farthest.write(slot, packed.farthest)
        yield from self._fields.write(slot, packed.distances)
        self._set_facts(slot, _facts(packed))
        self.scenes[slot] = packed.scene
        self.smallest_cell = self._smallest_cell()

    def _empty_layers(self, slot: int, first: int, end: int) -> Iterator[int]:
        columns = self._grid_columns[slot]
        empty = torch.full(((end - first) * columns,), -1, dtype=torch.int32, device=self.device)
        return self._grid.write(slot, empty, first * columns)

    def _set_facts(self, slot: int, facts: dict[str, float | int | list[float]]) -> None:
        for name, value in facts.items():
            numbers = value if isinstance(value, list) else [value]
            # Filling takes the number along with the command; a tensor would have to be copied to the device first.
            for place, number in zip(self._facts[name][slot].view(-1), numbers, strict=True):
                place.fill_(number)

    def locate(self, scene: Tensor, points: Tensor) -> Tensor:
        """Cell ids (int64) under `points`, or -1 where nobody can stand within one step up or down of there."""
        return self._locate(scene, points, self._grid_coordinates(scene, points).floor().long())

    def _grid_coordinates(self, scene: Tensor, points: Tensor) -> Tensor:
        """Column and row, `[..., 2]`, as real numbers; the cell (0, 0) reaches from 0 to 1."""
        return (points[..., ::2] - self._facts["origin"][scene]) * self._facts["inverse_cell_size"][scene].unsqueeze(-1)

    def _locate(self, scene: Tensor, points: Tensor, column_row: Tensor) -> Tensor:
        column, row = column_row[..., 0], column_row[..., 1]
        columns, rows = self._facts["columns"][scene], self._facts["rows"][scene]
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        slot = self._grid.offset[scene] + torch.where(inside, row * columns + column, 0)
        best = torch.full_like(slot, -1)
        best_gap = self._facts["max_step"][scene] + 1e-3
        for layer in range(self._layers):
            local = self._grid.data[slot + layer * rows * columns]
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
        return self._goals.data[self._goals.offset[scene] + goal]

    def farthest_distance(self, scene: Tensor, goal: Tensor) -> Tensor:
        """Metres of walking (float32) from `goal` to the farthest cell that can be reached from there."""
        return self._farthest.data[self._farthest.offset[scene] + goal]

    def coverage_cell(self, scene: Tensor, points: Tensor) -> Tensor:
        """Returns the coverage-grid cells (int64) that `points` lie in, -1 off the walkable floor.

        Each scene numbers its `coverage_cell_count` cells from 0 (`batchsim.scenes.maps.coverage_grid`);
        `max_coverage_cells` is the largest count.
        """
        cell = self.locate(scene, points)
        local = (cell - self.cell_offset[scene]).clamp(min=0)
        return torch.where(cell >= 0, self._coverage_cells.data[self._coverage_cells.offset[scene] + local].long(), -1)

    def cell_distance(self, scene: Tensor, goal: Tensor, cell: Tensor) -> Tensor:
        """Metres of walking (float32) from the middle of `cell` to `goal`; inf if unreachable or `cell` is -1."""
        local = (cell - self.cell_offset[scene]).clamp(min=0)
        distance = self._fields.data[self._fields.offset[scene] + goal * self.cell_count[scene] + local].float()
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


def _facts(packed: NavigationData) -> dict[str, float | int | list[float]]:
    """The numbers that look-ups need of each scene."""
    scene, walkable = packed.scene, packed.scene.walkable
    return {
        "origin": [float(x) for x in walkable.origin],
        "inverse_cell_size": 1.0 / walkable.cell_size,
        "rows": walkable.index.shape[1],
        "columns": walkable.index.shape[2],
        "max_step": scene.body.max_step,
        "cell_count": walkable.num_cells,
        "coverage_cell_count": packed.num_coverage_cells,
        "goal_count": len(scene.goals),
    }
