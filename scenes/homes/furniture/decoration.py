"""Builds plants, lamps, rugs, pictures and screens."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, look
from batchsim.scenes.homes.geometry.curves import lathe, leaf, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts


def plant(parts: Parts, piece: Piece) -> None:
    """Adds a pot with soil, stems and leaves; a single closed shape for the leaves at low detail."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    pot, rng, z = 0.62 * w, look(piece), d / 2
    if parts.detail == LOW:
        lathe(parts, (0.0, 0.0, z), [(0.8 * pot, 0.0), (pot, 0.3), (0.0, 0.3)], "pot", "plant", sides=4)
        crown = [(0.1 * w, 0.3), (w, 0.3 + 0.45 * (h - 0.3)), (0.0, h)]
        lathe(parts, (0.0, 0.0, z), crown, "leaf", "plant", sides=5)
        return
    wall = [(0.75 * pot, 0.0), (0.8 * pot, 0.02), (pot, 0.27), (1.05 * pot, 0.27), (1.05 * pot, 0.3), (0.94 * pot, 0.3)]
    lathe(parts, (0.0, 0.0, z), [*wall, (0.9 * pot, 0.26)], "pot", "plant")
    lathe(parts, (0.0, 0.0, z), [(0.93 * pot, 0.26), (0.0, 0.27)], "dark", "plant")
    (_bush, _blades, _palm)[piece.seed // 5 % 3](parts, rng, w, z, h)


def _bush(parts: Parts, rng: np.random.Generator, reach: float, z: float, h: float) -> None:
    """Adds a stem with broad leaves all around, the lower ones larger."""
    tube(parts, [(0.0, 0.25, z), (0.02, 0.3 + 0.3 * h, z + 0.01), (-0.01, h - 0.12, z)], 0.012, "dark_wood", "plant")
    count = 34
    for k in range(count):
        turn, up = 2.4 * k + rng.uniform(0, 0.5), k / count
        root = np.array([0.0, 0.36 + (h - 0.5) * up, z])
        length = reach * (0.98 - 0.45 * up) * rng.uniform(0.85, 1.0)
        tip = root + np.array((length * np.sin(turn), 0.12 + 0.06 * up, length * np.cos(turn)))
        leaf(parts, root, tip, 0.11, 0.1 * rng.uniform(0.5, 1.4), "leaf", "plant")


def _blades(parts: Parts, rng: np.random.Generator, reach: float, z: float, h: float) -> None:
    """Adds stiff upright leaves."""
    for k in range(26):
        turn, lean = 2.4 * k, rng.uniform(0.1, 0.5) * reach
        root = np.array([0.25 * reach * np.sin(turn), 0.26, z + 0.25 * reach * np.cos(turn)])
        tip = root + np.array((lean * np.sin(turn), (h - 0.26) * rng.uniform(0.6, 1.0), lean * np.cos(turn)))
        leaf(parts, root, tip, 0.07, -0.02, "leaf", "plant")


def _palm(parts: Parts, rng: np.random.Generator, reach: float, z: float, h: float) -> None:
    """Adds arching stems with leaflets on both sides."""
    for k in range(9):
        turn, out = 2 * np.pi * k / 9 + rng.uniform(-0.2, 0.2), reach * rng.uniform(0.75, 0.95)
        t = np.linspace(0, 1, (2, 7, 12)[parts.detail])[:, None]
        side = np.array([np.sin(turn), 0.0, np.cos(turn)])
        stem = (
            np.array([0.0, 0.27, z]) + side * out * t**1.6 + np.array([0.0, 1.0, 0.0]) * (h - 0.33) * np.sin(1.75 * t)
        )
        tube(parts, stem, 0.006, "leaf", "plant", sides=4)
        across = np.cross(side, (0.0, 1.0, 0.0))
        for s in np.linspace(0.35, 0.98, 7):
            root = np.array([np.interp(s, t[:, 0], stem[:, a]) for a in range(3)])
            room = 0.9 * reach - np.hypot(root[0], root[2] - z)
            for way in (-1, 1):
                tip = root + way * across * min(0.16, max(0.05, room)) + side * min(0.06, max(0.0, room))
                leaf(parts, root, tip, 0.035, 0.05, "leaf", "plant")


def lamp(parts: Parts, piece: Piece) -> None:
    """Adds a standing lamp: foot, pole and shade."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    centre = (0.0, 0.0, d / 2)
    if parts.detail == LOW:
        lathe(parts, centre, [(0.14, 0.0), (0.02, 0.04), (0.015, h - 0.28)], "metal", "lamp", sides=3)
        lathe(parts, centre, [(w, h - 0.28), (0.75 * w, h), (0.0, h)], "shade", "lamp", sides=4)
        return
    foot = [(0.14, 0.0), (0.14, 0.018), (0.1, 0.028), (0.02, 0.035), (0.012, 0.06), (0.012, h - 0.22), (0.0, h - 0.2)]
    lathe(parts, centre, foot, "metal", "lamp")
    lathe(parts, centre, [(w, h - 0.3), (0.7 * w, h)], "shade", "lamp")
    lathe(parts, centre, [(0.03, h - 0.22), (0.045, h - 0.16), (0.03, h - 0.11), (0.0, h - 0.1)], "white", "lamp")


def rug(parts: Parts, piece: Piece) -> None:
    """Adds a rug, one centimetre thick, with a pattern that covers it once."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    if parts.detail != LOW:
        parts.block((-w, 0.0, 0.0), (w, h - 0.001, d), "rug_edge", "rug", 0.004, skip="bottom top")
    corners = np.array([(-w, h, 0.0), (-w, h, d), (w, h, d), (w, h, 0.0)])
    uv = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])
    order = [[0, 1, 2], [0, 2, 3]]
    parts.add(corners[order], uv[order], f"rug_{piece.seed % 2}", "rug")


