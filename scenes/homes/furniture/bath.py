"""Builds bathtub, toilet and wash basin."""

from __future__ import annotations

import itertools

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, fronts
from batchsim.scenes.homes.geometry.curves import lathe, loft, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts


def bathtub(parts: Parts, piece: Piece) -> None:
    """Adds a tub with a rim, its basin rounded, and a tap at one end."""
    w, d, h = piece.width / 2, piece.depth / 2, piece.height
    outside = [(w, d, 0.02, 0.0), (w, d, 0.02, h - 0.02), (w, d, 0.02, h)]
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h, piece.depth), "white", "bathtub", skip="bottom top back")
        _basin_rings(parts, w, d, h)
        return
    lip = [
        (w - 0.005, d - 0.005, 0.02, h + 0.004),
        (w - 0.06, d - 0.06, 0.1, h + 0.004),
        (w - 0.07, d - 0.07, 0.1, h - 0.01),
    ]
    inner = [
        (w - 0.1, d - 0.09, 0.14, h - 0.25),
        (w - 0.16, d - 0.13, 0.16, h - 0.36),
        (w - 0.24, d - 0.2, 0.14, h - 0.39),
    ]
    loft(parts, (0.0, 0.0, d), [*outside, *lip, *inner, (0.0, 0.0, 0.0, h - 0.395)], "ceramic", "bathtub")
    _tap(parts, -w + 0.1, h, d, reach=0.14, along_x=True)


def toilet(parts: Parts, piece: Piece) -> None:
    """Adds a cistern, a bowl on its foot, and the lid."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.38, 0.0), (w, h, 0.18), "white", "toilet", skip="back bottom")
        parts.box((-0.12, 0.0, 0.0), (0.12, 0.38, d - 0.14), "white", "toilet", skip="bottom back top")
        parts.box((-w, 0.38, 0.18), (w, 0.43, d), "white", "toilet", skip="back")
        return
    parts.block((-w + 0.01, 0.4, 0.0), (w - 0.01, h - 0.03, 0.17), "ceramic", "toilet", 0.025)
    parts.block((-w, h - 0.035, 0.0), (w, h, 0.18), "ceramic", "toilet", 0.012)
    lathe(parts, (0.0, h, 0.09), [(0.02, 0.0), (0.02, 0.006), (0.0, 0.008)], "metal", "toilet")
    middle, half = (d + 0.14) / 2, (d - 0.14) / 2
    bowl = [(0.11, 0.2, 0.1, 0.0), (0.1, 0.17, 0.09, 0.06), (0.1, 0.16, 0.09, 0.18), (0.15, half - 0.04, 0.14, 0.32)]
    loft(parts, (0.0, 0.0, middle - 0.04), bowl, "ceramic", "toilet")
    rim = [
        (0.15, half - 0.04, 0.14, 0.32),
        (w - 0.005, half - 0.005, 0.17, 0.37),
        (w - 0.005, half - 0.005, 0.17, 0.395),
    ]
    lid = [(w, half, 0.18, 0.397), (w, half, 0.18, 0.415), (w - 0.01, half - 0.01, 0.17, 0.425), (0.0, 0.0, 0.0, 0.432)]
    loft(parts, (0.0, 0.0, middle), [*rim, *lid], "ceramic", "toilet")


def basin(parts: Parts, piece: Piece) -> None:
    """Adds a wash basin on a cabinet, a tap, and a mirror above."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h - 0.12, d - 0.04), "wood", "cabinet", skip="bottom back top")
        parts.box((-w, h - 0.12, 0.0), (w, h, d), "white", "sink", skip="back bottom")
        parts.box((-w + 0.05, 1.15, -0.01), (w - 0.05, 1.85, 0.01), "mirror", "decoration", skip="back")
        return
    face = d - 0.05
    parts.box((-w + 0.04, 0.0, 0.0), (w - 0.04, 0.08, face - 0.04), "dark", "cabinet", skip="bottom top back")
    parts.block((-w + 0.02, 0.08, 0.0), (w - 0.02, h - 0.1, face), "white_wood", "cabinet", 0.004, skip="back")
    fronts(parts, (-w + 0.02, 0.08), (w - 0.02, h - 0.11), face, 2, 1, "white_wood", "cabinet", upright=True)
    half = d / 2
    outside = [(w - 0.02, half - 0.02, 0.02, h - 0.1), (w, half, 0.03, h - 0.02), (w, half, 0.03, h)]
    inside = [
        (w - 0.05, half - 0.09, 0.08, h + 0.002),
        (w - 0.08, half - 0.11, 0.09, h - 0.07),
        (0.03, 0.03, 0.03, h - 0.1),
    ]
    loft(parts, (0.0, 0.0, half), [*outside, *inside, (0.0, 0.0, 0.0, h - 0.1)], "ceramic", "sink")
    _tap(parts, 0.0, h, 0.05, reach=0.13, along_x=False)
    parts.block((-w + 0.03, 1.13, -0.015), (w - 0.03, 1.87, 0.008), "metal", "decoration", 0.005, skip="back")
    pane = "back left right top bottom"
    parts.box((-w + 0.045, 1.145, 0.0), (w - 0.045, 1.855, 0.0095), "mirror", "decoration", skip=pane)


def _tap(parts: Parts, x: float, y: float, z: float, reach: float, along_x: bool) -> None:
    bend = np.linspace(np.pi, np.pi / 4, (2, 6, 16)[parts.detail])
    out, up = reach / 2 * (1 + np.cos(bend)), 0.1 + reach / 2 * np.sin(bend)
    path = np.stack([x + out * along_x, y + up, z + out * (not along_x)], -1)
    tube(parts, np.concatenate([[(x, y, z)], path]), 0.012, "metal", "sink")
    lathe(parts, (x, y, z), [(0.026, 0.0), (0.026, 0.015), (0.014, 0.03)], "metal", "sink")


def _basin_rings(parts: Parts, w: float, d: float, h: float) -> None:
    """Adds the rim and the inside of a tub at low detail."""
    rim, deep = 0.07, 0.38
    outer, inner = np.array([(w, d), (w, -d), (-w, -d), (-w, d)]), np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    inner = inner * (w - rim, d - rim)
    rings = [np.insert(outer, 1, h, 1), np.insert(inner, 1, h, 1), np.insert(inner, 1, h - deep, 1)]
    rings = [ring + np.array((0.0, 0.0, d)) for ring in rings]
    floor = rings[2][[[0, 1, 2], [0, 2, 3]]]
    quads = [np.stack([a[k], b[k], b[k - 1], a[k - 1]]) for a, b in itertools.pairwise(rings) for k in range(4)]
    sides = np.concatenate([quad[[[0, 1, 2], [0, 2, 3]]] for quad in quads])
    triangles = np.concatenate([sides, floor])
    parts.add(triangles, triangles[..., [0, 2]], "white", "bathtub")


BUILDERS: dict[str, Builder] = {"bathtub": bathtub, "toilet": toilet, "basin": basin}
