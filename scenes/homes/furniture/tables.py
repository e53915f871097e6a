"""Builds tables, low tables, desks and nightstands."""

from __future__ import annotations

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import (
    Builder,
    books_in_row,
    bowl,
    cup,
    fronts,
    leg,
    legs,
    look,
    table_lamp,
    vase,
    wood,
)
from batchsim.scenes.homes.geometry.curves import lathe, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts


def table(parts: Parts, piece: Piece) -> None:
    """Adds a dining table: a top on an apron and four legs, laid with crockery."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, thick, rng = wood(piece), 0.07, look(piece)
    _top(parts, piece, 0.035, surface)
    legs(parts, w - 0.07, 0.07, d - 0.07, h - 0.035, thick, surface, "table", turned=rng.random() < 0.5)
    if parts.detail == LOW:
        return
    _apron(parts, w - 0.07, 0.07, d - 0.07, h - 0.035, surface)
    if rng.random() < 0.5:
        bowl(parts, 0.0, h, d / 2, 0.16)
        for k in range(4):
            _apple(parts, (-0.05, 0.05, 0.04, -0.03)[k], h + 0.05, d / 2 + (0.04, 0.03, -0.05, -0.04)[k])
    else:
        vase(parts, 0.0, h, d / 2, 0.28)
    for x in (-w / 2, w / 2):
        for z in (0.2, d - 0.2):
            _plate(parts, x, h, z)
            cup(parts, x + 0.16, h, z + (0.08 if z < d / 2 else -0.08))


def low_table(parts: Parts, piece: Piece) -> None:
    """Adds a coffee table: a thick top, a board below, books and a cup."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, rng = wood(piece), look(piece)
    _top(parts, piece, 0.04, surface)
    legs(parts, w - 0.05, 0.05, d - 0.05, h - 0.04, 0.05, surface, "table", turned=False)
    if parts.detail == LOW:
        return
    parts.block((-w + 0.08, 0.12, 0.06), (w - 0.08, 0.14, d - 0.06), surface, "table", 0.004)
    for k in range(int(rng.integers(1, 4))):
        parts.block(
            (-0.24, h + 0.03 * k, 0.15), (-0.02 - 0.02 * k, h + 0.03 * k + 0.028, 0.32), f"book_{k}", "book", 0.004
        )
    cup(parts, w * 0.45, h, d * 0.6)
    bowl(parts, w * 0.1 + 0.1, h, d * 0.45, 0.11, "pot")


def desk(parts: Parts, piece: Piece) -> None:
    """Adds a top on a chest of drawers and two legs; on it a screen, a keyboard, a lamp and books."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, rng = wood(piece), look(piece)
    side = 1.0 if piece.seed % 2 else -1.0
    _top(parts, piece, 0.03, surface)
    a, b = sorted((side * (w - 0.42), side * (w - 0.02)))
    parts.block((a, 0.0, 0.04), (b, h - 0.03, d - 0.04), surface, "table", 0.005, skip="bottom top")
    fronts(parts, (a, 0.06), (b, h - 0.05), d - 0.04, 1, 3, surface, "table")
    for z in (0.06, d - 0.06):
        leg(parts, -side * (w - 0.06), z, h - 0.03, 0.05, surface, "table")
    if parts.detail == LOW:
        parts.box((-0.27, h, 0.14), (0.27, h + 0.42, 0.17), "dark", "screen", skip="bottom")
        return
    parts.block((-0.29, h + 0.1, 0.14), (0.29, h + 0.44, 0.165), "dark", "screen", 0.006)
    parts.box(
        (-0.28, h + 0.11, 0.165), (0.28, h + 0.43, 0.1655), "display", "screen", skip="back left right top bottom"
    )
    parts.block((-0.025, h + 0.01, 0.115), (0.025, h + 0.3, 0.14), "dark", "screen", 0.008)
    lathe(parts, (0.0, h, 0.13), [(0.11, 0.0), (0.11, 0.008), (0.02, 0.014), (0.0, 0.014)], "dark", "screen")
    parts.block((-0.2, h, d - 0.25), (0.2, h + 0.02, d - 0.12), "dark", "screen", 0.006, skip="bottom")
    x = -side * (w - 0.16)
    lathe(parts, (x, h, 0.16), [(0.08, 0.0), (0.08, 0.015), (0.012, 0.025)], "metal", "lamp")
    tube(
        parts,
        [(x, h + 0.02, 0.16), (x + 0.03 * side, h + 0.25, 0.12), (x + 0.1 * side, h + 0.4, 0.22)],
        0.008,
        "metal",
        "lamp",
    )
    lathe(parts, (x + 0.1 * side, h + 0.3, 0.22), [(0.08, 0.0), (0.03, 0.1), (0.0, 0.11)], "accent", "lamp")
    books_in_row(parts, rng, side * (w - 0.2) - 0.13, side * (w - 0.2) + 0.13, h, 0.24, 0.06, 0.22)
    cup(parts, side * 0.36, h, d - 0.2)


def nightstand(parts: Parts, piece: Piece) -> None:
    """Adds a small chest of drawers with a lamp and a book on it."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    deep = d if parts.detail == LOW else d - 0.025
    parts.block((-w, 0.0, 0.0), (w, h, deep), surface, "nightstand", 0.008, skip="bottom back")
    fronts(parts, (-w + 0.015, 0.06), (w - 0.015, h - 0.03), deep, 1, 2, surface, "nightstand")
    table_lamp(parts, -0.05, h, d / 2 - 0.05)
    if parts.detail != LOW:
        parts.block((0.0, h, d - 0.2), (0.14, h + 0.03, d - 0.04), f"book_{piece.seed % 4}", "book", 0.004, "bottom")


def _top(parts: Parts, piece: Piece, thick: float, surface: str) -> None:
    w, d, h = piece.width / 2, piece.depth, piece.height
    skip = "bottom" if parts.detail == LOW else ""
    parts.block((-w, h - thick, 0.0), (w, h, d), surface, "table", 0.012, skip)


def _apron(parts: Parts, w: float, near: float, far: float, top: float, surface: str) -> None:
    """Adds boards between the legs, under the top."""
    for z in (near, far):
        parts.box((-w, top - 0.09, z - 0.011), (w, top, z + 0.011), surface, "table", skip="top left right")
    for x in (-w, w):
        parts.box((x - 0.011, top - 0.09, near), (x + 0.011, top, far), surface, "table", skip="top front back")


def _plate(parts: Parts, x: float, y: float, z: float) -> None:
    edge = [(0.07, 0.0), (0.12, 0.018), (0.118, 0.022), (0.07, 0.006), (0.0, 0.006)]
    lathe(parts, (x, y, z), edge, "ceramic", "decoration", smooth=True)


def _apple(parts: Parts, x: float, y: float, z: float) -> None:
    round_ = [(0.0, 0.0), (0.022, 0.004), (0.036, 0.03), (0.03, 0.058), (0.01, 0.066), (0.0, 0.06)]
    lathe(parts, (x, y, z), round_, "fruit", "decoration", smooth=True, sides=(0, 8, 24)[parts.detail])


BUILDERS: dict[str, Builder] = {"table": table, "low_table": low_table, "desk": desk, "nightstand": nightstand}
