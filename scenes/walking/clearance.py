"""Measures the distance from walkable cells to obstacles: walls, furniture, steep ground and ledges.

A cell without a neighbour in some direction borders on an obstacle. If fragments in the missing column block the body,
the obstacle is their box (so that a wall counts where it stands, not at the border of its cell). Otherwise the floor
ends or drops there, and the obstacle is the whole missing cell. Obstacles are then propagated from cell to cell: each
cell keeps the nearest obstacle of its neighbours, up to the body's radius. This is a Euclidean distance transform that
follows the floor, over stairs and separately for each storey.
"""

from __future__ import annotations

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.walking.columns import Columns
from batchsim.scenes.walking.layers import OFFSETS
from batchsim.scenes.walking.standing_room import in_the_way


def far_from_obstacles(
    columns: Columns, column: np.ndarray, height: np.ndarray, neighbors: np.ndarray, body: AgentBody
) -> np.ndarray:
    """Returns whether each cell's centre is at least `body.radius` from every obstacle and ledge, bool `[C]`.

    Args:
        columns: The scene, cut into columns.
        column: int64 `[C]`, the column of each cell.
        height: float `[C]`, metres.
        neighbors: int `[C, 8]`, as returned by `layers.link`.
        body: The agent's body.
    """
    grid = columns.grid
    centre = np.stack([column % grid.cols, column // grid.cols], 1) + 0.5
    radius = body.radius / grid.cell_size
    nearest = np.full((len(column), 4), np.inf)
    distance = np.full(len(column), np.inf)
    for cell, box in _obstacles(columns, column, height, neighbors, body):
        _keep_nearer(nearest, distance, centre, cell, box)
    _spread(nearest, distance, centre, neighbors, radius)
    return distance >= radius - 1e-4


def _obstacles(columns, column, height, neighbors, body):
    """Yields pairs (cells, boxes) of cells and obstacles next to them, one pair for each direction."""
    grid = columns.grid
    row, col = column // grid.cols, column % grid.cols
    for direction in range(8):
        missing = neighbors[:, direction] < 0
        if direction % 2:
            # A diagonal is an obstacle of its own only if both sides of the corner are open and neither leads there.
            before, after = neighbors[:, direction - 1], neighbors[:, (direction + 1) % 8]
            missing &= (before >= 0) & (after >= 0)
            missing &= (neighbors[before, (direction + 1) % 8] < 0) & (neighbors[after, direction - 1] < 0)
        cell = np.flatnonzero(missing)
        r, c = row[cell] + OFFSETS[direction, 0], col[cell] + OFFSETS[direction, 1]
        box = np.stack([c, c + 1, r, r + 1], 1).astype(np.float64)
        inside = (r >= 0) & (r < grid.rows) & (c >= 0) & (c < grid.cols)
        solid, extent = _boxes_in_the_way(columns, (r * grid.cols + c)[inside], height[cell[inside]], body)
        box[np.flatnonzero(inside)[solid]] = extent[solid]
        yield cell, box


def _boxes_in_the_way(columns, column, height, body) -> tuple[np.ndarray, np.ndarray]:
    """Returns whether anything in each column blocks a body at `height`, bool `[K]`, and its extent `[K, 4]`."""
    owner, fragment = in_the_way(columns, column, height, body)
    extent = np.tile([np.inf, -np.inf, np.inf, -np.inf], (len(column), 1))
    for k, merge in enumerate((np.minimum, np.maximum, np.minimum, np.maximum)):
        merge.at(extent[:, k], owner, columns.box[fragment, k])
    return np.isfinite(extent[:, 0]), extent


def _distance(centre: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Returns the distance `[K]` from points `[K, 2]` to boxes `[K, 4]` (x0, x1, z0, z1)."""
    dx = np.maximum(np.maximum(box[:, 0] - centre[:, 0], centre[:, 0] - box[:, 1]), 0)
    dz = np.maximum(np.maximum(box[:, 2] - centre[:, 1], centre[:, 1] - box[:, 3]), 0)
    return np.hypot(dx, dz)


def _keep_nearer(nearest, distance, centre, cell, box) -> np.ndarray:
    """Assigns each cell its box if that is nearer than the current one; returns the cells that changed."""
    reach = _distance(centre[cell], box)
    better = reach < distance[cell]
    changed = cell[better]
    nearest[changed], distance[changed] = box[better], reach[better]
    return changed


def _spread(nearest, distance, centre, neighbors, radius: float) -> None:
    """Propagates obstacles from cell to cell while they are within `radius` (in cells) of the receiving cell."""
    front = np.flatnonzero(distance < radius)
    while len(front):
        changed = []
        for direction in range(8):
            target = neighbors[front, direction]
            source, target = front[target >= 0], target[target >= 0]
            grown = _keep_nearer(nearest, distance, centre, target, nearest[source])
            changed.append(grown[distance[grown] < radius])
        front = np.unique(np.concatenate(changed))
