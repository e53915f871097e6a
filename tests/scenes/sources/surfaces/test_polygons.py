"""Triangulation against shapely-free geometry: areas by the shoelace formula, points inside by crossing numbers."""

import numpy as np
import pytest

from batchsim.scenes.sources.surfaces.polygons import triangulate

DOORWAY = [[-4, 0], [-0.5, 0], [-0.5, 2], [0.5, 2], [0.5, 0], [4, 0], [4, 2.6], [-4, 2.6]]
ARROW = [[0, 0], [2, 1], [0, 2], [0.5, 1]]
RINGS = {
    "triangle": [[0, 0], [1, 0], [0, 1]],
    "square": [[0, 0], [1, 0], [1, 1], [0, 1]],
    "arrow": ARROW,
    "arrow from its tip": ARROW[1:] + ARROW[:1],
    "hexagon": [[np.cos(a), np.sin(a)] for a in np.arange(6) * np.pi / 3],
    "doorway": DOORWAY,
    "comb": [[0, 0], [9, 0], [9, 3], [8, 3], [8, 1], [6, 1], [6, 3], [5, 3], [5, 1], [3, 1], [3, 3], [0, 3]],
}


def in_space(ring, axis, flip):
    """The ring in a slanted plane whose normal is mostly along `axis`."""
    ring = np.array(ring, float)
    ring = ring[::-1] if flip else ring
    points = np.insert(ring, axis, 0.1 * ring[:, 0] + 7, 1)
    return points


def area(ring):
    x, y = np.array(ring, float).T
    return 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def inside(points, ring):
    a, b = np.array(ring, float), np.roll(np.array(ring, float), -1, 0)
    x, y = points[:, None, 0], points[:, None, 1]
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return (crosses & (x < at)).sum(1) % 2 == 1


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", RINGS)
def test_triangles_cover_the_polygon_and_keep_its_winding(name, axis, flip):
    ring = RINGS[name]
    points = in_space(ring, axis, flip)
    place, owner = triangulate(points, np.arange(len(ring)), np.array([len(ring)]))
    triangles = np.delete(points, axis, 1)[place]
    assert (owner == 0).all()
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    signed = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    assert (signed > 0).all() != flip
    assert np.abs(signed).sum() == pytest.approx(area(ring))
    # Equal areas and every triangle inside: nothing is covered twice, and nothing is left out.
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    assert inside((weights @ triangles).reshape(-1, 2), ring).all()


def test_polygons_of_different_sizes_keep_their_order():
    rings = [in_space(ring, 1, False) + np.array([20 * k, 0, 0]) for k, ring in enumerate(RINGS.values())]
    counts = np.array([len(ring) for ring in rings])
    place, owner = triangulate(np.concatenate(rings), np.arange(counts.sum()), counts)
    assert (np.diff(owner) >= 0).all()
    assert np.bincount(owner).tolist() == (counts - 2).tolist()
    assert (np.searchsorted(np.cumsum(counts), place, "right") == owner[:, None]).all()


def test_degenerate_polygons_raise_nothing():
    points = np.zeros((7, 3))
    place, _ = triangulate(points, np.arange(7), np.array([1, 2, 4]))
    assert len(place) == 2
    assert len(triangulate(points, np.zeros(0, int), np.zeros(0, int))[0]) == 0
