"""Chairs, armchairs and sofas."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder, cloth, wood
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def chair(parts: Parts, piece: Piece) -> None:
    """A seat on four legs with a back."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    parts.box((-w, 0.42, 0.0), (w, 0.46, d), surface, "chair", skip="bottom" if parts.detail == 0 else "")
    parts.box((-w, 0.46, 0.0), (w, h, 0.04), surface, "chair", skip="bottom")
    parts.legs((-w + 0.01, 0.0, 0.01), (w - 0.01, 0.42, d - 0.01), 0.04, surface, "chair")


def sofa(parts: Parts, piece: Piece) -> None:
    """A seat between two arms, with a back."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = cloth(piece)
    arm = 0.16 if piece.width > 1.2 else 0.12
    parts.box((-w + arm, 0.0, 0.22), (w - arm, 0.43, d), surface, "sofa", skip="bottom left right back")
    parts.box((-w, 0.0, 0.0), (w, h, 0.22), surface, "sofa", skip="bottom back")
    for x in (-w, w - arm):
        parts.box((x, 0.0, 0.22), (x + arm, 0.62, d), surface, "sofa", skip="bottom back")


BUILDERS: dict[str, Builder] = {"chair": chair, "sofa": sofa, "armchair": sofa}
