"""Distance from walkable cells to what surrounds them: walls, furniture, steep ground and ledges.

A cell that lacks a neighbour borders on a hazard. Where fragments in the missing column are in the body's way, the
hazard is their box (so that a wall counts where it stands, not at the border of its cell); otherwise the floor ends
or drops there, and the hazard is the missing cell as a whole. Every cell then takes over from its neighbours the
hazard that is nearest to itself, outwards until the body's radius is passed: a Euclidean distance transform that
follows the floor, over stairs and past other storeys.
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
    """Which cells bool [C] have their centre at least `body.radius` from every obstacle and ledge.

    `column` int64 [C], `height` float [C] metres, `neighbors` int [C, 8] as `layers.link` makes them.
    """
    grid = columns.grid
    centre = np.stack([column % grid.cols, column // grid.cols], 1) + 0.5
    radius = body.radius / grid.cell_size
    nearest = np.full((len(column), 4), np.inf)
    distance = np.full(len(column), np.inf)
    for cell, box in _hazards(columns, column, height, neighbors, body):
        _keep_nearer(nearest, distance, centre, cell, box)
    _spread(nearest, distance, centre, neighbors, radius)
    return distance >= radius - 1e-4


def _hazards(columns, column, height, neighbors, body):
    """Yields (cell, box) of the hazards next to cells: by direction, so that no cell occurs twice in one."""
    grid = columns.grid
    row, col = column // grid.cols, column % grid.cols
    for direction in range(8):
        missing = neighbors[:, direction] < 0
        if direction % 2:
            # A corner is a hazard of its own only where both ways around it are open and neither leads there.
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
    """Whether each column holds something in the way of a body at `height`, and the extent [K, 4] of all that does."""
    owner, fragment = in_the_way(columns, column, height, body)
    extent = np.tile([np.inf, -np.inf, np.inf, -np.inf], (len(column), 1))
    for k, merge in enumerate((np.minimum, np.maximum, np.minimum, np.maximum)):
        merge.at(extent[:, k], owner, columns.box[fragment, k])
    return np.isfinite(extent[:, 0]), extent


def _distance(centre: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Distance [K] from points [K, 2] to boxes [K, 4] (x0, x1, z0, z1)."""
    dx = np.maximum(np.maximum(box[:, 0] - centre[:, 0], centre[:, 0] - box[:, 1]), 0)
    dz = np.maximum(np.maximum(box[:, 2] - centre[:, 1], centre[:, 1] - box[:, 3]), 0)
    return np.hypot(dx, dz)


def _keep_nearer(nearest, distance, centre, cell, box) -> np.ndarray:
    """Give each cell its box if that is nearer than the one it has; which cells changed."""
    reach = _distance(centre[cell], box)
    better = reach < distance[cell]
    changed = cell[better]
    nearest[changed], distance[changed] = box[better], reach[better]
    return changed


def _spread(nearest, distance, centre, neighbors, radius: float) -> None:
    """Hand hazards on from cell to cell while they are within `radius` (in cells) of the receiver."""
    front = np.flatnonzero(distance < radius)
    while len(front):
        changed = []
        for direction in range(8):
            target = neighbors[front, direction]
            source, target = front[target >= 0], target[target >= 0]
            grown = _keep_nearer(nearest, distance, centre, target, nearest[source])
            changed.append(grown[distance[grown] < radius])
        front = np.unique(np.concatenate(changed))
