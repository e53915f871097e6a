"""View points: where one can stand within a metre of an object and see it by turning.

As in Habitat's ObjectNav: a navigable place at most 1 m from the object (euclidean distance, here between the object's
surface and the upright line from the feet to the eyes) from which some of it is in sight. A line of sight may rise or
fall by at most 45 degrees, half of what a square camera of 90 degrees sees, so that turning is enough.
"""

from __future__ import annotations

import numpy as np

from batchsim.scenes.objects.samples import SurfaceSamples
from batchsim.scenes.objects.visibility import SightLines
from batchsim.scenes.walking.walkable import MIN_ISLAND_RADIUS, Walkable

REACH = 1.0
"""Metres from an object at most."""
SPACING = 0.1
"""Metres between view points."""
EYE_HEIGHT = 1.25
"""Metres above the floor, of bodies that are at least as tall."""

_TRIES = 6


def eye_height(walkable: Walkable) -> float:
    """Metres above the floor from which the body of `walkable` looks."""
    return min(EYE_HEIGHT, walkable.body.height)


def find_view_points(
    samples: SurfaceSamples,
    rows: np.ndarray,
    walkable: Walkable,
    sight: SightLines,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Cells int32 `[v]` from which each object can be seen, none for objects that are not in `rows`."""
    found: list[np.ndarray] = [np.zeros(0, np.int32)] * len(samples.areas)
    stride = max(1, round(SPACING / walkable.cell_size))
    for step in dict.fromkeys((stride, 1)):
        # Where the coarse lattice misses a narrow place, all cells are tried.
        left = [row for row in rows if not len(found[row]) and samples.areas[row] > 0]
        for row, cells in zip(left, _view_points(samples, left, walkable, sight, rng, step), strict=True):
            found[row] = cells
    return found


def _view_points(
    samples: SurfaceSamples,
    rows: list[int],
    walkable: Walkable,
    sight: SightLines,
    rng: np.random.Generator,
    stride: int,
) -> list[np.ndarray]:
    near = [candidate_cells(samples, row, walkable, REACH, stride) for row in rows]
    cells = np.concatenate([*near, np.zeros(0, np.int64)]).astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), [len(part) for part in near])
    seen = _in_sight(
        samples, np.array(rows, np.int64)[owner], walkable.positions[cells], eye_height(walkable), sight, rng
    )
    return [cells[seen & (owner == k)].astype(np.int32) for k in range(len(rows))]


def candidate_cells(
    samples: SurfaceSamples, row: int, walkable: Walkable, reach: float, stride: int = 1, at_least: float = 0.0
) -> np.ndarray:
    """Cells int64 of islands of some size, `at_least` to `reach` metres from the object in `row`."""
    positions = walkable.positions
    low, high = samples.low[row] - reach, samples.high[row] + reach
    eye = eye_height(walkable)
    inside = (positions[:, 0] >= low[0]) & (positions[:, 0] <= high[0])
    inside &= (positions[:, 2] >= low[2]) & (positions[:, 2] <= high[2])
    inside &= (positions[:, 1] + eye >= low[1]) & (positions[:, 1] <= high[1])
    if stride > 1:
        inside &= (walkable.cells[:, 1] % stride == 0) & (walkable.cells[:, 2] % stride == 0)
    cells = np.flatnonzero(inside)
    cells = cells[walkable.island_radii[walkable.islands[cells]] >= MIN_ISLAND_RADIUS]
    if not len(cells):
        return cells
    gap = np.sqrt(_squared_gaps(samples.points[row], positions[cells], eye).min(1))
    return cells[(gap <= reach) & (gap >= at_least)]


def _squared_gaps(points: np.ndarray, feet: np.ndarray, eye: float) -> np.ndarray:
    """Square metres `[P, S]` between `points` `[S, 3]` and the upright lines on `feet` `[P, 3]`."""
    x = feet[:, None, 0] - points[None, :, 0]
    z = feet[:, None, 2] - points[None, :, 2]
    rise = points[None, :, 1] - feet[:, None, 1]
    y = np.maximum(np.maximum(rise - eye, -rise), 0)
    return x * x + y * y + z * z


def _in_sight(
    samples: SurfaceSamples,
    row: np.ndarray,
    feet: np.ndarray,
    eye: float,
    sight: SightLines,
    rng: np.random.Generator,
) -> np.ndarray:
    """Whether the object in `row` int `[P]` is seen from `feet` float `[P, 3]`; its nearest point is tried first."""
    eyes = feet + np.array([0, eye, 0], np.float32)
    seen = np.zeros(len(row), bool)
    for attempt in range(_TRIES):
        left = np.flatnonzero(~seen)
        if not len(left):
            break
        points = samples.points[row[left]]
        gap = points - eyes[left, None]
        level = np.hypot(gap[..., 0], gap[..., 2])
        usable = (np.abs(gap[..., 1]) <= level) & (level > 0.02)
        distance = np.where(usable, level, np.inf)
        order = distance.argmin(1) if attempt == 0 else np.where(usable, rng.random(usable.shape), -1).argmax(1)
        has = usable.any(1)
        left, target = left[has], points[np.arange(len(left)), order][has]
        seen[left] = sight.are_free(eyes[left], target, row[left] + 1)
    return seen
