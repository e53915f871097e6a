"""The walkable surface of a scene as layered height grids: where the centre of an upright cylinder can stand.

It takes the place of Habitat's navmesh. Columns of the grid are as wide as a cell; each may be walkable on several
layers (floors, bridges, landings). A cell is walkable where

1. a surface that shows its front and is no steeper than `max_slope` passes under its centre (`standing_room`),
2. nothing in the column reaches into the body between `max_step` above that surface and `height` above it,
3. the nearest obstacle or ledge is at least `radius` away from the centre (`clearance`), and
4. its island, the cells that can be reached from it, is a floor (`islands`).

Spans in columns are Recast's idea (Mononen); unlike there, distances to obstacles are exact to less than a cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.errors import SceneError
from batchsim.scenes.own_pages import in_own_pages
from batchsim.scenes.walking.clearance import far_from_obstacles
from batchsim.scenes.walking.columns import Grid, cut_into_columns
from batchsim.scenes.walking.islands import MIN_ISLAND_RADIUS as MIN_ISLAND_RADIUS
from batchsim.scenes.walking.islands import connected_parts, floors_among, reach_from_middle
from batchsim.scenes.walking.layers import index_layers, link
from batchsim.scenes.walking.standing_room import standing_room

HOME_CELL_SIZE = 0.05
# For example 100 m x 100 m at 10 cm.
MAX_COLUMNS = 1_000_000


@dataclass(frozen=True)
class Walkable:
    """The walkable surface: C cells, numbered 0 .. C - 1.

    - `origin`: float32 `[2]`, (x, z) of the corner of row 0, column 0, metres; `cell_size` in metres.
    - `index`: int32 `[L, rows, cols]`, number of the cell or -1; rows along z, columns along x; layer 0 of a column is
      its lowest. Two layers of one column are at least `body.height` apart.
    - `cells`: int32 `[C, 3]`, (layer, row, col). `heights`: float32 `[C]`, y of the floor under the cell's centre.
    - `islands`: int32 `[C]`, number of the connected part a cell belongs to, largest first.
    - `neighbors`: int32 `[C, 8]`, cells or -1, in the order of `layers.OFFSETS`: (+x), (+x+z), (+z),
      (-x+z), (-x), (-x-z), (-z), (+x-z). Neighbours differ by at most `body.max_step` in height; a diagonal
      neighbour exists only if both sides of the corner do (paths do not cut corners).
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
        return in_own_pages(np.stack([x, self.heights, z], 1).astype(np.float32))

    @cached_property
    def island_areas(self) -> np.ndarray:
        """float32 `[I]`: area of each island, square metres."""
        return (np.bincount(self.islands) * self.cell_size**2).astype(np.float32)

    @cached_property
    def island_radii(self) -> np.ndarray:
        """float32 `[I]`: horizontal distance from the middle of each island to its farthest cell, metres."""
        x, _, z = self.positions.T.astype(np.float64)
        return reach_from_middle(self.islands, x, z).astype(np.float32)

    def locate(self, points: np.ndarray, tolerance: float | None = None) -> np.ndarray:
        """Returns the cells under `points` float `[.., 3]`, int64 `[..]`, -1 where there is none.

        Of a column's layers, takes the nearest in height within `tolerance` metres (default `body.max_step`).
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

    @property
    def nbytes(self) -> int:
        """Size of all arrays, bytes."""
        arrays = (self.origin, self.index, self.cells, self.heights, self.islands, self.neighbors)
        return sum(array.nbytes for array in arrays)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns named arrays for saving; `from_arrays` is the inverse.

        Leaves out `cells` and `neighbors`, a third of a home's file, which `from_arrays` computes in 3 ms.
        """
        body = self.body
        return {
            "origin": self.origin,
            "cell_size": np.array([self.cell_size], np.float64),
            "index": self.index,
            "heights": self.heights,
            "islands": self.islands,
            "body": np.array([body.radius, body.height, body.max_step, body.max_slope], np.float64),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Walkable:
        """Returns the surface that `to_arrays` came from.

        Raises:
            ValueError: If `index` does not number the cells 0 .. C - 1.
            KeyError: If an array is missing.
        """
        index, heights = arrays["index"], arrays["heights"]
        body = AgentBody(*(float(value) for value in arrays["body"]))
        layer, row, col = np.nonzero(index >= 0)
        number = index[layer, row, col]
        fits = len(number) == len(heights) and number.max(initial=-1) < len(heights)
        if not fits or (np.bincount(number, minlength=len(heights)) != 1).any():
            raise ValueError("walkable.index does not number the cells of walkable.heights")
        cells = np.empty((len(number), 3), np.int32)
        cells[number] = np.stack([layer, row, col], 1)
        column = cells[:, 1].astype(np.int64) * index.shape[2] + cells[:, 2]
        neighbors = link(index, column, heights, body.max_step)
        cell_size = float(arrays["cell_size"][0])
        cells, neighbors = in_own_pages(cells), in_own_pages(neighbors)
        return Walkable(arrays["origin"], cell_size, index, cells, heights, arrays["islands"], neighbors, body)


def default_cell_size(bounds: np.ndarray) -> float:
    """Returns the cell size in metres for a scene with `bounds` `[2, 3]`: 5 cm for homes, coarser for larger scenes.

    Keeps the grid below a million columns: 5 cm up to 50 m x 50 m, 10 cm for 100 m x 100 m. Rounded up to whole
    centimetres.
    """
    extent = np.asarray(bounds[1], np.float64) - np.asarray(bounds[0], np.float64)
    affordable = math.sqrt(max(extent[0], 0.0) * max(extent[2], 0.0) / MAX_COLUMNS)
    return max(HOME_CELL_SIZE, math.ceil(round(affordable * 100, 6)) / 100)


def build_walkable(
    triangles: np.ndarray,
    body: AgentBody,
    cell_size: float = HOME_CELL_SIZE,
    min_island_area: float = 2.0,
    wall_tops: bool = False,
) -> Walkable:
    """Computes the walkable surface of a scene.

    Args:
        triangles: float `[T, 3, 3]`, metres, y up, front faces counter-clockwise.
        body: The agent's body.
        cell_size: Width of a cell, metres.
        min_island_area: Islands below this area are dropped, square metres; others by the rules of
            `islands.floors_among`.
        wall_tops: Keep roofs and tops of walls that nothing leads to.

    Raises:
        SceneError: If nothing is walkable, or an argument is invalid.
    """
    _check(triangles, body, cell_size)
    columns = cut_into_columns(triangles, Grid.around(triangles, cell_size))
    cells = _Cells.linked(columns.grid, *standing_room(columns, body), body)
    cells = cells.only(far_from_obstacles(columns, cells.column, cells.height, cells.neighbors, body), body)
    if not len(cells.column):
        raise SceneError(
            f"No walkable floor in {len(triangles)} triangles for a body of radius {body.radius} m and height "
            f"{body.height} m on cells of {cell_size} m. Check that the scene is in metres, that y is up, and that "
            f"floors show their front (counter-clockwise corners) when seen from above."
        )
    parts = connected_parts(cells.neighbors)
    floors = floors_among(columns, cells.column, cells.height, parts, body, min_island_area, wall_tops)
    cells = cells.only(floors[parts], body)
    return Walkable(
        np.array(columns.grid.origin, np.float32),
        float(cell_size),
        cells.index,
        np.stack([cells.layer, *np.divmod(cells.column, columns.grid.cols)], 1).astype(np.int32),
        cells.height.astype(np.float32),
        connected_parts(cells.neighbors).astype(np.int32),
        cells.neighbors,
        body,
    )


@dataclass(frozen=True)
class _Cells:
    """Cells `[C]` sorted by column and height, while the surface is being computed."""

    grid: Grid
    column: np.ndarray
    height: np.ndarray
    layer: np.ndarray
    index: np.ndarray
    neighbors: np.ndarray

    @staticmethod
    def linked(grid: Grid, column: np.ndarray, height: np.ndarray, body: AgentBody) -> _Cells:
        index, layer = index_layers(column, height, grid)
        neighbors = link(index, column, height, body.max_step)
        return _Cells(grid, column, height, layer, index, neighbors)

    def only(self, keep: np.ndarray, body: AgentBody) -> _Cells:
        return _Cells.linked(self.grid, self.column[keep], self.height[keep], body)


def _check(triangles: np.ndarray, body: AgentBody, cell_size: float) -> None:
    if np.ndim(triangles) != 3 or np.shape(triangles)[1:] != (3, 3) or not len(triangles):
        raise SceneError(f"triangles has shape {np.shape(triangles)}; expected (T, 3, 3) with at least one triangle.")
    if not 1e-3 <= cell_size <= 1e3:
        raise SceneError(f"cell_size is {cell_size} m; expected 0.001 to 1,000 m.")
    if not (0 <= body.radius <= 100 and 0 <= body.max_slope < 90):
        raise SceneError(f"{body} is invalid: radius must be 0 to 100 m, and max_slope in [0, 90) degrees.")
    if not 0 < 2 * body.max_step <= body.height <= 1000:
        raise SceneError(
            f"{body} is invalid: max_step must be positive and at most half the height, height at most 1,000 m."
        )
    extent = np.ptp(triangles.reshape(-1, 3)[:, [0, 2]].astype(np.float64), axis=0) / cell_size
    if extent.prod() > 64 * MAX_COLUMNS:
        raise SceneError(
            f"{extent[0]:.0f} x {extent[1]:.0f} columns of {cell_size} m are too many; pass "
            f"default_cell_size(bounds) or check that the scene is in metres."
        )
