"""Shared by the furniture builders: looks chosen by a piece's seed, legs, cabinet fronts, handles, small objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.geometry.curves import lathe, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

Builder = Callable[[Parts, Piece], None]

FRONT = 0.022  # thickness of a cabinet's doors and drawers with their handles, metres
TURNED = ((0.3, 0.0), (0.42, 0.06), (0.36, 0.1), (0.5, 0.5), (0.4, 0.62), (0.55, 0.66), (0.42, 0.7), (0.62, 0.76))


def pick(piece: Piece, *options: str, salt: int = 0) -> str:
    """Returns one of the options, chosen by the piece's seed; different salts choose independently."""
    return options[(piece.seed // (7**salt + 1)) % len(options)]


def wood(piece: Piece) -> str:
    """Returns the surface of a wooden piece."""
    return pick(piece, "wood", "wood", "dark_wood", "white_wood")


def cloth(piece: Piece) -> str:
    """Returns the surface of an upholstered piece."""
    return pick(piece, "fabric", "fabric", "accent", "leather", salt=1)


def look(piece: Piece) -> np.random.Generator:
    """Returns the random generator for a piece's looks; its place and size do not depend on it."""
    return np.random.default_rng(piece.seed)


def leg(
    parts: Parts, x: float, z: float, top: float, thick: float, surface: str, label: str, turned: bool = False
) -> None:
    """Adds one leg from the floor to `top`: three-sided at low detail, else square or round (`turned`)."""
    if parts.detail == LOW:
        lathe(parts, (x, 0.0, z), [(0.55 * thick, 0.0), (0.55 * thick, top)], surface, label, sides=3)
    elif turned:
        profile = [(thick * r, top * y) for r, y in TURNED]
        lathe(parts, (x, 0.0, z), profile, surface, label, smooth=True)
        low, high = (x - thick / 2, top * 0.76, z - thick / 2), (x + thick / 2, top, z + thick / 2)
        parts.block(low, high, surface, label, 0.004, skip="top")
    else:
        low, high = (x - thick / 2, 0.0, z - thick / 2), (x + thick / 2, top, z + thick / 2)
        parts.block(low, high, surface, label, 0.006, skip="bottom top")


def legs(
    parts: Parts, width: float, near: float, far: float, top: float, thick: float, surface: str, label: str,
    turned: bool = False,
) -> None:  # fmt: skip
    """Adds four legs with centres at x = +-width and z = near, far."""
    for x in (-width, width):
        for z in (near, far):
            leg(parts, x, z, top, thick, surface, label, turned)


def fronts(
    parts: Parts, lo: tuple[float, float], hi: tuple[float, float], z: float, columns: int, rows: int,
    surface: str, label: str, upright: bool = False,
) -> None:  # fmt: skip
    """Adds doors or drawers that cover a cabinet's face from `lo` to `hi` (x, y) and protrude from depth z by FRONT.

    Doors have `upright` handles, drawers level ones. Adds nothing at low detail.
    """
    if parts.detail == LOW:
        return
    xs, ys = np.linspace(lo[0], hi[0], columns + 1), np.linspace(lo[1], hi[1], rows + 1)
    for i in range(columns):
        for j in range(rows):
            x0, x1, y0, y1 = xs[i] + 0.002, xs[i + 1] - 0.002, ys[j] + 0.002, ys[j + 1] - 0.002
            parts.block((x0, y0, z), (x1, y1, z + 0.014), surface, label, 0.004, skip="back")
            if upright:
                x = x1 - 0.04 if i % 2 == 0 and columns > 1 else x0 + 0.04
                middle = np.clip(1.0, y0 + 0.1, y1 - 0.1)
                _handle(parts, [(x, middle - 0.07), (x, middle + 0.07)], z + 0.012, label)
            else:
                x, y = (x0 + x1) / 2, (y0 + y1) / 2 if y1 - y0 < 0.4 else y1 - 0.06
                _handle(parts, [(x - 0.06, y), (x + 0.06, y)], z + 0.012, label)


def _handle(parts: Parts, ends: list[tuple[float, float]], z: float, label: str) -> None:
    (xa, ya), (xb, yb) = ends
    path = [(xa, ya, z), (xa, ya, z + 0.007), (xb, yb, z + 0.007), (xb, yb, z)]
    tube(parts, np.array(path), 0.004, "metal", label)


def table_lamp(parts: Parts, x: float, y: float, z: float) -> None:
    """Adds a small lamp: a round foot and a shade."""
    if parts.detail == LOW:
        lathe(parts, (x, y, z), [(0.04, 0.0), (0.1, 0.34), (0.0, 0.34)], "shade", "lamp", sides=4)
        return
    foot = [(0.06, 0.0), (0.065, 0.02), (0.03, 0.04), (0.055, 0.1), (0.03, 0.16), (0.012, 0.19), (0.012, 0.24)]
    lathe(parts, (x, y, z), foot, "pot", "lamp", smooth=True)
    lathe(parts, (x, y, z), [(0.12, 0.17), (0.08, 0.36)], "shade", "lamp")


def vase(parts: Parts, x: float, y: float, z: float, size: float, surface: str = "pot") -> None:
    """Adds a vase; nothing at low detail."""
    if parts.detail == LOW:
        return
    outside = [
        (0.0, 0.0),
        (0.16, 0.0),
        (0.3, 0.25),
        (0.32, 0.5),
        (0.16, 0.8),
        (0.14, 0.9),
        (0.2, 1.0),
        (0.12, 0.9),
        (0.1, 0.8),
    ]
    lathe(parts, (x, y, z), [(r * size, h * size) for r, h in outside], surface, "decoration", smooth=True)


def bowl(parts: Parts, x: float, y: float, z: float, radius: float, surface: str = "ceramic") -> None:
    """Adds a bowl; nothing at low detail."""
    if parts.detail == LOW:
        return
    outside = [(0.4, 0.0), (0.75, 0.15), (1.0, 0.5), (0.95, 0.5), (0.7, 0.2), (0.35, 0.08), (0.0, 0.08)]
    lathe(parts, (x, y, z), [(r * radius, h * radius) for r, h in outside], surface, "decoration", smooth=True)


def cup(parts: Parts, x: float, y: float, z: float) -> None:
    """Adds a mug with a handle; nothing at low detail."""
    if parts.detail == LOW:
        return
    wall = [(0.034, 0.0), (0.038, 0.01), (0.04, 0.09), (0.036, 0.09), (0.034, 0.012), (0.0, 0.012)]
    lathe(parts, (x, y, z), wall, "ceramic", "decoration", sides=(0, 8, 24)[parts.detail])
    bend = np.linspace(-np.pi / 2, np.pi / 2, (2, 5, 12)[parts.detail])
    path = np.stack([x + 0.036 + 0.026 * np.cos(bend), y + 0.05 + 0.028 * np.sin(bend), z + 0 * bend], -1)
    tube(parts, path, 0.005, "ceramic", "decoration", sides=(0, 4, 10)[parts.detail])


def books_in_row(
    parts: Parts, rng: np.random.Generator, start: float, end: float, y: float, tallest: float, z0: float, z1: float
) -> None:
    """Adds upright books of four colours, side by side from x = start to about `end`."""
    width = rng.uniform(0.018, 0.05, max(2, int((end - start) / 0.03)))
    x = start + np.concatenate([[0.0], np.cumsum(width)])
    count = int(np.searchsorted(x, end) - 1)
    lo = np.stack([x[:count], np.full(count, y), np.full(count, z0)], -1)
    deep = rng.uniform(0.7, 1.0, count) * (z1 - z0)
    hi = np.stack([x[1 : count + 1] - 0.001, y + tallest * rng.uniform(0.65, 1.0, count), z0 + deep], -1)
    colour = rng.integers(4, size=count)
    for k in range(4):
        mine = colour == k
        if not mine.any():
            continue
        if parts.detail < 2:
            parts.boxes(lo[mine], hi[mine], f"book_{k}", "book", skip="bottom back")
        else:
            for a, b in zip(lo[mine], hi[mine], strict=True):
                parts.block(a, b, f"book_{k}", "book", 0.006, skip="bottom back")
