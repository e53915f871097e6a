"""The walkable surface of a scene as layered height grids: where the centre of an upright cylinder may stand.

Columns of the grid are as wide as a cell; each may be walkable on several layers (floors, bridges, landings).
A cell is walkable where

1. a surface no steeper than `max_slope` passes under its centre,
2. nothing in the column reaches into the body between `max_step` above that surface and `height` above it,
3. the nearest obstacle or ledge is at least `radius` away from the centre (`scenes.clearance`), and
4. its island, the cells that can be reached from it, is worth keeping (`keep_islands`).

The idea of spans in columns is that of Recast (Mononen); the distances to obstacles are measured within the cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scenes.agent_body import AgentBody
from scenes.clearance import far_from_obstacles
from scenes.columns import Columns, Grid, cut_into_columns, expand
from scenes.errors import SceneError
from scenes.layers import index_layers, link

HOME_CELL_SIZE = 0.05
# A hundred metres square at 10 cm.
MAX_COLUMNS = 1_000_000
# An island that an episode may start on reaches this far from its middle, as in Habitat's episode sampling.
MIN_ISLAND_RADIUS = 1.5
# Of the largest island; furniture tops and closed-off corners are far below it.
MIN_ISLAND_SHARE = 0.1
# Surfaces closer than this count as one, a rug and its floor for instance. Metres.
SAME_HEIGHT = 0.02


@dataclass(frozen=True)
class Walkable:
    """Walkable cells, numbered 0 .. C - 1 ("compact ids").

    - `origin`: float32 `[2]`, (x, z) of the corner of row 0, column 0, metres; `cell_size` in metres.
    - `index`: int32 `[L, rows, cols]`, compact id or -1; rows along z, columns along x; layer 0 of a column is its
      lowest. Two layers of one column are at least `body.height` apart.
    - `cells`: int32 `[C, 3]`, (layer, row, col). `heights`: float32 `[C]`, y of the floor under the cell's centre.
    - `islands`: int32 `[C]`, number of the connected part a cell belongs to, largest first.
    - `neighbors`: int32 `[C, 8]`, compact ids or -1, in the order of `scenes.layers.OFFSETS`: (+x), (+x+z), (+z),
      (-x+z), (-x), (-x-z), (-z), (+x-z). Neighbours differ by at most `body.max_step` in height; a diagonal is there
      only where both sides are (no cutting of corners).
    - `body`: the cylinder it was computed for.
    """

    origin: np.ndarray
    cell_size: float
    index: np.ndarray
    cells: np.ndarray
    heights: np.ndarray
    islands: np.ndarray
    neighbors: np.ndarray
    body: AgentBody

    @property
    def num_cells(self) -> int:
        """Number of walkable cells, C."""
        return len(self.cells)

    @property
    def area(self) -> float:
        """Walkable area seen from above, square metres, all layers."""
        return self.num_cells * self.cell_size**2

    @cached_property
    def positions(self) -> np.ndarray:
        """float32 `[C, 3]`: the floor under the centre of each cell, metres."""
        x = self.origin[0] + (self.cells[:, 2] + 0.5) * self.cell_size
        z = self.origin[1] + (self.cells[:, 1] + 0.5) * self.cell_size
        return np.stack([x, self.heights, z], 1).astype(np.float32)

    @cached_property
    def island_areas(self) -> np.ndarray:
        """float32 `[I]`: area of each island, square metres."""
        return (np.bincount(self.islands) * self.cell_size**2).astype(np.float32)

    @cached_property
    def island_radii(self) -> np.ndarray:
        """float32 `[I]`: horizontal distance from the middle of each island to its farthest cell, metres."""
        flat = self.positions[:, [0, 2]].astype(np.float64)
        size = np.bincount(self.islands)
        middle = np.stack([np.bincount(self.islands, flat[:, k]) / size for k in range(2)], 1)
        radii = np.zeros(len(size), np.float32)
        np.maximum.at(radii, self.islands, np.linalg.norm(flat - middle[self.islands], axis=1).astype(np.float32))
        return radii

    def locate(self, points: np.ndarray, tolerance: float | None = None) -> np.ndarray:
        """Compact ids int64 `[..]` of the cells under `points` float `[.., 3]`, -1 where there is none.

        Of a column's layers the nearest in height is taken, if it is within `tolerance` metres (`body.max_step`).
        """
        points = np.asarray(points, np.float64)
        tolerance = self.body.max_step if tolerance is None else tolerance
        col = np.floor((points[..., 0] - self.origin[0]) / self.cell_size)
        row = np.floor((points[..., 2] - self.origin[1]) / self.cell_size)
        _, rows, cols = self.index.shape
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        row, col = np.where(inside, row, 0).astype(np.int64), np.where(inside, col, 0).astype(np.int64)
        found = np.full(points.shape[:-1], -1, np.int64)
        nearest = np.where(inside, tolerance, -1.0)
        for layer in self.index:
            cell = layer[row, col]
            gap = np.abs(self.heights[cell] - points[..., 1])
            better = (cell >= 0) & (gap <= nearest)
            found = np.where(better, cell, found)
            nearest = np.where(better, gap, nearest)
        return found

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All fields as a flat dictionary of arrays, as safetensors wants them."""
        body = self.body
        return {
            "origin": self.origin,
            "cell_size": np.array([self.cell_size], np.float64),
            "index": self.index,
            "cells": self.cells,
            "heights": self.heights,
            "islands": self.islands,
            "neighbors": self.neighbors,
            "body": np.array([body.radius, body.height, body.max_step, body.max_slope], np.float64),
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Walkable:
        """The inverse of `to_arrays`."""
        fields = dict(arrays)
        fields["cell_size"] = float(arrays["cell_size"][0])
        fields["body"] = AgentBody(*(float(value) for value in arrays["body"]))
        return Walkable(**fields)


def default_cell_size(bounds: np.ndarray) -> float:
    """Cell size in metres for a scene with `bounds` [2, 3]: 5 cm for homes, coarser where that would be a huge grid.

    At most a million columns: 5 cm up to 50 by 50 m, 10 cm for 100 by 100 m. Rounded up to whole centimetres.
    """
    extent = np.asarray(bounds[1], np.float64) - np.asarray(bounds[0], np.float64)
    affordable = math.sqrt(max(extent[0], 0.0) * max(extent[2], 0.0) / MAX_COLUMNS)
    return max(HOME_CELL_SIZE, math.ceil(round(affordable * 100, 6)) / 100)


def build_walkable(
    triangles: np.ndarray, body: AgentBody, cell_size: float = HOME_CELL_SIZE, min_island_area: float = 2.0
) -> Walkable:
    """The walkable surface of `triangles` float `[T, 3, 3]` (metres, y up) for `body`.

    Islands smaller than `min_island_area` square metres are dropped, and others by the rules of `keep_islands`.
    Raises SceneError when nothing walkable is left, or the arguments make no sense.
    """
    _check(triangles, body, cell_size)
    grid = Grid.around(triangles, cell_size)
    columns = cut_into_columns(triangles, grid)
    column, height = _standing_room(columns, body)
    row, col = column // grid.cols, column % grid.cols
    # Rounds of the same three steps: number the cells, link neighbours, take some cells out.
    for choose in (_clear_of_obstacles, _worth_keeping):
        index, layer = index_layers(column, height, grid)
        neighbors = link(index, layer, row, col, height, body.max_step)
        keep = choose(columns, column, height, neighbors, body, min_island_area)
        column, height, row, col = column[keep], height[keep], row[keep], col[keep]
        if not len(column):
            raise SceneError(
                f"No walkable floor in {len(triangles)} triangles for a body of radius {body.radius} m and height "
                f"{body.height} m on cells of {cell_size} m; is the scene in metres, with y up?"
            )
    index, layer = index_layers(column, height, grid)
    neighbors = link(index, layer, row, col, height, body.max_step)
    return Walkable(
        np.array(grid.origin, np.float32),
        float(cell_size),
        index,
        np.stack([layer, row, col], 1).astype(np.int32),
        height.astype(np.float32),
        connected_parts(neighbors).astype(np.int32),
        neighbors,
        body,
    )


def _check(triangles: np.ndarray, body: AgentBody, cell_size: float) -> None:
    if np.ndim(triangles) != 3 or np.shape(triangles)[1:] != (3, 3) or not len(triangles):
        raise SceneError(f"triangles has shape {np.shape(triangles)}; expected (T, 3, 3) with at least one triangle.")
    if not cell_size > 0:
        raise SceneError(f"cell_size is {cell_size} m; it must be positive.")
    if body.radius < 0 or not 0 <= body.max_slope < 90:
        raise SceneError(f"{body} makes no sense: radius must be at least 0 and max_slope in [0, 90) degrees.")
    if not 0 < 2 * body.max_step <= body.height:
        raise SceneError(f"{body} makes no sense: max_step must be positive and at most half the height.")
    extent = np.ptp(triangles.reshape(-1, 3)[:, [0, 2]].astype(np.float64), axis=0) / cell_size
    if extent.prod() > 64 * MAX_COLUMNS:
        raise SceneError(
            f"{extent[0]:.0f} x {extent[1]:.0f} columns of {cell_size} m are too many; pass "
            f"default_cell_size(bounds) or check that the scene is in metres."
        )


def _standing_room(columns: Columns, body: AgentBody) -> tuple[np.ndarray, np.ndarray]:
    """Column int64 [C] and height float64 [C] of the surfaces one can stand on with the head free."""
    column, height = columns.surface_column, columns.surface_height.astype(np.float64)
    gentle = columns.surface_slope_cos >= math.cos(math.radians(body.max_slope)) - 1e-6
    last = np.append(column[1:] != column[:-1], True)
    gap = np.where(last, np.inf, np.append(np.diff(height), np.inf))

    # Low clutter on the floor is stepped onto, however steep its sides.
    below_is_floor = np.append(False, gentle[:-1] & (gap[:-1] <= body.max_step))
    stands = (gentle | below_is_floor) & (gap >= body.height) & ~_inside_solid(columns, gap)
    column, height = column[stands], height[stands]
    free = ~_hit(columns, column, height, body)
    return column[free], height[free]


def _inside_solid(columns: Columns, gap: np.ndarray) -> np.ndarray:
    """Which surfaces show their back both here and overhead: the bottom of a closed box seen from within."""
    up = columns.surface_up
    overhead_up = np.append(up[1:], False)
    after_next_down = np.append(~up[2:], [False, False])
    same_as_next = np.append(gap[1:] <= SAME_HEIGHT, False)
    return ~up & overhead_up & ~(after_next_down & same_as_next) & np.isfinite(gap)


def _hit(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody) -> np.ndarray:
    """Whether something in the column reaches between `max_step` and `body.height` above the standing height."""
    first, last = columns.start[column], columns.start[column + 1]
    owner, step = expand(last - first)
    fragment = first[owner] + step
    base = height[owner]
    bad = (columns.top[fragment] > base + body.max_step) & (columns.bottom[fragment] < base + body.height)
    return np.bincount(owner[bad], minlength=len(column)) > 0


def _clear_of_obstacles(columns, column, height, neighbors, body, _min_area) -> np.ndarray:
    return far_from_obstacles(columns, column, height, neighbors, body)


def _worth_keeping(columns, column, height, neighbors, _body, min_area) -> np.ndarray:
    return keep_islands(columns, column, height, connected_parts(neighbors), min_area)


def connected_parts(neighbors: np.ndarray) -> np.ndarray:
    """Number of the connected part of each cell, int64 [C], by falling size; `neighbors` int [C, 8]."""
    count = len(neighbors)
    source, direction = np.nonzero(neighbors >= 0)
    target = neighbors[source, direction]
    graph = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(count, count))
    _, part = connected_components(graph, directed=False)
    rank = np.empty(part.max(initial=-1) + 1, np.int64)
    rank[np.argsort(-np.bincount(part), kind="stable")] = np.arange(len(rank))
    return rank[part]


