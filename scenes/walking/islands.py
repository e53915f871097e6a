"""Islands: parts of the walkable surface that are not connected to each other, and which of them are floors."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.walking.columns import Columns, Grid

# Smallest radius of an island on which episodes may start, as in Habitat's episode sampling. Metres.
MIN_ISLAND_RADIUS = 1.5
# Smallest share of the largest island's area; tables, beds and counters are far below it.
MIN_ISLAND_SHARE = 0.1
# A room of this area under a ceiling is kept whatever its share: a hall behind a closed door. Square metres.
ROOM_AREA = 10.0
# Smallest share of a room that has a ceiling above.
ROOM_COVERED = 0.5
# An island is a roof if more than these shares of it have nothing above, and a storey below.
ROOF_OPEN = 0.8
ROOF_OVER_FLOOR = 0.25
# An island is the top of a wall if more than this share of it is this close, horizontally, to a lower, larger island.
WALL_TOP_SHARE = 0.5
WALL_TOP_REACH = 1.0
# Surfaces this close above a floor, such as rugs, do not count as being above it. Metres.
COVER_HEIGHT = 0.5


def connected_parts(neighbors: np.ndarray) -> np.ndarray:
    """Returns the connected part of each cell, int64 `[C]`, numbered by decreasing size; `neighbors` int `[C, 8]`."""
    # Straight steps suffice: diagonal neighbours can be reached in two of them.
    straight = neighbors[:, ::2]
    exists = straight >= 0
    starts = np.append(0, np.cumsum(exists.sum(1)))
    graph = csr_array((np.ones(starts[-1], np.int8), straight[exists], starts), shape=(len(neighbors),) * 2)
    _, part = connected_components(graph, directed=False)
    size = np.bincount(part, minlength=1)
    rank = np.empty(len(size), np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(len(size))
    return rank[part]


def reach_from_middle(islands: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Returns the distance from the mean of each island's cells to its farthest cell, float64 `[I]`.

    `islands`, `x` and `z` are `[C]`; the result has the unit of `x` and `z`.
    """
    size = np.bincount(islands)
    away = np.hypot(
        x - (np.bincount(islands, x) / size)[islands],
        z - (np.bincount(islands, z) / size)[islands],
    )
    radii = np.zeros(len(size))
    np.maximum.at(radii, islands, away)
    return radii


def floors_among(
    columns: Columns,
    column: np.ndarray,
    height: np.ndarray,
    islands: np.ndarray,
    body: AgentBody,
    min_area: float,
    wall_tops: bool = False,
) -> np.ndarray:
    """Returns which islands are floors rather than roofs, furniture or small leftovers, bool `[I]`.

    Roofs are dropped first: islands mostly under the open sky with a floor, or the ground, at least `body.height`
    below. (Bridges and terraces stay: they are connected to other floor.) Tops of walls, which scans without a ceiling
    have, are dropped too: under the open sky, close to a larger island at least `body.height` below. Of the rest, an
    island stays if it has at least `min_area` square metres and a radius of `MIN_ISLAND_RADIUS`, and is a room (under a
    ceiling, at least `ROOM_AREA`) or has `MIN_ISLAND_SHARE` of the largest island's area. If none does, the largest
    stays.

    Args:
        columns: The scene, cut into columns.
        column: int64 `[C]`, the column of each cell, sorted.
        height: float `[C]`, metres, sorted within each column.
        islands: int64 `[C]`, the island of each cell.
        body: The agent's body.
        min_area: Smallest area of an island, square metres.
        wall_tops: Keep roofs and tops of walls that are large enough.
    """
    grid = columns.grid
    size = np.bincount(islands)
    open_to_sky, under_ceiling = _overhead(columns, column, height)
    open_share = np.bincount(islands, open_to_sky) / size
    ceiling_share = np.bincount(islands, under_ceiling) / size
    over_share = np.bincount(islands, _storey_below(columns, column, height, body)) / size
    roof = (open_share > ROOF_OPEN) & (over_share > ROOF_OVER_FLOOR) & (not wall_tops)
    area = np.where(roof, 0, size * grid.cell_size**2)
    radius = reach_from_middle(islands, column % grid.cols * grid.cell_size, column // grid.cols * grid.cell_size)

    room = (ceiling_share > ROOM_COVERED) & (area >= ROOM_AREA)
    floor = ~roof & (area >= min_area) & (radius >= MIN_ISLAND_RADIUS)
    floor &= room | (area >= MIN_ISLAND_SHARE * area.max())
    for island in np.flatnonzero(floor & (open_share > ROOF_OPEN) & (not wall_tops))[::-1]:
        floor[island] = not _is_wall_top(grid, column, height, islands, int(island), body)
    if not floor.any():
        floor[(area if area.any() else size).argmax()] = True
    return floor


def _is_wall_top(
    grid: Grid, column: np.ndarray, height: np.ndarray, islands: np.ndarray, island: int, body: AgentBody
) -> bool:
    """Returns whether most of an island is close to a larger one at least `body.height` below. Islands go by size."""
    larger, mine = islands < island, islands == island
    lowest = np.full(grid.rows * grid.cols, np.inf)
    np.minimum.at(lowest, column[larger], height[larger])
    reach = 2 * int(WALL_TOP_REACH / grid.cell_size) + 1
    nearby = minimum_filter(lowest.reshape(grid.rows, grid.cols), reach, mode="constant", cval=np.inf).reshape(-1)
    return bool((nearby[column[mine]] <= height[mine] - body.height).mean() > WALL_TOP_SHARE)


def _overhead(columns: Columns, column: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns whether nothing is above each cell's centre, and whether the first surface above faces down (a ceiling).

    Inside a closed block, the first surface above is the back of its top, which faces up.
    """
    span = float(np.ptp(columns.surface_height)) + 2 * COVER_HEIGHT
    lowest = float(columns.surface_height.min())
    # Column and height as one sortable number; in double precision finer than a millimetre on the largest grids.
    surfaces = columns.surface_column + (columns.surface_height.astype(np.float64) - lowest) / span
    above = np.searchsorted(surfaces, column + (height + COVER_HEIGHT - lowest) / span, side="right")
    found = above < len(surfaces)
    above = np.where(found, above, 0)
    found &= columns.surface_column[above] == column
    return ~found, found & ~columns.surface_up[above]


def _storey_below(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody) -> np.ndarray:
    """Returns whether a surface that faces up (a floor or the ground) lies at least `body.height` below each cell."""
    ground = np.full(columns.grid.rows * columns.grid.cols, np.inf, np.float32)
    up = np.flatnonzero(columns.surface_up)[::-1]
    # With repeated indices the last assignment, here of the lowest surface, is kept.
    ground[columns.surface_column[up]] = columns.surface_height[up]
    return ground[column] <= height - body.height
