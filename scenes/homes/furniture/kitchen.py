"""The kitchen row: base units, sink, stove, fridge, hanging cabinets."""

from __future__ import annotations

from scenes.homes.furniture.styles import Builder
from scenes.homes.plan import Piece
from scenes.homes.shapes import Parts

TOP = 0.04  # thickness of the worktop, metres


def counter(parts: Parts, piece: Piece) -> None:
    """A base unit under a worktop."""
    _unit(parts, piece, "wood", "stone", "counter")


def sink_unit(parts: Parts, piece: Piece) -> None:
    """A base unit with a steel sink and a tap."""
    _unit(parts, piece, "wood", "stone", "counter")
    h = piece.height
    parts.box((-0.22, h, 0.12), (0.22, h + 0.01, 0.5), "metal", "sink", skip="bottom")
    parts.box((-0.015, h, 0.05), (0.015, h + 0.28, 0.08), "metal", "sink", skip="bottom")
    parts.box((-0.015, h + 0.25, 0.08), (0.015, h + 0.28, 0.26), "metal", "sink", skip="back")


def stove(parts: Parts, piece: Piece) -> None:
    """An oven under a glass hob."""
    _unit(parts, piece, "dark", "metal", "stove")
    h = piece.height
    parts.box((-0.27, h, 0.06), (0.27, h + 0.01, 0.54), "dark", "stove", skip="bottom")


def fridge(parts: Parts, piece: Piece) -> None:
    """A tall fridge."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), "white", "fridge", skip="bottom back")


def hanging_cabinet(parts: Parts, piece: Piece) -> None:
    """A row of wall cabinets."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h, d), "wood", "cabinet", skip="back")


def _unit(parts: Parts, piece: Piece, front: str, top: str, label: str) -> None:
    w, d, h = piece.width / 2, piece.depth, piece.height
    parts.box((-w, 0.0, 0.0), (w, h - TOP, d - 0.03), front, label, skip="bottom back top")
    parts.box((-w, h - TOP, 0.0), (w, h, d), top, label, skip="back")


BUILDERS: dict[str, Builder] = {
    "counter": counter,
    "sink_unit": sink_unit,
    "stove": stove,
    "fridge": fridge,
    "hanging_cabinet": hanging_cabinet,
}