def keep_islands(
    columns: Columns, column: np.ndarray, height: np.ndarray, island: np.ndarray, min_area: float
) -> np.ndarray:
    """Which cells bool [C] belong to islands that are floors.

    Roofs go first: islands under the open sky (more than 80% of them) that lie over other islands (more than 25%).
    Of the others those stay that reach `MIN_ISLAND_RADIUS` from their middle and have `min_area` square metres and
    `MIN_ISLAND_SHARE` of the largest one's area; beds, tables and counters fall short of that. Should none reach
    them, the largest stays.
    """
    size = np.bincount(island)
    under_sky = np.bincount(island, _open_to_sky(columns, column, height)) / size
    over_others = np.bincount(island, _over_other_island(column, island)) / size
    roof = (under_sky > 0.8) & (over_others > 0.25)
    if roof.all():
        roof[:] = False
    floor_size = np.where(roof, 0, size)
    radius = _island_radii(columns.grid, column, island)
    area = floor_size * columns.grid.cell_size**2
    good = (
        ~roof & (area >= min_area) & (radius >= MIN_ISLAND_RADIUS) & (floor_size >= MIN_ISLAND_SHARE * floor_size.max())
    )
    if not good.any():
        good[floor_size.argmax()] = True
    return good[island]


def _open_to_sky(columns: Columns, column: np.ndarray, height: np.ndarray) -> np.ndarray:
    top = np.full(columns.grid.rows * columns.grid.cols, -np.inf, np.float32)
    np.maximum.at(top, columns.column, columns.top)
    return top[column] <= height + 0.5


def _over_other_island(column: np.ndarray, island: np.ndarray) -> np.ndarray:
    """Cells are sorted by column and height, so that the cell before is the one below."""
    below_differs = (column[1:] == column[:-1]) & (island[1:] != island[:-1])
    return np.append(False, below_differs)


def _island_radii(grid: Grid, column: np.ndarray, island: np.ndarray) -> np.ndarray:
    flat = np.stack([column // grid.cols, column % grid.cols], 1) * grid.cell_size
    size = np.bincount(island)
    middle = np.stack([np.bincount(island, flat[:, k]) / size for k in range(2)], 1)
    radii = np.zeros(len(size))
    np.maximum.at(radii, island, np.linalg.norm(flat - middle[island], axis=1))
    return radii
