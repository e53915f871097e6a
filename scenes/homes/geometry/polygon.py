"""Triangulates small flat polygons with holes: walls with doorways and windows, floors with stair openings."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
Ring = list[Point]


def triangulate(outer: Sequence[Point], holes: Sequence[Sequence[Point]] = ()) -> list[tuple[Point, Point, Point]]:
    """Triangulates a simple polygon by ear clipping, without adding vertices or leaving T-junctions.

    Takes quadratic to cubic time: meant for tens of vertices.

    Args:
        outer: The outline, counter-clockwise.
        holes: Counter-clockwise outlines strictly inside `outer`.

    Returns:
        Counter-clockwise triangles.

    Raises:
        ValueError: If the polygon crosses itself or its holes overlap.
    """
    ring = list(outer)
    waiting = [list(reversed(hole)) for hole in holes]
    while waiting:
        hole = min(waiting, key=lambda h: min(_squared(p, q) for p in ring for q in h))
        waiting.remove(hole)
        ring = _join(ring, hole, waiting)
    return _clip_ears(ring)


def _squared(p: Point, q: Point) -> float:
    return (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2


def _area(a: Point, b: Point, c: Point) -> float:
    """Returns twice the signed area of a triangle, positive if counter-clockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _join(ring: Ring, hole: Ring, others: list[Ring]) -> Ring:
    """Joins a hole to the ring by a bridge between the nearest pair of vertices that see each other."""
    edges = [(r[k - 1], r[k]) for r in (ring, hole, *others) for k in range(len(r))]
    pairs = sorted((_squared(p, q), i, j) for i, p in enumerate(ring) for j, q in enumerate(hole))
    for _, i, j in pairs:
        if not any(_cross(ring[i], hole[j], *edge) for edge in edges):
            return ring[: i + 1] + hole[j:] + hole[: j + 1] + ring[i:]
    raise ValueError("a hole of the polygon cannot be reached from its outline; the holes overlap or lie outside")


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Returns whether the open segments ab and cd cross in one point."""
    return _area(a, b, c) * _area(a, b, d) < 0 and _area(c, d, a) * _area(c, d, b) < 0


def _clip_ears(ring: Ring) -> list[tuple[Point, Point, Point]]:
    triangles = []
    while len(ring) > 3:
        tip = _best_ear(ring)
        triangles.append((ring[tip - 1], ring[tip], ring[(tip + 1) % len(ring)]))
        del ring[tip]
    triangles.append((ring[0], ring[1], ring[2]))
    return triangles


def _best_ear(ring: Ring) -> int:
    """Returns the ear with the shortest base, which leaves few long slivers."""
    best, shortest = -1, float("inf")
    for k, tip in enumerate(ring):
        before, after = ring[k - 1], ring[(k + 1) % len(ring)]
        reach = _squared(before, after)
        if reach < shortest and _area(before, tip, after) > 1e-9 and _is_empty(ring, before, tip, after):
            best, shortest = k, reach
    if best < 0:
        raise ValueError("the polygon has no ear; it crosses itself")
    return best


def _is_empty(ring: Ring, a: Point, b: Point, c: Point) -> bool:
    corners = (a, b, c)
    return not any(
        p not in corners and _area(a, b, p) >= -1e-9 and _area(b, c, p) >= -1e-9 and _area(c, a, p) >= -1e-9
        for p in ring
    )
