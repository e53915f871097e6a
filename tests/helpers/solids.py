"""Simple closed solids and floors for tests, as triangles float32 [T, 3, 3] with their fronts outwards."""

import numpy as np


def prism(outline, bottom, top):
    """Upright prism over the convex polygon `outline` [K, 2] of (x, z), any sense of rotation."""
    outline = np.asarray(outline, float)
    x, z = outline.T
    if (x * np.roll(z, -1) - np.roll(x, -1) * z).sum() < 0:
        outline = outline[::-1]
    low = np.stack([outline[:, 0], np.full(len(outline), bottom), outline[:, 1]], 1)
    high = low + np.array([0, top - bottom, 0])
    triangles = []
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        triangles += [(low[j], low[i], high[i]), (low[j], high[i], high[j])]
    for i in range(1, len(outline) - 1):
        triangles += [(high[0], high[i + 1], high[i]), (low[0], low[i], low[i + 1])]
    return np.array(triangles, np.float32)


def box(low, high):
    """Axis-aligned box between two corners [3]."""
    outline = [(low[0], low[2]), (high[0], low[2]), (high[0], high[2]), (low[0], high[2])]
    return prism(outline, low[1], high[1])


def rectangle(center, half, angle):
    """Corners [4, 2] of a rectangle turned by `angle` radians."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half @ turn.T + center


def quad(a, b, c, d):
    """One-sided quadrilateral; counter-clockwise seen from its front."""
    return np.array([(a, b, c), (a, c, d)], np.float32)


def floor(x0, x1, z0, z1, height0=0.0, height1=None):
    """One-sided floor that looks up and rises from `height0` at x0 to `height1` at x1."""
    height1 = height0 if height1 is None else height1
    return quad((x0, height0, z0), (x0, height0, z1), (x1, height1, z1), (x1, height1, z0))


def stairs(x0, steps, tread, rise, z0, z1, lean=0.0):
    """Open steps that climb along x from height 0 at x0; risers lean forward by `lean` metres."""
    parts = []
    for k in range(steps):
        front, y = x0 + k * tread, k * rise
        parts.append(quad((front, y, z0), (front, y, z1), (front + lean, y + rise, z1), (front + lean, y + rise, z0)))
        parts.append(floor(front + lean, front + tread, z0, z1, y + rise))
    return np.concatenate(parts)
