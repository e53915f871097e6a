"""Beds."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder, cloth, wood
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def bed(parts: Parts, piece: Piece) -> None:
    """A headboard, a frame, a mattress under a blanket, a pillow for each sleeper."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    parts.box((-w, 0.0, 0.0), (w, h, 0.06), surface, "bed", skip="bottom back")
    parts.box((-w, 0.0, 0.06), (w, 0.32, d), surface, "bed", skip="bottom back")
    inset = 0.03
    parts.box((-w + inset, 0.32, 0.06), (w - inset, 0.5, d - inset), "linen", "bed", skip="bottom back")
    parts.box((-w + 0.01, 0.34, 0.75), (w - 0.01, 0.54, d - 0.01), cloth(piece), "bed", skip="bottom")
    sleepers = 2 if piece.width > 1.3 else 1
    for k in range(sleepers):
        middle = (k - (sleepers - 1) / 2) * piece.width / 2
        parts.box((middle - 0.3, 0.5, 0.12), (middle + 0.3, 0.6, 0.5), "white", "bed", skip="bottom")


BUILDERS: dict[str, Builder] = {"bed": bed}
