"""Builds beds."""

from __future__ import annotations

import itertools

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Piece
from batchsim.scenes.homes.furniture.styles import Builder, cloth, leg, look, wood
from batchsim.scenes.homes.geometry.curves import WEAVE, pillow, sheet
from batchsim.scenes.homes.geometry.shapes import LOW, Parts


def bed(parts: Parts, piece: Piece) -> None:
    """Adds a headboard, a frame, a mattress under a blanket, a pillow for each sleeper."""
    w, d, h = piece.width / 2, piece.depth, piece.height
    surface, sleepers = wood(piece), 2 if piece.width > 1.3 else 1
    middles = [(k - (sleepers - 1) / 2) * piece.width / 2 for k in range(sleepers)]
    if parts.detail == LOW:
        parts.box((-w, 0.0, 0.0), (w, h, 0.06), surface, "bed", skip="bottom back")
        parts.box((-w, 0.0, 0.06), (w, 0.32, d), surface, "bed", skip="bottom back top")
        parts.box((-w, 0.32, 0.06), (w, 0.5, 0.75), "linen", "bed", skip="bottom back front")
        parts.box((-w, 0.32, 0.75), (w, 0.54, d), cloth(piece), "bed", skip="bottom")
        for x in middles:
            parts.box((x - 0.3, 0.5, 0.12), (x + 0.3, 0.6, 0.5), "white", "bed", skip="bottom")
        return
    parts.block((-w, 0.0, 0.0), (w, h, 0.05), surface, "bed", 0.015, skip="bottom")
    panels = np.linspace(-w + 0.03, w - 0.03, 2 * sleepers + 1)
    for a, b in itertools.pairwise(panels):
        parts.block((a + 0.004, 0.42, 0.04), (b - 0.004, h - 0.05, 0.085), cloth(piece), "bed", 0.022)
    parts.block((-w + 0.01, 0.14, 0.04), (w - 0.01, 0.32, d), surface, "bed", 0.012)
    for x in (-w + 0.06, w - 0.06):
        for z in (0.12, d - 0.06):
            leg(parts, x, z, 0.16, 0.06, surface, "bed")
    parts.block((-w + 0.03, 0.3, 0.06), (w - 0.03, 0.5, d - 0.03), "linen", "bed", 0.05)
    _blanket(parts, piece, w, d)
    for x in middles:
        pillow(parts, (x - 0.32, 0.47, 0.1), (x + 0.32, 0.66, 0.52), "white", "bed")


def _blanket(parts: Parts, piece: Piece, w: float, d: float) -> None:
    """Adds a quilt that hangs over both sides and the foot of the mattress."""
    rng, cells = look(piece), 2 * WEAVE[parts.detail]
    hang, top, start = 0.17, 0.52, 0.72
    u = np.linspace(-w - hang, w + hang, cells + 1)
    v = np.linspace(start, d + hang, cells + 1)
    edge_x, edge_z = w - 0.018, d - 0.018
    x, over_x = np.clip(u, -edge_x, edge_x), np.maximum(np.abs(u) - edge_x, 0.0)
    z, over_z = np.minimum(v, edge_z), np.maximum(v - edge_z, 0.0)
    x, z = np.meshgrid(x, z)
    drop = np.minimum(over_x[None, :] + over_z[:, None], 0.22)
    phase = rng.uniform(0, 6.28, 4)
    waves = (
        np.sin(5 * x + 2 * z + phase[0]) + np.sin(7 * z - 3 * x + phase[1]) + 0.5 * np.sin(11 * x + 9 * z + phase[2])
    )
    puff = 0.035 * np.clip((w - np.abs(x)) * 6, 0, 1) * np.clip((z - start) * 8 + 0.4, 0, 1)
    y = top + puff + 0.006 * waves - drop
    sheet(parts, np.stack([x, y, z], -1), cloth(piece) if cloth(piece) != "leather" else "fabric", "bed")


BUILDERS: dict[str, Builder] = {"bed": bed}
