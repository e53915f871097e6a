"""Polygons of any number of corners to triangles. Concave ones are cut by ear clipping (mapbox_earcut)."""

from __future__ import annotations

import numpy as np


def triangulate(positions: np.ndarray, corners: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts polygons into triangles that together cover each polygon, also a concave one.

    Args:
        positions: float `[V, 3]`.
        corners: int `[sum(counts)]`, the polygons' corners one after the other, indices into `positions`.
        counts: int `[P]`, the number of corners of each; polygons of fewer than three give no triangle.

    Returns:
        Places in `corners`, int64 `[T, 3]`, with the polygons' winding, and the polygon of each triangle, int64 `[T]`.
    """
    counts = np.asarray(counts, np.int64)
    first = np.cumsum(counts) - counts
    places, owners = [], []
    for sides in np.unique(counts[counts >= 3]):
        members = np.flatnonzero(counts == sides)
        ring = first[members][:, None] + np.arange(sides)
        if sides == 3:
            local = np.broadcast_to(np.arange(3), (len(members), 1, 3))
        else:
            local = _cut(np.asarray(positions, np.float64)[corners[ring]])
        places.append(np.take_along_axis(ring[:, None], local, 2).reshape(-1, 3))
        owners.append(np.repeat(members, local.shape[1]))
    if not places:
        return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
    place, owner = np.concatenate(places), np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    place, owner = place[order], owner[order]
    solid = ~((place[:, 0] == place[:, 1]) & (place[:, 1] == place[:, 2]))  # padding of ear clipping
    return place[solid], owner[solid]


def _cut(rings: np.ndarray) -> np.ndarray:
    """Triangles int64 `[P, N - 2, 3]` of polygons `[P, N, 3]`; unused rows are filled with zeros."""
    count, sides = rings.shape[:2]
    flat = _flattened(rings)
    fan = np.stack([np.zeros(sides - 2, np.int64), np.arange(1, sides - 1), np.arange(2, sides)], 1)
    local = np.tile(fan, (count, 1, 1))
    turn = _turns(flat)
    scale = np.abs(turn).max(1, keepdims=True)
    reflex = turn < -1e-9 * scale
    if sides == 4:
        # A quadrilateral with one reflex corner is cut from there; 0 and 2 is the fan's own diagonal.
        other = (reflex[:, 1] | reflex[:, 3]) & (reflex.sum(1) == 1)
        local[other] = np.array([[1, 2, 3], [1, 3, 0]])
        return local
    # Convex corners all around may still wind more than once around the middle, as a pentagram does.
    for polygon in np.flatnonzero(reflex.any(1) | (np.abs(_winding(flat)) > 1.5)):
        local[polygon] = _clip_ears(flat[polygon], local[polygon])
    return local


def _flattened(rings: np.ndarray) -> np.ndarray:
    """Polygons `[P, N, 3]` projected along their normals (Newell) to `[P, N, 2]`, counter-clockwise."""
    centred = rings - rings.mean(1, keepdims=True)
    normal = np.cross(centred, np.roll(centred, -1, 1)).sum(1)
    drop = np.abs(normal).argmax(1)
    # Of the other two axes, in the order that keeps the winding where the dropped component is positive.
    axes = np.array([[1, 2], [2, 0], [0, 1]])[drop]
    flipped = np.take_along_axis(normal, drop[:, None], 1)[:, 0] < 0
    axes[flipped] = axes[flipped][:, ::-1]
    return np.take_along_axis(centred, np.broadcast_to(axes[:, None], (*rings.shape[:2], 2)), 2)


def _turns(flat: np.ndarray) -> np.ndarray:
    """Cross product of the edges before and after each corner: negative at a reflex corner."""
    before, after = flat - np.roll(flat, 1, 1), np.roll(flat, -1, 1) - flat
    return before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]


def _winding(flat: np.ndarray) -> np.ndarray:
    """How often each polygon's direction turns around, in full turns."""
    edge = np.roll(flat, -1, 1) - flat
    angle = np.arctan2(edge[..., 1], edge[..., 0])
    turn = np.roll(angle, -1, 1) - angle
    return ((turn + np.pi) % (2 * np.pi) - np.pi).sum(1) / (2 * np.pi)


def _clip_ears(ring: np.ndarray, fan: np.ndarray) -> np.ndarray:
    import mapbox_earcut

    found = mapbox_earcut.triangulate_float64(np.ascontiguousarray(ring), np.array([len(ring)], np.uint32))
    found = found.reshape(-1, 3).astype(np.int64)
    if not len(found):
        return fan  # without area, so any triangles will do
    a, b, c = (ring[found[:, k]] for k in range(3))
    clockwise = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    found[clockwise] = found[clockwise][:, ::-1]
    local = np.zeros_like(fan)
    local[: len(found)] = found[: len(fan)]
    return local
