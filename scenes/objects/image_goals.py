"""Images of objects: poses from which an object is in view, large enough to be known again."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.objects.samples import SurfaceSamples
from batchsim.scenes.objects.view_points import candidate_cells, eye_height
from batchsim.scenes.objects.visibility import SightLines
from batchsim.scenes.walking.walkable import Walkable

IMAGE_HFOV = 79.0
"""Degrees; of the square image that coverage is measured in."""
IMAGES_PER_OBJECT = 4
MIN_FRAME_COVERAGE = 0.05
MIN_OBJECT_COVERAGE = 0.2

_NEAREST, _FARTHEST = 0.4, 2.0  # metres from the object
_TRIES = 24
_STEEPEST = np.radians(60)


def find_image_goals(
    samples: SurfaceSamples,
    goals: list[int],
    walkable: Walkable,
    sight: SightLines,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`SceneObjects.image_goals`, `image_poses` and `image_coverage` for the objects in the rows `goals`.

    Of `_TRIES` random places around each object, those count from which it fills at least `MIN_FRAME_COVERAGE` of the
    image and at least `MIN_OBJECT_COVERAGE` of what faces the camera is not hidden; the `IMAGES_PER_OBJECT` best are
    kept. The camera looks at the middle of the object.
    """
    eye = eye_height(walkable)
    owner, eyes = [], []
    for k, row in enumerate(goals):
        cells = candidate_cells(samples, row, walkable, _FARTHEST, at_least=_NEAREST)
        chosen = rng.choice(cells, min(_TRIES, len(cells)), replace=False) if len(cells) else cells
        owner += [k] * len(chosen)
        eyes.append(walkable.positions[chosen] + np.array([0, eye, 0], np.float32))
    if not owner:
        return np.zeros(0, np.int32), np.zeros((0, 5), np.float32), np.zeros((0, 2), np.float32)
    of, camera = np.array(owner), np.concatenate(eyes)
    rows = np.array(goals)[of]
    poses = np.concatenate([camera, _looking_at(camera, samples.centers[rows])], 1).astype(np.float32)
    coverage = _coverage(samples, rows, poses, sight)
    good = (coverage[:, 0] >= MIN_FRAME_COVERAGE) & (coverage[:, 1] >= MIN_OBJECT_COVERAGE)
    good &= np.abs(poses[:, 4]) <= _STEEPEST
    kept = []
    for k in range(len(goals)):
        own = np.flatnonzero(good & (of == k))
        kept.append(own[np.argsort(-coverage[own].prod(1), kind="stable")][:IMAGES_PER_OBJECT])
    order = np.concatenate(kept).astype(np.int64)
    return of[order].astype(np.int32), poses[order], coverage[order].astype(np.float32)


def _looking_at(eyes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Heading and pitch `[P, 2]`, radians, from `eyes` to `targets` `[P, 3]`."""
    x, y, z = (targets - eyes).T
    return np.stack([np.arctan2(-x, -z), np.arctan2(y, np.hypot(x, z))], 1)


def _coverage(samples: SurfaceSamples, rows: np.ndarray, poses: np.ndarray, sight: SightLines) -> np.ndarray:
    """Share `[P, 2]` of the image that the objects fill, and of their facing surface that is not hidden.

    A patch of area dA at depth z, seen along r, covers dA |n r| / z^3 of the image plane at distance 1.
    """
    points, normals = samples.points[rows], samples.normals[rows]
    count = points.shape[1]
    right, up, ahead = _camera_axes(poses[:, 3], poses[:, 4])
    gap = points - poses[:, None, :3]
    x, y, z = ((gap * axis[:, None]).sum(-1) for axis in (right, up, ahead))
    facing = -(normals * gap).sum(-1)
    half = np.tan(np.radians(IMAGE_HFOV) / 2)
    depth = np.maximum(z, 1e-3)
    inside = (z > 0.05) & (np.abs(x) <= half * depth) & (np.abs(y) <= half * depth)
    share = np.where(facing > 0, samples.areas[rows, None] / count * facing / depth**3, 0) / (2 * half) ** 2
    row, sample = np.nonzero(inside & (facing > 0))
    free = np.zeros(inside.shape, bool)
    # Here the object's own parts are obstacles too.
    free[row, sample] = sight.are_free(poses[row, :3], points[row, sample], np.zeros(len(row), np.int32), margin=0.01)
    filled = np.where(free, share, 0).sum(1)
    return np.stack([np.minimum(filled, 1.0), filled / np.maximum(np.where(z > 0.05, share, 0).sum(1), 1e-9)], 1)


def _camera_axes(heading: np.ndarray, pitch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors `[P, 3]` to the right, up and ahead of cameras."""
    sin, cos, rise, level = np.sin(heading), np.cos(heading), np.sin(pitch), np.cos(pitch)
    zero = np.zeros_like(sin)
    right = np.stack([cos, zero, -sin], 1)
    ahead = np.stack([-sin * level, rise, -cos * level], 1)
    up = np.stack([sin * rise, level, cos * rise], 1)
    return right, up, ahead
