"""What the furniture builders share: choices of looks from a piece's seed."""

from __future__ import annotations

from collections.abc import Callable

from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts

Builder = Callable[[Parts, Piece], None]


def pick(piece: Piece, *options: str, salt: int = 0) -> str:
    """One of the options, decided by the piece's seed; different salts choose independently."""
    return options[(piece.seed // (7**salt + 1)) % len(options)]


def wood(piece: Piece) -> str:
    """The surface of a wooden piece."""
    return pick(piece, "wood", "wood", "dark_wood", "white")


def cloth(piece: Piece) -> str:
    """The surface of an upholstered piece."""
    return pick(piece, "fabric", "fabric", "accent")
