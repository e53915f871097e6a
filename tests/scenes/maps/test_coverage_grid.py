"""Tests the coverage grid against cells counted by hand and by brute force."""

import numpy as np

from batchsim.scenes import AgentBody, Mesh, bake
from batchsim.scenes.maps.coverage_grid import coverage_cells
from batchsim.scenes.maps.top_down import storey_levels


def slab(x0, x1, z0, z1, y):
    """A floor as two triangles."""
    a, b, c, d = (x0, y, z0), (x0, y, z1), (x1, y, z1), (x1, y, z0)
    return np.array([[a, b, c], [a, c, d]], float)


def baked(*slabs):
    return bake(Mesh.from_triangles(np.concatenate(slabs)), "slabs", AgentBody(), num_goals=4)


def test_one_room_has_a_hundred_coverage_cells(one_room):
    # 10 x 10 m around the origin: the corners of cells lie on the walls.
    cells = coverage_cells(one_room)
    assert cells.dtype == np.int32
    assert cells.max() + 1 == 100
    counts = np.bincount(cells)
    # Inner cells hold 20 x 20 cells of 5 cm; at a wall two columns of them are too near it to stand in.
    assert sorted(set(counts.tolist())) == [18 * 18, 18 * 20, 20 * 20]
    assert (counts == 400).sum() == 64


def test_cells_are_aligned_to_the_world(four_rooms):
    number = coverage_cells(four_rooms)
    place = np.floor(four_rooms.walkable.positions[:, [0, 2]]).astype(int)
    found = {tuple(p): set() for p in place.tolist()}
    for p, k in zip(place.tolist(), number.tolist(), strict=True):
        found[tuple(p)].add(k)
    assert all(len(numbers) == 1 for numbers in found.values())
    assert sorted(k for (k,) in found.values()) == list(range(len(found)))


def test_storeys_count_apart(homes):
    home = homes[1]
    number, height = coverage_cells(home), home.walkable.heights
    low, high = storey_levels(home)
    below, above = (set(number[np.abs(height - level) < 0.1].tolist()) for level in (low, high))
    assert min(len(below), len(above)) > 20
    assert not below & above
    # Seen from above, the storeys lie over each other.
    place = [tuple(p) for p in np.floor(home.walkable.positions[:, [0, 2]]).astype(int).tolist()]
    assert len(set(place)) < number.max() + 1 <= 2 * len(set(place))
    # Stairs between them belong to what is nearer.
    assert set(number[height < (low + high) / 2].tolist()).isdisjoint(number[height > (low + high) / 2].tolist())


def test_steps_do_not_cut_a_storey_in_two():
    # A landing 15 cm up belongs to the floor beside it.
    assert coverage_cells(baked(slab(0, 3, 0, 4, 0.0), slab(0, 3, 4, 5, 0.15))).max() + 1 == 15
