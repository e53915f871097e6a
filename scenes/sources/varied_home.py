"""Homes of the generator with one thing changed: other colours and textures, other furniture, or other light.

Layout, doorways and stairs stay those of the seed. With other furniture the walkable floor changes, with another look
or light only what colour images show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from batchsim.scenes.homes.appearance.materials import PALETTES
from batchsim.scenes.homes.home import home_mesh, look_of, plan_home
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.home_variation import Variation

_FURNITURE, _LIGHT = 0x46, 0x4C  # separate the random streams of the axes
_DIMMEST, _TINT = 0.4, 0.3


def varied_home(seed: int, detail: str, variation: Variation) -> Mesh:
    """Returns the mesh of a home; without a variation that of `generate_home(seed, detail)`, bit for bit."""
    furniture = np.random.SeedSequence((seed, _FURNITURE, variation.furniture)) if variation.furniture else None
    look = look_of(seed) + PALETTES * variation.look
    mesh = home_mesh(plan_home(seed, furniture=furniture), detail, look)
    return _lit(mesh, np.random.default_rng((seed, _LIGHT, variation.light))) if variation.light else mesh


def _lit(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Multiplies all colours by one brightness and one tint."""
    light = rng.uniform(_DIMMEST, 1.0) * (1 - rng.uniform(0, _TINT, 3))

    def lit(color: tuple[float, float, float]) -> tuple[float, float, float]:
        red, green, blue = (np.array(color) * light).tolist()
        return red, green, blue

    table = tuple(replace(m, base_color=lit(m.base_color)) for m in mesh.material_table)
    return replace(mesh, material_table=table)