def screen(parts: Parts, piece: Piece) -> None:
    """Adds a television on a foot."""
    w, h = piece.width / 2, piece.height
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.06), (w, h, 0.1), "dark", "screen", skip="bottom")
        return
    parts.block((-w, 0.06, 0.06), (w, h, 0.095), "dark", "screen", 0.008)
    corners = np.array([(-w + 0.015, 0.09), (w - 0.015, 0.09), (w - 0.015, h - 0.015), (-w + 0.015, h - 0.015)])
    _panel(parts, corners, 0.0958, "display", "screen")
    for x in (-w * 0.6, w * 0.6):
        parts.block((x - 0.015, 0.0, 0.0), (x + 0.015, 0.07, 0.16), "dark", "screen", 0.006, skip="bottom")


def picture(parts: Parts, piece: Piece) -> None:
    """Adds a framed picture that hangs on the wall."""
    w, h, deep = piece.width / 2, piece.height, piece.depth
    frame, motif = ("dark_wood", "wood", "dark", "white")[piece.seed % 4], f"picture_{piece.seed // 4 % 4}"
    if parts.detail == LOW:
        _panel(parts, np.array([(-w, 0.0), (w, 0.0), (w, h), (-w, h)]), deep, motif, "picture")
        return
    edge = 0.03
    for lo, hi in (
        ((-w, 0.0), (w, edge)),
        ((-w, h - edge), (w, h)),
        ((-w, edge), (-w + edge, h - edge)),
        ((w - edge, edge), (w, h - edge)),
    ):
        parts.block((*lo, 0.0), (*hi, deep), frame, "picture", 0.006, skip="back")
    inside = np.array([(-w + edge, edge), (w - edge, edge), (w - edge, h - edge), (-w + edge, h - edge)])
    _panel(parts, inside, deep - 0.012, motif, "picture")


def pendant(parts: Parts, piece: Piece) -> None:
    """Adds a lamp that hangs from the ceiling; nothing at low detail."""
    if parts.detail == LOW:
        return
    h, z, r = piece.height, piece.depth / 2, piece.width / 2
    tube(parts, [(0.0, 0.14, z), (0.0, h, z)], 0.005, "dark", "lamp")
    lathe(parts, (0.0, h - 0.025, z), [(0.0, 0.0), (0.05, 0.005), (0.05, 0.025)], "white", "lamp")
    bell = [(r, 0.0), (0.9 * r, 0.07), (0.5 * r, 0.13), (0.12 * r, 0.16), (0.0, 0.165)]
    lathe(parts, (0.0, 0.0, z), bell, "shade" if piece.seed % 2 else "metal", "lamp", smooth=True)
    lathe(parts, (0.0, 0.02, z), [(0.0, 0.0), (0.04, 0.02), (0.04, 0.06), (0.015, 0.1)], "white", "lamp", smooth=True)


def _panel(parts: Parts, corners: np.ndarray, z: float, surface: str, label: str) -> None:
    """Adds a flat picture on corners `[4, 2]` (counter-clockwise from the lower left) that shows a texture once."""
    points = np.concatenate([corners, np.full((4, 1), z)], 1)
    uv = np.array([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
    order = [[0, 1, 2], [0, 2, 3]]
    parts.add(points[order], uv[order], surface, label)


BUILDERS: dict[str, Builder] = {
    "plant": plant,
    "lamp": lamp,
    "rug": rug,
    "screen": screen,
    "picture": picture,
    "pendant": pendant,
}
