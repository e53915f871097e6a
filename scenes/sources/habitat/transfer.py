"""Carries objects from a semantic mesh to the triangles that are shown, which are cut differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from batchsim.scenes.sources.habitat.semantic_mesh import NO_OBJECT, SemanticMesh

_NEIGHBOURS = 8
_REACH = 0.5  # metres; what is farther from the semantic mesh belongs to no object
_AT_ONCE = 50_000
_FITS = 0.5  # of the bounds along each axis, intersection over union
_SLACK = 0.1  # metres; a flat scene has no height to compare


def objects_of_triangles(triangles: np.ndarray, mesh: SemanticMesh, frame: np.ndarray) -> np.ndarray:
    """Returns the number of the object of each triangle, int64 `[T]`, `NO_OBJECT` for none.

    A triangle belongs to the object at the place of the semantic mesh that is nearest to its middle.

    Args:
        triangles: float64 `[T, 3, 3]`, metres.
        mesh: The semantic mesh.
        frame: float64 `[3, 3]`, turns and scales the semantic mesh to the axes of `triangles`.
    """
    from trimesh.triangles import closest_point

    points, corners = mesh.points @ frame.T, mesh.triangles @ frame.T
    tree = cKDTree(points)
    middles = triangles.mean(1)
    found = np.full(len(triangles), NO_OBJECT, np.int64)
    count = min(_NEIGHBOURS, len(points))
    for start in range(0, len(middles), _AT_ONCE):
        middle = middles[start : start + _AT_ONCE]
        away, near = tree.query(middle, count)
        away, near = away.reshape(len(middle), count), near.reshape(len(middle), count)
        repeated = np.repeat(middle, count, 0)
        exact = closest_point(corners[mesh.triangle[near.reshape(-1)]], repeated)
        distance = np.linalg.norm(exact - repeated, axis=1).reshape(near.shape)
        # Of the samples of one triangle, that one decides which is nearest.
        best = (distance + 1e-3 * away).argmin(1)
        row = np.arange(len(middle))
        chosen = mesh.objects[near[row, best]]
        found[start : start + _AT_ONCE] = np.where(distance[row, best] <= _REACH, chosen, NO_OBJECT)
    return found


def fitting_frame(triangles: np.ndarray, mesh: SemanticMesh, frames: Sequence[np.ndarray]) -> np.ndarray | None:
    """Returns the frame in which the semantic mesh has the bounds of `triangles`; None if none of `frames` fits.

    Files state the axes of semantic meshes rarely, and not always rightly. The first frame that fits is taken.
    """
    corners = triangles.reshape(-1, 3)
    low, high = corners.min(0), corners.max(0)
    for frame in frames:
        mine = mesh.triangles.reshape(-1, 3) @ frame.T
        inner = np.minimum(high, mine.max(0)) - np.maximum(low, mine.min(0))
        outer = np.maximum(high, mine.max(0)) - np.minimum(low, mine.min(0))
        if (inner + _SLACK >= _FITS * outer).all():
            return frame
    return None
