"""Builds furniture: one function for each kind turns a piece's size and seed into triangles."""

from __future__ import annotations

from batchsim.scenes.homes.floor_plan.plan import Piece, Plan
from batchsim.scenes.homes.furniture import bath, bedroom, decoration, kitchen, seating, storage, tables
from batchsim.scenes.homes.furniture.styles import Builder
from batchsim.scenes.homes.geometry.shapes import Parts

BUILDERS: dict[str, Builder] = {
    **tables.BUILDERS,
    **seating.BUILDERS,
    **storage.BUILDERS,
    **bedroom.BUILDERS,
    **kitchen.BUILDERS,
    **bath.BUILDERS,
    **decoration.BUILDERS,
}


def build_piece(parts: Parts, plan: Plan, piece: Piece) -> None:
    """Adds a piece of furniture to `parts` at its place in the plan."""
    local = Parts(parts.detail)
    BUILDERS[piece.kind](local, piece)
    parts.take(local, (piece.frame.x, plan.rooms[piece.room].floor + piece.base, piece.frame.z), piece.frame.quarter)
