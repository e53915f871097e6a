"""Parametric furniture: one function a kind, from a piece's size and seed to triangles."""

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
    """Add a piece of furniture where the plan has it."""
    local = Parts(parts.detail)
    BUILDERS[piece.kind](local, piece)
    parts.take(local, (piece.frame.x, plan.rooms[piece.room].floor + piece.base, piece.frame.z), piece.frame.quarter)
