"""Homes of the generator with one thing changed: other colours and textures, other furniture, or other light.

Layout, doorways and stairs stay those of the seed. With other furniture the walkable floor changes, with another look
or light only what colour images show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from batchsim.scenes.homes.appearance.materials import PALETTES, to_mesh
from batchsim.scenes.homes.floor_plan.layout import draw_plan
from batchsim.scenes.homes.furniture import build_piece
from batchsim.scenes.homes.furniture.furnish import furnish
from batchsim.scenes.homes.geometry.shapes import Parts
from batchsim.scenes.homes.home import DETAILS, SHARE_OF_TWO_STOREYS
from batchsim.scenes.homes.structure.build import build_shell
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.home_variation import Variation

_FURNITURE, _LIGHT = 0x46, 0x4C  # separate the random streams of the axes
_DIMMEST, _TINT = 0.4, 0.3


def varied_home(seed: int, detail: str, variation: Variation) -> Mesh:
    """Returns the mesh of a home; without a variation that of `generate_home(seed, detail)`, bit for bit."""
    # As in `generate_home`: one random stream for each part of the home.
    layout, furniture, look, storey = np.random.SeedSequence(seed).spawn(4)
    storeys = 2 if np.random.default_rng(storey).random() < SHARE_OF_TWO_STOREYS else 1
    if variation.furniture:
        furniture = np.random.SeedSequence((seed, _FURNITURE, variation.furniture))
    plan = furnish(draw_plan(np.random.default_rng(layout), storeys), np.random.default_rng(furniture))
    parts = Parts(DETAILS[detail])
    build_shell(parts, plan)
    for piece in plan.pieces:
        parts.begin_object()
        build_piece(parts, plan, piece)
    palette = int(np.random.default_rng(look).integers(PALETTES)) + PALETTES * variation.look
    mesh = to_mesh(parts, palette)
    return _lit(mesh, np.random.default_rng((seed, _LIGHT, variation.light))) if variation.light else mesh


def _lit(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Multiplies all colours by one brightness and one tint."""
    light = rng.uniform(_DIMMEST, 1.0) * (1 - rng.uniform(0, _TINT, 3))

    def lit(color: tuple[float, float, float]) -> tuple[float, float, float]:
        red, green, blue = (np.array(color) * light).tolist()
        return red, green, blue

    table = tuple(replace(m, base_color=lit(m.base_color)) for m in mesh.material_table)
    return replace(mesh, material_table=table)
