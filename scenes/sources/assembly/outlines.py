"""The outline of what a texture's alpha leaves, as triangles in texture space.

The boundary is where alpha, interpolated between texels as a renderer interpolates it, crosses the cutoff.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from batchsim.scenes.mesh import CLAMP, REPEAT
from batchsim.scenes.sources.surfaces.surface import Texture

_FAR = 1e4  # repeats; how far the border of a clamped texture continues
_TOLERANCE = 0.3  # texels by which outlines are simplified


def solid_triangles(texture: Texture, cutoff: float, size: int) -> np.ndarray:
    """Returns triangles float64 `[K, 3, 2]` that cover where alpha is at least `cutoff`.

    They cover one repeat of the texture, [0, 1] along each axis, and along a clamped axis also what lies beyond.

    Args:
        texture: A texture with alpha.
        cutoff: In (0, 1].
        size: Texels along each side at most; a larger texture is scaled down first.
    """
    import contourpy

    alpha = _scaled(texture.pixels[..., 3], size).astype(np.float64) / 255
    (x, columns), (y, rows) = (_samples(alpha.shape[k], texture.wrap[1 - k]) for k in (1, 0))
    grid = alpha[rows[:, None], columns[None]]
    generator = contourpy.contour_generator(x, y, grid, fill_type=contourpy.FillType.OuterOffset)
    outlines, holes = generator.filled(cutoff - 1e-9, 2.0)[:2]
    tolerance = _TOLERANCE / max(alpha.shape)
    rings = zip(outlines, holes, strict=True)
    found = [_triangulated(np.asarray(points), np.asarray(offsets), tolerance) for points, offsets in rings]
    triangles = np.concatenate(found) if found else np.zeros((0, 3, 2))
    for axis, wrap in enumerate(texture.wrap):
        if wrap != CLAMP:
            for sign, bound in ((1.0, 0.0), (-1.0, -1.0)):
                line = np.zeros((len(triangles), 3))
                line[:, axis], line[:, 2] = sign, -bound
                triangles = fan(*clip(triangles, np.full(len(triangles), 3), line))[0]
    return triangles


def clip(polygons: np.ndarray, counts: np.ndarray, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts each convex polygon by a line (Sutherland and Hodgman, 1974).

    Args:
        polygons: float `[P, M, 2]`, corners in order.
        counts: int `[P]`, how many of the M corners there are.
        lines: float `[P, 3]`; the points with a * x + b * y + c >= 0 are kept.

    Returns:
        `[P, M + 1, 2]` and the numbers of corners.
    """
    size = polygons.shape[1]
    place = np.arange(size)
    present = place < counts[:, None]
    following = np.take_along_axis(polygons, np.where(place + 1 < counts[:, None], place + 1, 0)[..., None], 1)
    here = (polygons * lines[:, None, :2]).sum(-1) + lines[:, None, 2]
    there = (following * lines[:, None, :2]).sum(-1) + lines[:, None, 2]
    inside = here >= 0
    crossing = present & (inside != (there >= 0))
    share = np.divide(here, here - there, out=np.zeros_like(here), where=crossing)
    points = np.stack([polygons, polygons + share[..., None] * (following - polygons)], 2).reshape(-1, 2 * size, 2)
    kept = np.stack([present & inside, crossing], 2).reshape(-1, 2 * size)
    order = np.argsort(~kept, 1, kind="stable")[:, : size + 1]
    return np.take_along_axis(points, order[..., None], 1), kept.sum(1)


def fan(polygons: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the triangles `[T, 3, 2]` of convex polygons, and the polygon of each."""
    size = polygons.shape[1]
    exists = np.arange(2, size) < counts[:, None]
    corners = np.stack([np.zeros(size - 2, int), np.arange(1, size - 1), np.arange(2, size)], 1)
    owner, number = np.nonzero(exists)
    return polygons[owner[:, None], corners[number]], owner


def _scaled(alpha: np.ndarray, size: int) -> np.ndarray:
    if max(alpha.shape) <= size:
        return alpha
    image = Image.fromarray(np.ascontiguousarray(alpha))
    image.thumbnail((size, size), Image.Resampling.BOX)
    return np.array(image)


def _samples(size: int, wrap: str) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates at which alpha is known along an axis, and the texels that give it: one more at each end."""
    texels = np.arange(-1, size + 1)
    middles = (texels + 0.5) / size
    if wrap == CLAMP:
        middles[[0, -1]] = -_FAR, _FAR
    return middles, texels % size if wrap == REPEAT else np.clip(texels, 0, size - 1)


def _triangulated(points: np.ndarray, offsets: np.ndarray, tolerance: float) -> np.ndarray:
    """Triangles of a polygon with holes; `offsets` are where its rings begin and end in `points`."""
    import mapbox_earcut

    rings = [_simplified(points[a : b - 1], tolerance) for a, b in pairwise(offsets.tolist())]
    rings = [ring for number, ring in enumerate(rings) if len(ring) >= 3 or number == 0]
    if len(rings[0]) < 3:
        return np.zeros((0, 3, 2))
    corners = np.concatenate(rings)
    ends = np.cumsum([len(ring) for ring in rings]).astype(np.uint32)
    return corners[mapbox_earcut.triangulate_float64(corners, ends).reshape(-1, 3)]


def _simplified(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """A closed ring with fewer corners, none farther than `tolerance` from it (Douglas and Peucker, 1973)."""
    if len(ring) < 4:
        return ring
    keep = np.zeros(len(ring), bool)
    far = int(np.abs(ring - ring[0]).sum(1).argmax())
    keep[[0, far]] = True
    closed = np.concatenate([ring, ring[:1]])
    waiting = [(0, far), (far, len(ring))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        start, along = closed[first], closed[last] - closed[first]
        between = closed[first + 1 : last] - start
        length = float(np.hypot(*along))
        away = (
            np.hypot(*between.T)
            if length == 0
            else np.abs(between[:, 0] * along[1] - between[:, 1] * along[0]) / length
        )
        worst = int(away.argmax())
        if away[worst] > tolerance:
            keep[first + 1 + worst] = True
            waiting += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return ring[keep]
