"""Wardrobes, shelves, sideboards and other cabinets."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder, wood
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts


def wardrobe(parts: Parts, piece: Piece) -> None:
    """A tall closed cupboard."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), wood(piece), "wardrobe", skip="bottom back")


def shelf(parts: Parts, piece: Piece) -> None:
    """An open bookcase: boards between two sides, rows of books."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, board, rows = wood(piece), 0.025, max(3, round(h / 0.36))
    for x in (-w, w - board):
        parts.box((x, 0.0, 0.0), (x + board, h, d), surface, "shelf", skip="bottom back")
    parts.box(
        (-w + board, 0.05, 0.01), (w - board, h - 0.02, 0.03), surface, "shelf", skip="bottom top left right back"
    )
    step = (h - 0.05) / rows
    for row in range(rows + 1):
        y = 0.025 + row * step
        parts.box((-w + board, y, 0.03), (w - board, y + board, d - 0.01), surface, "shelf", skip="back left right")
        if row < rows:
            filled = (0.55 + 0.4 * ((piece.seed >> row) % 8) / 8) * (piece.width - 2 * board)
            start, top = -w + board, y + board + 0.66 * step
            parts.box(
                (start, y + board, 0.04), (start + filled, top, d - 0.06), "books", "book", skip="bottom back left"
            )


def cabinet(parts: Parts, piece: Piece) -> None:
    """A closed cabinet that stands on the floor."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), wood(piece), "cabinet", skip="bottom back")


BUILDERS: dict[str, Builder] = {
    "wardrobe": wardrobe,
    "shelf": shelf,
    "sideboard": cabinet,
    "media_board": cabinet,
    "dresser": cabinet,
    "shoe_cabinet": cabinet,
    "tall_cabinet": cabinet,
}
