"""Surfaces with room for a body to stand on: gentle enough, the head free, nothing in the body's way."""

from __future__ import annotations

import math

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.walking.columns import Columns, expand
from batchsim.scenes.walking.layers import OFFSETS, index_layers

# The sloped front of a step is looked across over this many cells at most.
MAX_KERB_CELLS = 8


def standing_room(columns: Columns, body: AgentBody) -> tuple[np.ndarray, np.ndarray]:
    """Column int64 `[C]` and height float64 `[C]` (metres) of the surfaces that `body` can stand on, sorted by both.

    Only front faces that look up count. Besides those within `max_slope`, two kinds of steep ones do: low clutter
    that lies on a floor no more than `max_step` below, and the sloped front of a step that rises `max_step` or less.
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


def in_the_way(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody):
    """Pairs (query, fragment) int64 of all that reaches into bodies standing in `column` [K] at `height` [K].

    The body is in the way of what lies between `max_step` and `body.height` above the standing height.
    """
    first = columns.start[column]
    query, step = expand(columns.start[column + 1] - first)
    fragment = first[query] + step
    base = height[query]
    bad = (columns.top[fragment] > base + body.max_step) & (columns.bottom[fragment] < base + body.height)
    return query[bad], fragment[bad]


def _hit(columns: Columns, column: np.ndarray, height: np.ndarray, body: AgentBody) -> np.ndarray:
    query, _ = in_the_way(columns, column, height, body)
    return np.bincount(query, minlength=len(column)) > 0


def _front_of_step(columns: Columns, floor_column, floor_height, column, height, body: AgentBody) -> np.ndarray:
    """Which steep surfaces [K] lie between a lower and a higher floor that are one step apart.

    Such fronts are a few centimetres deep, but where a cell's centre falls on one the stairs must not end.
    """
    grid = columns.grid
    index, _ = index_layers(floor_column, floor_height, grid)
    depth = body.max_step / math.tan(math.radians(max(body.max_slope, 1.0)))
    reach = min(math.ceil(depth / grid.cell_size), MAX_KERB_CELLS)
    found = np.zeros(len(column), bool)
    for direction in range(4):
        ahead = _nearest_floor(index, floor_height, grid, column, height, OFFSETS[direction], reach, body.max_step)
        behind = _nearest_floor(index, floor_height, grid, column, height, -OFFSETS[direction], reach, body.max_step)
        # Comparisons with nan, where there is no floor, are false.
        found |= (np.abs(ahead - behind) <= body.max_step) & ((ahead - height) * (behind - height) <= 0)
    return found


def _nearest_floor(index, floor_height, grid, column, height, offset, reach: int, max_step: float) -> np.ndarray:
    """Height [K] of the first floor within `max_step` met in one direction, nan where there is none within reach."""
    found = np.full(len(column), np.nan)
    for distance in range(1, reach + 1):
        row = np.clip(column // grid.cols + distance * offset[0], 0, grid.rows - 1)
        col = np.clip(column % grid.cols + distance * offset[1], 0, grid.cols - 1)
        for plane in index:
            cell = plane[row, col]
            level = np.where(cell >= 0, floor_height[cell], np.nan)
            found = np.where(np.isnan(found) & (np.abs(level - height) <= max_step), level, found)
    return found
