"""Which islands are floors: tops of walls are none, upper floors that something leads to are."""

import numpy as np
import pytest

from batchsim.scenes import AgentBody
from batchsim.scenes.walking.walkable import build_walkable
from tests.helpers.solids import box

THICK = 0.8
WALLS = [
    box((-3 - THICK, 0, -3 - THICK), (3 + THICK, 2.5, -3)),
    box((-3 - THICK, 0, 3), (3 + THICK, 2.5, 3 + THICK)),
    box((-3 - THICK, 0, -3), (-3, 2.5, 3)),
    box((3, 0, -3), (3 + THICK, 2.5, 3)),
]
FLOOR = box((-3, -0.1, -3), (3, 0, 3))


def test_tops_of_walls_without_a_ceiling_are_no_floor():
    walkable = build_walkable(np.concatenate([FLOOR, *WALLS]), AgentBody(), min_island_area=0.1)
    assert walkable.heights.max() == pytest.approx(0, abs=1e-6)
    assert walkable.area == pytest.approx(5.8**2, rel=0.03)


def test_a_wide_platform_beside_a_floor_stays():
    """Most of it is farther from the lower floor than the top of a wall is."""
    platform = box((3, 0, -3), (9, 2.5, 3))
    walkable = build_walkable(np.concatenate([box((-5, -0.1, -3), (3, 0, 3)), platform]), AgentBody())
    assert walkable.heights.max() == pytest.approx(2.5, abs=1e-5)


def test_a_gallery_that_stairs_lead_to_stays():
    steps = [box((-1, 0, -3 + 0.3 * k), (1, 0.2 * (k + 1), -3 + 0.3 * (k + 1))) for k in range(12)]
    gallery = box((-3, 2.2, 0.6), (3, 2.4, 3))
    walkable = build_walkable(np.concatenate([FLOOR, *steps, gallery]), AgentBody())
    assert walkable.heights.max() == pytest.approx(2.4, abs=1e-5)
    assert walkable.islands.max() == 0


def test_tops_of_walls_stay_where_they_are_asked_for():
    walkable = build_walkable(np.concatenate([FLOOR, *WALLS]), AgentBody(), min_island_area=0.1, wall_tops=True)
    # A ring that is 0.6 m wide without the radius at either edge, with an outer side of 7.4 m.
    assert (walkable.heights > 2).sum() * walkable.cell_size**2 == pytest.approx(7.4**2 - 6.2**2, rel=0.03)
