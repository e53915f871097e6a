"""Builds chairs, armchairs and sofas."""

from __future__ import annotations

import itertools

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, cloth, leg, look, wood
from batchsim.scenes.homes.geometry.curves import lathe, pillow
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

SEAT = 0.45  # height of a chair's seat, metres


def chair(parts: Parts, piece: Piece) -> None:
    """Adds a seat on four legs with a back of slats, of rails, or upholstered."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    if parts.detail == LOW:
        parts.box((-w, SEAT - 0.04, 0.04), (w, SEAT, d), surface, "chair", skip="bottom back")
        parts.box((-w, 0.0, 0.0), (w, h, 0.04), surface, "chair", skip="bottom")
        for x in (-w + 0.03, w - 0.03):
            leg(parts, x, d - 0.03, SEAT - 0.04, 0.04, surface, "chair")
        return
    style = piece.seed // 3 % 3
    parts.block((-w, SEAT - 0.035, 0.0), (w, SEAT, d), surface, "chair", 0.014)
    if style == 2:
        parts.block((-w + 0.015, SEAT - 0.005, 0.04), (w - 0.015, SEAT + 0.045, d - 0.01), cloth(piece), "chair", 0.024)
    for x in (-w + 0.03, w - 0.03):
        leg(parts, x, d - 0.035, SEAT - 0.03, 0.042, surface, "chair", turned=style == 1)
        parts.block((x - 0.021, 0.0, 0.0), (x + 0.021, h - 0.02, 0.04), surface, "chair", 0.008, skip="bottom")
        parts.block((x - 0.01, 0.2, 0.04), (x + 0.01, 0.23, d - 0.05), surface, "chair", 0.004, skip="back front")
    parts.block((-w + 0.03, h - 0.09, 0.005), (w - 0.03, h, 0.033), surface, "chair", 0.01)
    if style == 0:
        for x in np.linspace(-w + 0.1, w - 0.1, 4):
            parts.block((x - 0.014, SEAT, 0.01), (x + 0.014, h - 0.08, 0.026), surface, "chair", 0.005, "top bottom")
    elif style == 1:
        for y in (SEAT + 0.09, SEAT + 0.22):
            parts.block((-w + 0.04, y, 0.008), (w - 0.04, y + 0.06, 0.028), surface, "chair", 0.008, "left right")
    else:
        parts.block((-w + 0.05, SEAT + 0.1, 0.0), (w - 0.05, h - 0.1, 0.05), cloth(piece), "chair", 0.02)


def sofa(parts: Parts, piece: Piece) -> None:
    """Adds a seat between two arms with a back; cushions on both, pillows in the corners."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = cloth(piece)
    arm = 0.17 if piece.width > 1.2 else 0.13
    if parts.detail == LOW:
        parts.box((-w + arm, 0.0, 0.22), (w - arm, 0.43, d), surface, "sofa", skip="bottom left right back")
        parts.box((-w, 0.0, 0.0), (w, h, 0.22), surface, "sofa", skip="bottom back")
        for x in (-w, w - arm):
            parts.box((x, 0.0, 0.22), (x + arm, 0.62, d), surface, "sofa", skip="bottom back")
        return
    for x in (-w + 0.08, w - 0.08):
        for z in (0.08, d - 0.08):
            lathe(parts, (x, 0.0, z), [(0.018, 0.0), (0.028, 0.08)], "dark_wood", "sofa")
    parts.block((-w + arm - 0.02, 0.07, 0.1), (w - arm + 0.02, 0.28, d - 0.03), surface, "sofa", 0.03)
    parts.block((-w + 0.02, 0.07, 0.0), (w - 0.02, h - 0.05, 0.18), surface, "sofa", 0.05)
    for x in (-w, w - arm):
        parts.block((x, 0.07, 0.02), (x + arm, 0.62, d), surface, "sofa", 0.06)
    seats = max(1, round((piece.width - 2 * arm) / 0.68))
    edges = np.linspace(-w + arm, w - arm, seats + 1)
    for a, b in itertools.pairwise(edges):
        parts.block((a + 0.004, 0.27, 0.2), (b - 0.004, 0.44, d - 0.005), surface, "sofa", 0.045)
        _lean(parts, ((a + b) / 2, 0.43, 0.19), b - a - 0.02, h - 0.4, 0.15, surface, 8.0)
    rng = look(piece)
    if piece.width > 1.2:
        for side in (-1, 1):
            if rng.random() < 0.8:
                _throw_pillow(parts, side * (w - arm - 0.24), 0.44, 0.36, side * rng.uniform(5, 25))


def _lean(
    parts: Parts,
    foot: tuple[float, float, float],
    width: float,
    height: float,
    thick: float,
    surface: str,
    angle: float,
) -> None:
    """Adds an upright cushion that leans back by `angle` degrees."""
    cushion = Parts(parts.detail)
    cushion.block((-width / 2, 0.0, 0.0), (width / 2, height, thick), surface, "sofa", 0.055)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    parts.take_turned(cushion, foot, np.array([[1, 0, 0], [0, c, s], [0, -s, c]]))


def _throw_pillow(parts: Parts, x: float, y: float, z: float, yaw: float) -> None:
    flat = Parts(parts.detail)
    pillow(flat, (-0.2, -0.065, -0.2), (0.2, 0.065, 0.2), "pattern", "sofa")
    c, s = np.cos(np.radians(62)), np.sin(np.radians(62))
    upright = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(np.radians(-yaw)), np.sin(np.radians(-yaw))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    parts.take_turned(flat, (x, y + 0.19, z + 0.06), turn @ upright)


BUILDERS: dict[str, Builder] = {"chair": chair, "sofa": sofa, "armchair": sofa}
