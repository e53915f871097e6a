"""Builds kitchens: base units, sink, stove, fridge, hanging cabinets."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, bowl, cup, fronts, look, vase
from batchsim.scenes.homes.geometry.curves import lathe, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

TOP = 0.04  # thickness of the worktop, metres
JOINT = 0.001  # half the gap between two units, metres
FACE = 0.045  # how far the fronts' back lies behind the worktop's edge, metres


def counter(parts: Parts, piece: Piece) -> None:
    """Adds a base unit of drawers or with a door, under a worktop with crockery on it."""
    drawers = 3 if piece.seed % 2 else 1
    _unit(parts, piece, 1, drawers, "stone")
    h, rng = piece.height, look(piece)
    things = (lambda: vase(parts, 0.1, h, 0.2, 0.25, "metal"), lambda: bowl(parts, 0.0, h, 0.28, 0.14))
    things[int(rng.integers(2))]()
    if rng.random() < 0.6:
        cup(parts, -0.2, h, 0.25)
        cup(parts, -0.15, h, 0.36)
    if parts.detail != LOW:
        _board_and_jars(parts, h)


def sink_unit(parts: Parts, piece: Piece) -> None:
    """Adds a base unit with a steel sink let into its worktop, and a tap."""
    h = piece.height
    if parts.detail == LOW:
        _unit(parts, piece, 1, 1, "stone")
        parts.box((-0.22, h, 0.12), (0.22, h + 0.01, 0.5), "metal", "sink", skip="bottom")
        parts.box((-0.015, h, 0.05), (0.015, h + 0.28, 0.08), "metal", "sink", skip="bottom")
        return
    _unit(parts, piece, 2, 1, None)
    w, d = piece.width / 2 - JOINT, piece.depth
    x, near, far, deep = 0.22, 0.13, 0.5, 0.16
    for lo, hi in (
        ((-w, 0.0), (w, near)),
        ((-w, far), (w, d)),
        ((-w, near), (-x, far)),
        ((x, near), (w, far)),
    ):
        skip = "back left right" if hi[0] - lo[0] > 0.5 else "back front left right"
        parts.box((lo[0], h - TOP, lo[1]), (hi[0], h, hi[1]), "stone", "counter", skip=skip)
    inner = Parts(parts.detail)
    inner.block((-x, h - deep, near), (x, h + 0.004, far), "metal", "sink", 0.03, skip="top")
    parts.add(inner.triangles[0][:, ::-1], inner.uvs[0][:, ::-1], "metal", "sink")
    bend = np.linspace(0.0, np.pi, (3, 8, 20)[parts.detail])
    arc = np.stack([0 * bend, h + 0.24 + 0.08 * np.sin(bend), 0.15 - 0.08 * np.cos(bend)], -1)
    tube(parts, np.concatenate([[(0.0, h, 0.07)], arc, [(0.0, h + 0.18, 0.23)]]), 0.012, "metal", "sink")
    lathe(parts, (0.0, h, 0.07), [(0.03, 0.0), (0.03, 0.02), (0.014, 0.03)], "metal", "sink")
    tube(parts, [(0.01, h + 0.06, 0.07), (0.09, h + 0.09, 0.07)], 0.006, "metal", "sink")


def stove(parts: Parts, piece: Piece) -> None:
    """Adds an oven under a hob with four plates, a pot on one of them."""
    w, d, h = piece.width / 2 - JOINT, piece.depth, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h - TOP, d - 0.03), "dark", "stove", skip="bottom back top left right")
        parts.box((-w, h - TOP, 0.0), (w, h, d), "dark", "stove", skip="back bottom")
        return
    face = d - FACE
    parts.box((-w, 0.0, 0.0), (w, 0.1, face - 0.04), "dark", "stove", skip="bottom back top")
    parts.block((-w, 0.1, 0.0), (w, h - TOP, face), "metal", "stove", 0.004, skip="back top")
    parts.block((-w + 0.01, 0.16, face), (w - 0.01, 0.66, face + 0.02), "metal", "stove", 0.006, skip="back")
    parts.block((-w + 0.06, 0.24, face + 0.019), (w - 0.06, 0.56, face + 0.024), "dark", "stove", 0.004, skip="back")
    tube(parts, [(-0.2, 0.62, face + 0.03), (0.2, 0.62, face + 0.03)], 0.009, "metal", "stove")
    for x in np.linspace(-0.22, 0.22, 5):
        _knob(parts, x, 0.76, face)
    parts.block((-w, h - TOP, 0.0), (w, h, d), "dark", "stove", 0.006, skip="back")
    for k, (x, z) in enumerate(((-0.14, 0.17), (0.14, 0.17), (-0.14, 0.43), (0.14, 0.43))):
        r = 0.1 if k in (0, 3) else 0.08
        lathe(parts, (x, h, z), [(r, 0.0), (r, 0.006), (0.8 * r, 0.009), (0.0, 0.009)], "metal", "stove")
    if piece.seed % 2:
        _pot(parts, -0.14, h + 0.009, 0.17)


def fridge(parts: Parts, piece: Piece) -> None:
    """Adds a tall fridge with a freezer door below."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = "white" if piece.seed % 3 else "metal"
    if parts.detail == LOW:
        parts.cupboard((-w, 0.0, 0.0), (w, h, d), surface, "fridge")
        return
    face = d - 0.085
    parts.block((-w, 0.06, 0.0), (w, h, face), surface, "fridge", 0.008, skip="back")
    parts.box((-w + 0.02, 0.0, 0.02), (w - 0.02, 0.06, face - 0.02), "dark", "fridge", skip="bottom top back")
    split = 0.36 * h
    for low, high in ((0.07, split - 0.004), (split + 0.004, h)):
        parts.block((-w, low, face + 0.004), (w, high, face + 0.055), surface, "fridge", 0.015)
        y = high - 0.3 if low < 0.1 else low + 0.1
        path = [(-w + 0.06, y, face + 0.05), (-w + 0.06, y, face + 0.075), (-w + 0.06, y + 0.24, face + 0.075)]
        tube(parts, np.array([*path, (-w + 0.06, y + 0.24, face + 0.05)]), 0.008, "metal", "fridge")


