"""`ResidentScenes`: baked scenes as tensors on the device, for lookups of walkable cells and walking distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import pick
from batchsim.scenes import Scene
from batchsim.world.navigation_data import NavigationData, prepare_navigation
from batchsim.world.ragged_tensor import RaggedTensor
from batchsim.world.resident_objects import ResidentObjects


class ResidentScenes:
    """The K scenes that are in memory, laid end to end in flat tensors: one lookup serves agents in different scenes.

    Lookups take `scene`, int64 slots of any shape, and points of that shape with a trailing 3. A cell id is an index
    into `cell_position`, which counts through the cells of all scenes.

    Args:
        scenes: Baked scenes, one for each slot.
        device: Where to store the tensors.
        replaceable: Whether scenes can be replaced later (`replace`), which takes some more memory.
        with_objects: Whether to include the distances to objects.

    Attributes:
        scenes: The scenes by slot. If they are replaceable, their distance fields are only in the tensors.
        smallest_cell: Size of the smallest walkable cell of all scenes, metres.
        max_goals: Largest number of goal points of any resident scene.
        max_coverage_cells: Largest number of coverage grid cells of any scene so far.

    Raises:
        OptionError: If `scenes` is empty.
        SceneError: If a scene has no goals.
    """

    def __init__(
        self, scenes: Sequence[Scene], device: torch.device, replaceable: bool = False, with_objects: bool = False
    ) -> None:
        if not scenes:
            raise OptionError("scenes is empty: expected at least one.")
        self.device = device
        per_scene = [prepare_navigation(scene, with_objects=with_objects) for scene in scenes]
        self.scenes = [data.scene for data in per_scene] if replaceable else list(scenes)
        self._layers = max(d.layers for d in per_scene)
        self._grid_columns = [d.columns for d in per_scene]

        def ragged(arrays: Sequence[Tensor]) -> RaggedTensor:
            return RaggedTensor(arrays, device, replaceable)

        self._grid = ragged([d.padded_index(self._layers) for d in per_scene])
        self._cells = ragged([d.positions for d in per_scene])
        self._coverage_cells = ragged([d.coverage_cells for d in per_scene])
        self.max_coverage_cells = max(d.num_coverage_cells for d in per_scene)
        self._goals = ragged([d.goals for d in per_scene])
        self._farthest = ragged([d.farthest for d in per_scene])
        self._fields = ragged([d.distances for d in per_scene])

        facts = [_facts(d) for d in per_scene]
        self._facts = {name: torch.tensor([f[name] for f in facts], device=device) for name in facts[0]}
        self._objects = ResidentObjects(per_scene, device, replaceable) if with_objects else None
        self._corners = torch.tensor([(0, 0), (1, 0), (0, 1), (1, 1)], device=device)
        self._compare_scenes()
        self._start_slots = torch.arange(len(scenes), device=device)
        self._num_start_slots = torch.tensor(len(scenes), device=device)

    def __len__(self) -> int:
        """K, the number of resident scenes."""
        return len(self.scenes)

    @property
    def layout(self) -> tuple[float, ...]:
        """Changes whenever a tensor is reallocated, or a number that lookups take from the host changes.

        While it stays the same, a recorded lookup (a CUDA graph) can be replayed: scenes are replaced in place.
        """
        ragged = (self._grid, self._cells, self._coverage_cells, self._goals, self._farthest, self._fields)
        objects = self._objects.layout if self._objects else ()
        return (
            *(s.capacity for s in ragged),
            *objects,
            self._layers,
            self.max_coverage_cells,
            self.smallest_cell,
            self.max_goals,
        )

    def _compare_scenes(self) -> None:
        self.smallest_cell = min(scene.walkable.cell_size for scene in self.scenes)
        self.max_goals = max(len(scene.goals) for scene in self.scenes)

    @property
    def cell_position(self) -> Tensor:
        """float32 `[cells, 3]`, metres: the floor under the middle of each cell, by cell id."""
        return self._cells.data

    @property
    def cell_offset(self) -> Tensor:
        """int64 `[K]`: the first cell id of each scene."""
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
        """int64 `[K]`: the number of cells of the coverage grid of each scene."""
        return self._facts["coverage_cell_count"]

    @property
    def with_objects(self) -> bool:
        """Whether the distances to objects are included."""
        return self._objects is not None

    @property
    def objects(self) -> ResidentObjects:
        """Returns the goals that are objects.

        Raises:
            OptionError: If the scenes were loaded without them; a task asks for them by `uses_objects`.
        """
        if self._objects is None:
            raise OptionError("The scenes were loaded without objects; set uses_objects = True in the task's class.")
        return self._objects

    @property
    def start_mask(self) -> Tensor:
        """Returns the slots in which new episodes may start, bool `[K]`."""
        counted = torch.arange(len(self), device=self.device) < self._num_start_slots
        return torch.zeros(len(self), device=self.device).index_add(0, self._start_slots, counted.float()) > 0

    def sample_slot(self, draws: Tensor) -> Tensor:
        """Maps uniform numbers in [0, 1) to slots (int64) in which new episodes may start, all equally likely."""
        return self._start_slots[pick(draws, self._num_start_slots)]

    def set_start_slots(self, slots: Sequence[int]) -> None:
        """Starts new episodes only in `slots`."""
        values = torch.tensor(slots)
        values = values.pin_memory() if self.device.type == "cuda" else values
        self._start_slots[: len(slots)].copy_(values, non_blocking=True)
        self._num_start_slots.fill_(len(slots))

    def replace(self, slot: int, data: NavigationData) -> Iterator[int]:
        """Puts another scene into `slot`, piece by piece, yielding the number of bytes copied.

        No agent may be in `slot` until the iterator is exhausted. Lookups in other slots keep working meanwhile.
        """
        layers = max(self._layers, data.layers)
        self._grid_columns[slot] = data.columns
        yield from self._grid.grow(layers * max(self._grid_columns))
        yield from self._cells.grow(len(data.positions))
        yield from self._coverage_cells.grow(len(data.coverage_cells))
        yield from self._goals.grow(len(data.goals))
        yield from self._farthest.grow(len(data.farthest))
        yield from self._fields.grow(len(data.distances))
        if self._objects:
            yield from self._objects.grow(data)
        if layers > self._layers:
            for other in range(len(self)):
                yield from self._empty_layers(other, self._layers, layers)
            self._layers = layers
        yield from self._grid.write(slot, data.index)
        yield from self._empty_layers(slot, data.layers, layers)
        yield from self._cells.write(slot, data.positions)
        yield from self._coverage_cells.write(slot, data.coverage_cells)
        self.max_coverage_cells = max(self.max_coverage_cells, data.num_coverage_cells)
        yield from self._goals.write(slot, data.goals)
        yield from self._farthest.write(slot, data.farthest)
        yield from self._fields.write(slot, data.distances)
        if self._objects:
            yield from self._objects.write(slot, data)
        self._set_facts(slot, _facts(data))
        self.scenes[slot] = data.scene
        self._compare_scenes()

    def _empty_layers(self, slot: int, first: int, end: int) -> Iterator[int]:
        columns = self._grid_columns[slot]
        empty = torch.full(((end - first) * columns,), -1, dtype=torch.int32, device=self.device)
        return self._grid.write(slot, empty, first * columns)

    def _set_facts(self, slot: int, facts: dict[str, float | int | list[float]]) -> None:
        for name, value in facts.items():
            numbers = value if isinstance(value, list) else [value]
            # fill_ passes the number with the kernel launch; a tensor would need a copy to the device.
            for place, number in zip(self._facts[name][slot].view(-1), numbers, strict=True):
                place.fill_(number)

    def locate(self, scene: Tensor, points: Tensor) -> Tensor:
        """Returns the ids (int64) of the walkable cells at `points`, or -1 if none is within one step up or down."""
        return self.floor_at(self.grids(scene), points)[0]

    def cells_around(self, scene: Tensor, points: Tensor, offsets: Tensor, climb: float) -> Tensor:
        """Returns the ids (int64 `[J, N]`) of the walkable cells at places near agents, -1 where there is none.

        Args:
            scene: Slots, int64 `[N]`.
            points: Positions `[N, 3]`, metres.
            offsets: Columns and rows relative to the cell that each point is in, int64 `[J, 1, 2]`.
            climb: How much higher or lower than the agent a cell may be, metres.
        """
        grids = self.grids(scene)
        grids = grids._replace(reach=torch.full_like(points[..., 1], climb))
        places = grids.coordinates(points).floor().long() + offsets
        return self._floor_at(grids, points[..., 1], places)[0]

    def grids(self, scene: Tensor) -> Grids:
        """Returns what `floor_at` needs of each of `scene`, for callers that look up several points in the same."""
        facts = {name: self._facts[name][scene] for name in ("origin", "inverse_cell_size", "columns", "rows")}
        reach = self._facts["max_step"][scene] + 1e-3
        return Grids(**facts, first=self._grid.offset[scene], first_cell=self.cell_offset[scene], reach=reach)

    def floor_at(self, grids: Grids, points: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the cells at `points`, as `locate` does, and `points` moved up or down to the floor of their cells.

        Args:
            grids: Those of the points' scenes.
            points: float32 `[..., 3]`, metres; more leading axes than `grids` has are allowed.
        """
        cell, height = self._floor_at(grids, points[..., 1], grids.coordinates(points).floor().long())
        return cell, torch.stack((points[..., 0], height, points[..., 2]), -1)

    def _floor_at(self, grids: Grids, level: Tensor, column_row: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ids and heights of the cells in `column_row` whose floor is nearest to the height `level`."""
        column, row = column_row[..., 0], column_row[..., 1]
        inside = (column >= 0) & (column < grids.columns) & (row >= 0) & (row < grids.rows)
        slot = grids.first + torch.where(inside, row * grids.columns + column, 0)
        best, height, best_gap = torch.full_like(slot, -1), level, grids.reach
        for layer in range(self._layers):
            local = self._grid.data[slot if layer == 0 else slot + layer * grids.rows * grids.columns]
            cell = local + grids.first_cell
            floor = self.cell_position[cell.clamp(min=0), 1]
            gap = (floor - level).abs()
            nearer = inside & (local >= 0) & (gap <= best_gap)
            best = torch.where(nearer, cell, best)
            height = torch.where(nearer, floor, height)
            if layer + 1 < self._layers:
                best_gap = torch.where(nearer, gap, best_gap)
        return best, height

    def goal_position(self, scene: Tensor, goal: Tensor) -> Tensor:
        """Returns the positions (float32 `[..., 3]`, metres) of goals number `goal` of each scene."""
        return self._goals.data[self._goals.offset[scene] + goal]

    def farthest_distance(self, scene: Tensor, goal: Tensor) -> Tensor:
        """Returns the walking distance (float32, metres) from `goal` to the farthest cell reachable from it."""
        return self._farthest.data[self._farthest.offset[scene] + goal]

    def coverage_cell(self, scene: Tensor, points: Tensor) -> Tensor:
        """Returns the cell of the coverage grid (int64) that each of `points` lies in, or -1 off the walkable floor.

        Cells are numbered from 0 to `coverage_cell_count` - 1 in each scene (`batchsim.scenes.maps.coverage_grid`).
        """
        cell = self.locate(scene, points)
        local = (cell - self.cell_offset[scene]).clamp(min=0)
        return torch.where(cell >= 0, self._coverage_cells.data[self._coverage_cells.offset[scene] + local].long(), -1)

    def cell_distance(self, scene: Tensor, goal: Tensor, cell: Tensor) -> Tensor:
        """Returns the walking distance (float32, metres) from the middle of `cell` to `goal`; inf without a path."""
        local = (cell - self.cell_offset[scene]).clamp(min=0)
        distance = self._fields.data[self._fields.offset[scene] + goal * self.cell_count[scene] + local].float()
        return torch.where(cell >= 0, distance, torch.inf)

    def distances_to_goals(self, scene: Tensor, points: Tensor) -> Tensor:
        """Returns the walking distances (float32 `[N, G]`, metres) from `points` `[N, 3]` to all goals of their scenes.

        Scenes with fewer than G goals have inf beyond the last one.
        """
        numbers = torch.arange(self.max_goals, device=self.device)
        exists = numbers < self.goal_count[scene].unsqueeze(-1)
        cell = self.locate(scene, points).unsqueeze(-1)
        distance = self.cell_distance(scene.unsqueeze(-1), torch.where(exists, numbers, 0), cell)
        return torch.where(exists, distance, torch.inf)

    def goal_distance(self, scene: Tensor, goal: Tensor, points: Tensor) -> Tensor:
        """Returns the walking distance (float32, metres) from `points` to `goal`; inf if there is no path.

        The distance is interpolated bilinearly between the middles of the four cells around each point.
        """
        grids = self.grids(scene)
        grid = grids.coordinates(points) - 0.5
        low = grid.floor()
        fraction = grid - low
        corners = low.long() + self._corners.reshape(4, *[1] * scene.ndim, 2)
        weight_x = torch.stack((1 - fraction[..., 0], fraction[..., 0]))
        weight_z = torch.stack((1 - fraction[..., 1], fraction[..., 1]))
        weights = (weight_z.unsqueeze(1) * weight_x).flatten(0, 1)
        cells, _ = self._floor_at(grids, points[..., 1], corners)
        distances = self.cell_distance(scene, goal, cells)
        # Unreachable cells are left out, or a wall nearby would make the mean infinite.
        known = distances.isfinite()
        weights = torch.where(known, weights, 0.0)
        total = weights.sum(0)
        mean = (weights * torch.where(known, distances, 0.0)).sum(0) / total
        return torch.where(total > 0, mean, torch.inf)


class Grids(NamedTuple):
    """The walkable grids of some scenes, `[...]` each, `origin` `[..., 2]`; see `ResidentScenes.grids`."""

    origin: Tensor
    inverse_cell_size: Tensor
    columns: Tensor
    rows: Tensor
    first: Tensor
    first_cell: Tensor
    reach: Tensor

    def coordinates(self, points: Tensor) -> Tensor:
        """Returns column and row `[..., 2]` of points `[..., 3]` as real numbers; cell (0, 0) spans 0 to 1."""
        return (points[..., ::2] - self.origin) * self.inverse_cell_size.unsqueeze(-1)


def _facts(data: NavigationData) -> dict[str, float | int | list[float]]:
    """Returns the scalars that lookups need for each scene."""
    scene, walkable = data.scene, data.scene.walkable
    return {
        "origin": [float(x) for x in walkable.origin],
        "inverse_cell_size": 1.0 / walkable.cell_size,
        "rows": walkable.index.shape[1],
        "columns": walkable.index.shape[2],
        "max_step": scene.body.max_step,
        "cell_count": walkable.num_cells,
        "coverage_cell_count": data.num_coverage_cells,
        "goal_count": len(scene.goals),
    }
