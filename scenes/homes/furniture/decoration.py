"""Plants, lamps, rugs and screens."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def plant(parts: Parts, piece: Piece) -> None:
    """A pot and foliage above it."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    pot = 0.6 * w
    parts.box((-pot, 0.0, d / 2 - pot), (pot, 0.32, d / 2 + pot), "pot", "plant", skip="bottom")
    parts.box((-w, 0.45, 0.0), (w, h, d), "leaf", "plant")
    parts.box((-0.02, 0.32, d / 2 - 0.02), (0.02, 0.45, d / 2 + 0.02), "dark_wood", "plant", skip="bottom top")


def lamp(parts: Parts, piece: Piece) -> None:
    """A standing lamp: foot, pole and shade."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-0.14, 0.0, d / 2 - 0.14), (0.14, 0.03, d / 2 + 0.14), "metal", "lamp", skip="bottom")
    parts.box((-0.015, 0.03, d / 2 - 0.015), (0.015, h - 0.28, d / 2 + 0.015), "metal", "lamp", skip="bottom top")
    parts.box((-w, h - 0.28, 0.0), (w, h, d), "shade", "lamp")


def rug(parts: Parts, piece: Piece) -> None:
    """A rug: one centimetre thick."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), "rug", "rug", skip="bottom")


def screen(parts: Parts, piece: Piece) -> None:
    """A television on a foot."""
    w, h = piece.width / 2, piece.height
    parts.box((-w, 0.06, 0.06), (w, h, 0.1), "dark", "screen")
    parts.box((-0.2, 0.0, 0.0), (0.2, 0.06, 0.16), "dark", "screen", skip="bottom top")


BUILDERS: dict[str, Builder] = {"plant": plant, "lamp": lamp, "rug": rug, "screen": screen}