def hanging_cabinet(parts: Parts, piece: Piece) -> None:
    """Adds a row of wall cabinets."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h, d), "kitchen_front", "cabinet", skip="back")
        return
    face = d - 0.028
    parts.block((-w, 0.0, 0.0), (w, h, face), "white_wood", "cabinet", 0.005, skip="back")
    doors = max(1, round(piece.width / 0.45))
    fronts(parts, (-w, 0.0), (w, h), face, doors, 1, "kitchen_front", "cabinet", upright=True)


def _unit(parts: Parts, piece: Piece, columns: int, rows: int, top: str | None) -> None:
    """Adds the plinth, carcass, fronts and worktop of a base unit; no worktop if `top` is None."""
    w, d, h = piece.width / 2 - JOINT, piece.depth, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h - TOP, d - 0.03), "kitchen_front", "counter", skip="bottom back top")
        if top:
            parts.box((-w, h - TOP, 0.0), (w, h, d), top, "counter", skip="back bottom")
        return
    face = d - FACE
    parts.box((-w, 0.0, 0.0), (w, 0.1, face - 0.04), "dark", "counter", skip="bottom back top")
    parts.box((-w, 0.1, 0.0), (w, h - TOP, face), "white_wood", "counter", skip="back top")
    fronts(parts, (-w, 0.1), (w, h - TOP - 0.008), face, columns, rows, "kitchen_front", "counter", upright=rows == 1)
    if top:
        parts.block((-w, h - TOP, 0.0), (w, h, d), top, "counter", 0.006, skip="back left right")


def _knob(parts: Parts, x: float, y: float, z: float) -> None:
    flat = Parts(parts.detail)
    lathe(flat, (0.0, 0.0, 0.0), [(0.022, 0.0), (0.018, 0.022), (0.0, 0.022)], "dark", "stove")
    parts.take_turned(flat, (x, y, z), np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]))


def _pot(parts: Parts, x: float, y: float, z: float) -> None:
    wall = [(0.0, 0.0), (0.1, 0.0), (0.105, 0.01), (0.105, 0.12), (0.11, 0.125), (0.05, 0.14), (0.012, 0.145)]
    lathe(parts, (x, y, z), [*wall, (0.015, 0.165), (0.0, 0.17)], "metal", "decoration")
    for side in (-1, 1):
        path = [(x + side * 0.1, y + 0.1, z - 0.03), (x + side * 0.135, y + 0.1, z - 0.02)]
        tube(
            parts,
            [*path, (x + side * 0.135, y + 0.1, z + 0.02), (x + side * 0.1, y + 0.1, z + 0.03)],
            0.006,
            "metal",
            "decoration",
        )


def _board_and_jars(parts: Parts, y: float) -> None:
    """Adds a chopping board that stands against the wall, and three jars."""
    parts.block((-0.28, y, 0.015), (-0.02, y + 0.34, 0.035), "wood", "decoration", 0.008, skip="bottom")
    for k, size in enumerate((0.1, 0.085, 0.07)):
        wall = [(0.0, 0.0), (0.45, 0.0), (0.5, 0.1), (0.5, 0.9), (0.45, 1.0), (0.48, 1.0), (0.48, 1.25), (0.0, 1.28)]
        jar = [(r * size, h * 1.4 * size) for r, h in wall]
        lathe(parts, (0.06 + 0.1 * k, y, 0.08), jar, "ceramic" if k % 2 else "pot", "decoration")


BUILDERS: dict[str, Builder] = {
    "counter": counter,
    "sink_unit": sink_unit,
    "stove": stove,
    "fridge": fridge,
    "hanging_cabinet": hanging_cabinet,
}
