"""Exact shortest paths among convex polygons in the plane, by a visibility graph: the oracle for geodesic distances."""

import numpy as np
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import ConvexHull


def inflate(outline, radius, corners=16):
    """Convex `outline` [K, 2] grown by a disc, as a polygon whose arcs are cut at `corners` points of a full turn."""
    angle = 2 * np.pi * np.arange(corners) / corners
    points = (outline[:, None] + radius * np.stack([np.cos(angle), np.sin(angle)], 1)).reshape(-1, 2)
    return points[ConvexHull(points).vertices]


def apart(a, b):
    """Whether two convex polygons (counter-clockwise) do not meet: one of their edges separates them."""
    for first, second in ((a, b), (b, a)):
        normal, offset = _edges(first)
        if ((second @ normal.T - offset).min(0) > 0).any():
            return True
    return False


def shortest_lengths(starts, ends, polygons):
    """Lengths [S, E] of the shortest paths outside convex `polygons` (counter-clockwise), inf where there is none."""
    nodes = np.concatenate([starts, *polygons])
    between = _sight_lines(nodes, nodes, polygons)
    along = dijkstra(np.where(np.isfinite(between), between, 0), indices=np.arange(len(starts)))
    return (along[:, :, None] + _sight_lines(nodes, ends, polygons)).min(1)


def _sight_lines(points, others, polygons):
    """Distances [P, Q], inf where a polygon is in the way."""
    p = np.repeat(points, len(others), 0)
    q = np.tile(others, (len(points), 1))
    length = np.linalg.norm(p - q, axis=1)
    for polygon in polygons:
        length[_passes_through(p, q, polygon)] = np.inf
    return length.reshape(len(points), len(others))


def _passes_through(p, q, polygon, slack=1e-7):
    """Whether segments [K, 2] cross the interior of a convex polygon (Cyrus-Beck clipping)."""
    normal, offset = _edges(polygon)
    at_p, at_q = p @ normal.T - offset + slack, q @ normal.T - offset + slack
    enter, leave = np.zeros(len(p)), np.ones(len(p))
    for a, b in zip(at_p.T, at_q.T, strict=True):
        change = b - a
        cut = np.divide(-a, change, out=np.zeros_like(a), where=np.abs(change) > 1e-14)
        leave = np.where(change > 1e-14, np.minimum(leave, cut), leave)
        enter = np.where(change < -1e-14, np.maximum(enter, cut), enter)
        leave = np.where((np.abs(change) <= 1e-14) & (a > 0), -1.0, leave)
    return leave - enter > 1e-9


def _edges(polygon):
    """Outward normals [K, 2] and offsets [K] of a counter-clockwise polygon's edges."""
    edge = np.roll(polygon, -1, 0) - polygon
    normal = np.stack([edge[:, 1], -edge[:, 0]], 1) / np.linalg.norm(edge, axis=1, keepdims=True)
    return normal, (normal * polygon).sum(1)
