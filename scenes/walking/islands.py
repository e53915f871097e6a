"""Islands: parts of the walkable surface with no way between them, and which of them are floors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.walking.columns import Columns

# An island that an episode may start on reaches this far from its middle, as in Habitat's episode sampling. Metres.
MIN_ISLAND_RADIUS = 1.5
# Of the largest island's area; tables, beds and counters are far below it.
MIN_ISLAND_SHARE = 0.1
# A room with a ceiling stays whatever its share: a hall behind a closed door in a large building. Square metres.
ROOM_AREA = 10.0
# A ceiling is above at least this share of a room.
ROOM_COVERED = 0.5
# Where more than this much of an island has nothing above it, and this much lies over a storey below, it is a roof.
ROOF_OPEN = 0.8
ROOF_OVER_FLOOR = 0.25
# Rugs and the like lie this close above a floor and are no cover. Metres.
COVER_HEIGHT = 0.5


def connected_parts(neighbors: np.ndarray) -> np.ndarray:
    """Number of the connected part of each cell, int64 `[C]`, from the largest part down; `neighbors` int `[C, 8]`."""
    # Diagonal neighbours can be reached in two straight steps as well.
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
    """float64 `[I]`: distance from the middle (mean) of each island to its farthest cell; all `[C]`, same unit."""
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
) -> np.ndarray:
    """Which islands bool `[I]` are floors rather than roofs, furniture or odd corners.

    Cells: `column` int64 `[C]`, `height` float `[C]` metres, sorted by both; `islands` int64 `[C]`.

    Roofs go first: islands mostly under the open sky with a floor, or the ground, at least `body.height` below.
    (What can be reached on foot from elsewhere is no island of its own, so that bridges and terraces stay.)

    Of the rest those stay that have `min_area` square metres and reach `MIN_ISLAND_RADIUS` from their middle, and
    besides are rooms (under a ceiling, at least `ROOM_AREA`) or have `MIN_ISLAND_SHARE` of the largest one's area.
    Should none do, the largest stays.
    """
    grid = columns.grid
    size = np.bincount(islands)
    open_to_sky, under_ceiling = _overhead(columns, column, height)
    open_share = np.bincount(islands, open_to_sky) / size
    ceiling_share = np.bincount(islands, under_ceiling) / size
    over_share = np.bincount(islands, _storey_below(columns, column, height, body)) / size
    roof = (open_share > ROOF_OPEN) & (over_share > ROOF_OVER_FLOOR)
    area = np.where(roof, 0, size * grid.cell_size**2)
    radius = reach_from_middle(islands, column % grid.cols * grid.cell_size, column // grid.cols * grid.cell_size)

    room = (ceiling_share > ROOM_COVERED) & (area >= ROOM_AREA)
    floor = ~roof & (area >= min_area) & (radius >= MIN_ISLAND_RADIUS)
    floor &= room | (area >= MIN_ISLAND_SHARE * area.max())
    if not floor.any():
        floor[(area if area.any() else size).argmax()] = True
    return floor


def _overhead(columns: Columns, column: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether there is nothing above the cells' centres, and whether what comes first faces down: a ceiling.

    The inside of a closed block shows the back of its top instead.
    """
    span = float(np.ptp(columns.surface_height)) + 2 * COVER_HEIGHT
    lowest = float(columns.surface_height.min())
    # Column and height in one sorted number; doubles leave it finer than a millimetre on the largest grids.
    surfaces = columns.surface_column + (columns.surface_height.astype(np.float64) - lowest) / span
    above = np.searchsorted(surfaces, column + (height + COVER_HEIGHT - lowest) / span, side="right")
    found = above < len(surfaces)
    above = np.where(found, above, 0)
    found &= columns.surface_column[above] == column
    return ~found, found & ~columns.surface_up[above]


def _storey_below(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody) -> np.ndarray:
    """Whether something that looks up lies a body's height or more below, a floor or the ground under a building."""
    ground = np.full(columns.grid.rows * columns.grid.cols, np.inf, np.float32)
    up = np.flatnonzero(columns.surface_up)[::-1]
    # Of repeated indices the last assignment stays: surfaces are sorted by height, and come from the top here.
    ground[columns.surface_column[up]] = columns.surface_height[up]
    return ground[column] <= height - body.height
