"""Bathtub, toilet and wash basin."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def bathtub(parts: Parts, piece: Piece) -> None:
    """A tub: outer walls, a rim, and the basin sunk into it."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    rim, deep = 0.07, 0.38
    parts.box((-w, 0.0, 0.0), (w, h, d), "white", "bathtub", skip="bottom top back")
    for lo, hi in _ring(w, d, rim):
        parts.box((lo[0], h - 0.01, lo[1]), (hi[0], h, hi[1]), "white", "bathtub", skip="bottom left right back front")
    _inside(parts, (-w + rim, h - deep, rim), (w - rim, h, d - rim))


def toilet(parts: Parts, piece: Piece) -> None:
    """A cistern, a bowl and its lid."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.38, 0.0), (w, h, 0.18), "white", "toilet", skip="back")
    parts.box((-0.12, 0.0, 0.0), (0.12, 0.38, d - 0.14), "white", "toilet", skip="bottom back top")
    parts.box((-w, 0.38, 0.18), (w, 0.43, d), "white", "toilet", skip="back")


def basin(parts: Parts, piece: Piece) -> None:
    """A wash basin on a cabinet, a tap, and a mirror above."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w + 0.03, 0.0, 0.0), (w - 0.03, h - 0.12, d - 0.04), "wood", "cabinet", skip="bottom back top")
    parts.box((-w, h - 0.12, 0.0), (w, h, d), "white", "sink", skip="back")
    parts.box((-0.015, h, 0.06), (0.015, h + 0.14, 0.18), "metal", "sink", skip="bottom")
    parts.box((-w + 0.05, 1.15, -0.01), (w - 0.05, 1.85, 0.01), "glass", "decoration", skip="back")


def _ring(w: float, d: float, rim: float) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Four strips around the edge of a rectangle: (x, z) corners."""
    return [
        ((-w, 0.0), (w, rim)),
        ((-w, d - rim), (w, d)),
        ((-w, rim), (-w + rim, d - rim)),
        ((w - rim, rim), (w, d - rim)),
    ]


def _inside(parts: Parts, lo: tuple[float, float, float], hi: tuple[float, float, float]) -> None:
    """The inner faces of an open basin."""
    inner = Parts(parts.detail)
    inner.box(lo, hi, "white", "bathtub", skip="top")
    for triangles, uvs in zip(inner.triangles, inner.uvs, strict=True):
        parts.add(triangles[:, ::-1], uvs[:, ::-1], "white", "bathtub")


BUILDERS: dict[str, Builder] = {"bathtub": bathtub, "toilet": toilet, "basin": basin}
