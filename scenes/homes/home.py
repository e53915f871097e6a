"""Generates a furnished home from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.homes.appearance.materials import PALETTES, to_mesh
from batchsim.scenes.homes.floor_plan.layout import draw_plan
from batchsim.scenes.homes.floor_plan.plan import Plan, Room
from batchsim.scenes.homes.furniture import build_piece
from batchsim.scenes.homes.furniture.furnish import furnish
from batchsim.scenes.homes.geometry.shapes import HIGH, LOW, MEDIUM, Parts
from batchsim.scenes.homes.structure.build import build_shell
from batchsim.scenes.mesh import Mesh

SHARE_OF_TWO_STOREYS = 1 / 6
DETAILS = {"low": LOW, "medium": MEDIUM, "high": HIGH}


@dataclass(frozen=True)
class Home:
    """A procedural home.

    - `mesh`: all its triangles, metres, y up, the ground floor at y = 0, the footprint centred on the origin.
    - `plan`: rooms, doorways, windows and furniture; the same for every detail of one seed.
    - `seed`, `detail`: the arguments it was generated from.
    """

    mesh: Mesh
    plan: Plan
    seed: int
    detail: str

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The rooms, each with its kind, rectangle and floor height."""
        return self.plan.rooms


def generate_home(seed: int, detail: str = "low", storeys: int | None = None) -> Home:
    """Generates a home. The same arguments give the same arrays, bit for bit.

    Args:
        seed: A non-negative int.
        detail: "low" (hundreds of triangles), "medium" (tens of thousands) or "high" (hundreds of thousands). Walls,
            doorways and furniture footprints do not depend on it.
        storeys: 1, or 2 for an upper floor and stairs; None lets the seed decide (one home in six has two).

    Raises:
        SceneError: For an unknown detail, a bad seed or a bad number of storeys.
    """
    if detail not in DETAILS:
        raise SceneError(f"detail is {detail!r}; expected one of {', '.join(DETAILS)}.")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise SceneError(f"seed is {seed!r}; expected a non-negative int.")
    if storeys not in (None, 1, 2):
        raise SceneError(f"storeys is {storeys!r}; expected 1, 2, or None to let the seed decide.")
    plan = plan_home(seed, storeys)
    return Home(home_mesh(plan, detail, look_of(seed)), plan, int(seed), detail)


def plan_home(seed: int, storeys: int | None = None, furniture: np.random.SeedSequence | None = None) -> Plan:
    """The furnished plan of `generate_home`, without a mesh: about 10 ms.

    Args:
        seed: As in `generate_home`.
        storeys: As in `generate_home`.
        furniture: The random stream of the furniture; None: that of the seed.
    """
    layout_seed, furniture_seed, _, storey_seed = _streams(seed)
    if storeys is None:
        storeys = 2 if np.random.default_rng(storey_seed).random() < SHARE_OF_TWO_STOREYS else 1
    plan = draw_plan(np.random.default_rng(layout_seed), storeys)
    return furnish(plan, np.random.default_rng(furniture or furniture_seed))


def look_of(seed: int) -> int:
    """The number of the colours and textures of `generate_home`."""
    return int(np.random.default_rng(_streams(seed)[2]).integers(PALETTES))


def home_mesh(plan: Plan, detail: str, look: int) -> Mesh:
    """The mesh of a furnished plan."""
    parts = Parts(DETAILS[detail])
    build_shell(parts, plan)
    for piece in plan.pieces:
        parts.begin_object()
        build_piece(parts, plan, piece)
    return to_mesh(parts, look)


def _streams(seed: int) -> list[np.random.SeedSequence]:
    """One random stream for each part of a home: layout, furniture, look, storeys."""
    return np.random.SeedSequence(int(seed)).spawn(4)
