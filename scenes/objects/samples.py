"""Points on the surfaces of objects, which stand for them when it is asked how near they are and who sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLES = 64
"""Points on the surface of each object."""


@dataclass(frozen=True)
class SurfaceSamples:
    """Points drawn evenly from the surface of I objects.

    - `points`, `normals` float32 `[I, S, 3]`: where they lie, and what they face; `areas` float32 `[I]`: of the whole
      surface, square metres; `centers` float32 `[I, 3]`, `low` and `high` float32 `[I, 3]`: of the bounding box.
    """

    points: np.ndarray
    normals: np.ndarray
    areas: np.ndarray
    centers: np.ndarray
    low: np.ndarray
    high: np.ndarray


def sample_surfaces(
    triangles: np.ndarray, instances: np.ndarray, count: int, rng: np.random.Generator
) -> SurfaceSamples:
    """Samples the objects 1 to `count` of `instances` int32 `[T]`; rows of objects without triangles are zeros."""
    order = np.argsort(instances, kind="stable")
    bounds = np.searchsorted(instances[order], np.arange(1, count + 2))
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).astype(np.float64)
    doubled = np.linalg.norm(normal, axis=1)
    points, normals = (np.zeros((count, SAMPLES, 3), np.float32) for _ in range(2))
    areas = np.zeros(count, np.float32)
    low, high = np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)
    for row in range(count):
        own = order[bounds[row] : bounds[row + 1]]
        weights = doubled[own]
        if not len(own) or not weights.sum() > 0:
            continue
        # Evenly spaced draws: no large face is missed by chance.
        ends = np.cumsum(weights)
        at = (np.arange(SAMPLES) + rng.random(SAMPLES)) / SAMPLES * ends[-1]
        chosen = own[np.searchsorted(ends, at, side="right").clip(max=len(own) - 1)]
        u, v = rng.random((2, SAMPLES, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = (triangles[chosen, k] for k in range(3))
        points[row] = a + u * (b - a) + v * (c - a)
        normals[row] = normal[chosen] / np.maximum(doubled[chosen], 1e-12)[:, None]
        areas[row] = ends[-1] / 2
        corners = triangles[own].reshape(-1, 3)
        low[row], high[row] = corners.min(0), corners.max(0)
    return SurfaceSamples(points, normals, areas, (low + high) / 2, low, high)
