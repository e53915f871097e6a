"""Builds wardrobes, shelves, sideboards and other cabinets."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, books_in_row, bowl, fronts, look, table_lamp, vase, wood
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

BOARD = 0.024  # thickness of a shelf's boards, metres


def wardrobe(parts: Parts, piece: Piece) -> None:
    """Adds a tall cupboard with doors and a drawer below each."""
    doors = max(2, round(piece.width / 0.5))
    _carcass(parts, piece, "wardrobe", doors, split=0.28)


def shelf(parts: Parts, piece: Piece) -> None:
    """Adds an open bookcase: boards between two sides, rows of books and a few other things."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, rng = wood(piece), look(piece)
    rows = max(3, round(h / 0.36)) if parts.detail != LOW else 3
    for x in (-w, w - BOARD):
        parts.block((x, 0.0, 0.0), (x + BOARD, h, d), surface, "shelf", 0.004, skip="bottom back")
    back = "top bottom left right back"
    parts.box((-w + BOARD, 0.04, 0.004), (w - BOARD, h - 0.005, 0.012), surface, "shelf", skip=back)
    step = (h - BOARD - 0.05) / rows
    for row in range(rows + 1):
        y = 0.05 + row * step
        low, high = (-w + BOARD, y, 0.012), (w - BOARD, y + BOARD, d - 0.004)
        parts.block(low, high, surface, "shelf", 0.003, skip="back left right")
        if row < rows:
            _fill(parts, piece, rng, y + BOARD, step - BOARD)


def _fill(parts: Parts, piece: Piece, rng: np.random.Generator, y: float, room: float) -> None:
    """Fills a row with books, sometimes with a vase or a bowl beside them."""
    left, right, deep = -piece.width / 2 + BOARD + 0.01, piece.width / 2 - BOARD - 0.01, piece.depth - 0.05
    end = left + rng.uniform(0.45, 1.0) * (right - left)
    if parts.detail == LOW:
        top, colour = y + 0.75 * room, f"book_{rng.integers(4)}"
        parts.box((left, y, 0.03), (end, top, deep), colour, "book", skip="bottom back left")
        return
    books_in_row(parts, rng, left, end, y, room - 0.05, 0.03, deep)
    if right - end > 0.2:
        thing = vase if rng.random() < 0.6 else bowl
        thing(parts, (end + right) / 2, y, piece.depth / 2, 0.22 if thing is vase else 0.09)


def sideboard(parts: Parts, piece: Piece) -> None:
    """Adds a low cupboard with a lamp or a vase on it."""
    _carcass(parts, piece, "cabinet", max(2, round(piece.width / 0.5)), split=0.7)
    on = piece.width / 2 - 0.25
    if piece.seed % 3 and parts.detail != LOW:
        table_lamp(parts, on, piece.height, piece.depth / 2)
    vase(parts, -on, piece.height, piece.depth / 2, 0.3)
    bowl(parts, 0.0, piece.height, piece.depth / 2, 0.12)


def dresser(parts: Parts, piece: Piece) -> None:
    """Adds a chest of drawers."""
    _carcass(parts, piece, "cabinet", 2 if piece.width > 0.9 else 1, drawers=4)
    vase(parts, -piece.width / 4, piece.height, piece.depth / 2, 0.26)
    books_on_top = look(piece)
    if parts.detail != LOW:
        books_in_row(parts, books_on_top, 0.1, 0.3, piece.height, 0.22, 0.05, 0.22)


def media_board(parts: Parts, piece: Piece) -> None:
    """Adds a low board for a screen."""
    _carcass(parts, piece, "cabinet", 3, drawers=1)


def shoe_cabinet(parts: Parts, piece: Piece) -> None:
    """Adds a flat cabinet for a hall."""
    _carcass(parts, piece, "cabinet", 1, drawers=2)
    bowl(parts, 0.1, piece.height, piece.depth / 2, 0.08)


def tall_cabinet(parts: Parts, piece: Piece) -> None:
    """Adds a narrow cabinet for a bath."""
    _carcass(parts, piece, "cabinet", 1, split=0.5)


def _carcass(parts: Parts, piece: Piece, label: str, columns: int, drawers: int = 0, split: float = 0.0) -> None:
    """Adds a cabinet on a plinth.

    It is closed by `drawers`, or by doors above the fraction `split` of its height and drawers below.
    """
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface = wood(piece)
    if parts.detail == LOW:
        parts.cupboard((-w, 0.0, 0.0), (w, h, d), surface, label)
        return
    face = d - 0.028
    parts.box((-w + 0.02, 0.0, 0.02), (w - 0.02, 0.07, face - 0.03), "dark", label, skip="bottom top back")
    parts.block((-w, 0.07, 0.0), (w, h, face), surface, label, 0.006, skip="back")
    low, high, edge = 0.085, h - 0.015, w - 0.008
    if drawers:
        fronts(parts, (-edge, low), (edge, high), face, columns, drawers, surface, label)
        return
    middle = low + (high - low) * (split if h < 1.3 else 0.22)
    if h < 1.3:
        fronts(parts, (-edge, low), (edge, middle), face, columns, 1, surface, label, upright=True)
        fronts(parts, (-edge, middle), (edge, high), face, columns, 1, surface, label)
    else:
        fronts(parts, (-edge, low), (edge, middle), face, columns, 1, surface, label)
        fronts(parts, (-edge, middle), (edge, high), face, columns, 1, surface, label, upright=True)


BUILDERS: dict[str, Builder] = {
    "wardrobe": wardrobe,
    "shelf": shelf,
    "sideboard": sideboard,
    "media_board": media_board,
    "dresser": dresser,
    "shoe_cabinet": shoe_cabinet,
    "tall_cabinet": tall_cabinet,
}
