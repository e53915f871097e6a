"""Finds surfaces on which a body can stand: gentle enough, with head room, and with nothing in the way."""

from __future__ import annotations

import math

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.walking.columns import Columns, expand
from batchsim.scenes.walking.layers import OFFSETS, index_layers

# Most cells that the sloped front of a step may span.
MAX_KERB_CELLS = 8
_CHUNK = 200_000  # queries at once: bounds the memory


def standing_room(columns: Columns, body: AgentBody) -> tuple[np.ndarray, np.ndarray]:
    """Finds the surfaces that `body` can stand on.

    Only front faces that face up count: those within `max_slope`, and two kinds of steeper ones, namely low clutter on
    a floor at most `max_step` below, and the sloped front of a step that rises at most `max_step`.

    Returns:
        Column int64 `[C]` and height float64 `[C]` (metres), sorted by both.
    """
    column, height = columns.surface_column, columns.surface_height.astype(np.float64)
    gentle = columns.surface_up & (columns.surface_slope_cos >= math.cos(math.radians(body.max_slope)) - 1e-6)
    last = np.append(column[1:] != column[:-1], True)
    gap = np.where(last, np.inf, np.append(np.diff(height), np.inf))
    head_free = columns.surface_up & (gap >= body.height)

    on_floor = np.append(False, gentle[:-1] & (gap[:-1] <= body.max_step))
    stands = head_free & (gentle | on_floor)
    steep = np.flatnonzero(head_free & ~stands)
    stands[steep[_front_of_step(columns, column[stands], height[stands], column[steep], height[steep], body)]] = True

    column, height = column[stands], height[stands]
    free = ~_hit(columns, column, height, body)
    return column[free], height[free]


def in_the_way(
    columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody
) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs (query, fragment), int64, of all fragments that a body in `column` `[K]` at `height` `[K]` hits.

    The body hits what lies between `max_step` and `body.height` above the height it stands at.
    """
    parts = [
        _in_the_way(columns, column, height, body, queries)
        for queries in np.split(np.arange(len(column)), np.arange(_CHUNK, len(column), _CHUNK))
    ]
    return np.concatenate([query for query, _ in parts]), np.concatenate([fragment for _, fragment in parts])


def _in_the_way(
    columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    base, first, end = height[queries], columns.start[column[queries]], columns.start[column[queries] + 1]
    # Fragments are sorted by their bottom, `reached` is their highest top so far: both limit what a body may hit.
    first = _lower_bound(columns.reached, first, end, base + body.max_step, after=True)
    end = _lower_bound(columns.bottom, first, end, base + body.height, after=False)
    query, step = expand(end - first)
    fragment = first[query] + step
    bad = columns.top[fragment] > base[query] + body.max_step
    return queries[query[bad]], fragment[bad]


def _lower_bound(values: np.ndarray, first: np.ndarray, end: np.ndarray, limit: np.ndarray, after: bool) -> np.ndarray:
    """Returns the first place in each run `first`:`end` of ascending `values` that is at least `limit`.

    With `after`, equal values do not count.
    """
    low, high = first.copy(), end.copy()
    for _ in range(int((end - first).max(initial=0)).bit_length()):
        middle = (low + high) // 2
        open_ = low < high
        found = values[np.where(open_, middle, 0)]
        below = open_ & ((found <= limit) if after else (found < limit))
        low = np.where(below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low


def _hit(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody) -> np.ndarray:
    query, _ = in_the_way(columns, column, height, body)
    return np.bincount(query, minlength=len(column)) > 0


def _front_of_step(columns: Columns, floor_column, floor_height, column, height, body: AgentBody) -> np.ndarray:
    """Returns which steep surfaces `[K]` lie between a lower and a higher floor that are one step apart.

    Such fronts are only a few centimetres deep, but a cell's centre on one of them must not interrupt the stairs.
    """
    grid = columns.grid
    index, _ = index_layers(floor_column, floor_height, grid)
    depth = body.max_step / math.tan(math.radians(max(body.max_slope, 1.0)))
    reach = min(math.ceil(depth / grid.cell_size), MAX_KERB_CELLS)
    found = np.zeros(len(column), bool)
    for direction in range(4):
        ahead = _nearest_floor(index, floor_height, grid, column, height, OFFSETS[direction], reach, body.max_step)
        behind = _nearest_floor(index, floor_height, grid, column, height, -OFFSETS[direction], reach, body.max_step)
        # Comparisons with nan (no floor) are false.
        found |= (np.abs(ahead - behind) <= body.max_step) & ((ahead - height) * (behind - height) <= 0)
    return found


def _nearest_floor(index, floor_height, grid, column, height, offset, reach: int, max_step: float) -> np.ndarray:
    """Returns the height `[K]` of the first floor within `max_step` in one direction, nan if none is within reach."""
    found = np.full(len(column), np.nan)
    for distance in range(1, reach + 1):
        row = np.clip(column // grid.cols + distance * offset[0], 0, grid.rows - 1)
        col = np.clip(column % grid.cols + distance * offset[1], 0, grid.cols - 1)
        for plane in index:
            cell = plane[row, col]
            level = np.where(cell >= 0, floor_height[cell], np.nan)
            found = np.where(np.isnan(found) & (np.abs(level - height) <= max_step), level, found)
    return found
