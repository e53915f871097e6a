"""Tables, low tables, desks and nightstands."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder, wood
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def table(parts: Parts, piece: Piece) -> None:
    """A top on four legs."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    thick, leg = (0.04, 0.06) if h > 0.6 else (0.03, 0.05)
    parts.box((-w, h - thick, 0.0), (w, h, d), surface, "table", skip="bottom" if parts.detail == 0 else "")
    inset = 0.04
    parts.legs((-w + inset, 0.0, inset), (w - inset, h - thick, d - inset), leg, surface, "table")


def desk(parts: Parts, piece: Piece) -> None:
    """A top on a side panel and a stack of drawers, a screen on it."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    parts.box((-w, h - 0.03, 0.0), (w, h, d), surface, "table", skip="bottom" if parts.detail == 0 else "")
    side = 1 if piece.seed % 2 else -1
    parts.box(
        *_span(side * (w - 0.40), side * (w - 0.02), 0.0, h - 0.03, 0.04, d - 0.04), surface, "table", "bottom top"
    )
    parts.box(
        *_span(-side * (w - 0.05), -side * (w - 0.02), 0.0, h - 0.03, 0.04, d - 0.04), surface, "table", "bottom top"
    )
    parts.box((-0.27, h + 0.08, 0.14), (0.27, h + 0.42, 0.17), "dark", "screen")
    parts.box((-0.03, h, 0.12), (0.03, h + 0.12, 0.14), "dark", "screen", skip="bottom front")


def nightstand(parts: Parts, piece: Piece) -> None:
    """A small chest with a lamp on it."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), wood(piece), "nightstand", skip="bottom back")
    parts.box((-0.1, h + 0.14, d / 2 - 0.1), (0.1, h + 0.34, d / 2 + 0.1), "shade", "lamp")
    parts.box((-0.02, h, d / 2 - 0.02), (0.02, h + 0.14, d / 2 + 0.02), "metal", "lamp", skip="bottom top")


def _span(xa: float, xb: float, y0: float, y1: float, z0: float, z1: float) -> tuple[tuple, tuple]:
    return (min(xa, xb), y0, z0), (max(xa, xb), y1, z1)


BUILDERS: dict[str, Builder] = {"table": table, "low_table": table, "desk": desk, "nightstand": nightstand}
