"""The shapes that homes are built from: areas, volumes and windings against closed formulas."""

import numpy as np
import pytest

from batchsim.scenes.homes.geometry import curves
from batchsim.scenes.homes.geometry.polygon import triangulate
from batchsim.scenes.homes.geometry.shapes import HIGH, LOW, MEDIUM, Parts


def volume(parts):
    """Signed volume of a closed surface by the divergence theorem; positive when fronts face outwards."""
    corners = np.concatenate(parts.triangles)
    return np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6


def area(triangles):
    a, b, c = np.moveaxis(np.asarray(triangles), 1, 0)
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


def test_polygon_with_notch_marks_and_holes_keeps_its_area():
    outline = [(0, 0), (1, 0), (1, 2), (2, 2), (2, 0), (3, 0), (6, 0), (6, 3), (4, 3), (0, 3)]
    holes = [[(2.5, 1), (3.5, 1), (3.5, 2), (2.5, 2)], [(4.5, 1), (5.5, 1), (5.5, 2), (4.5, 2)]]
    pieces = area(triangulate(outline, holes))
    assert (pieces > 0).all()
    assert pieces.sum() == pytest.approx(18 - 2 - 2)


def test_polygon_uses_only_its_own_vertices_and_none_lies_inside_an_edge():
    outline = [(0, 0), (1, 0), (2, 0), (4, 0), (4, 4), (3, 4), (0, 4)]
    triangles = triangulate(outline)
    assert {p for t in triangles for p in t} == set(outline)
    for triangle in triangles:
        for k in range(3):
            a, b = np.array(triangle[k - 1]), np.array(triangle[k])
            for p in outline:
                cross = np.cross([*(b - a), 0], [*(p - a), 0])[2]
                inside = 1e-9 < np.dot(p - a, b - a) < np.dot(b - a, b - a) - 1e-9
                assert not (abs(cross) < 1e-9 and inside)


@pytest.mark.parametrize("detail", [LOW, MEDIUM, HIGH])
def test_block_is_a_box_less_its_rounded_edges(detail):
    parts = Parts(detail)
    parts.block((0, 0, 0), (1, 2, 3), "wood", "table", radius=0.1)
    r, (a, b, c) = 0.1, (0.8, 1.8, 2.8)
    rounded = a * b * c + 2 * r * (a * b + b * c + c * a) + np.pi * r**2 * (a + b + c) + 4 / 3 * np.pi * r**3
    expected = 6.0 if detail == LOW else rounded
    assert volume(parts) == pytest.approx(expected, rel=0.002 if detail == HIGH else 0.01)
    corners = np.concatenate(parts.triangles).reshape(-1, 3)
    assert np.allclose([corners.min(0), corners.max(0)], [(0, 0, 0), (1, 2, 3)])


@pytest.mark.parametrize("detail", [MEDIUM, HIGH])
def test_block_without_bottom_stands_straight_on_the_floor(detail):
    parts = Parts(detail)
    parts.block((0, 0, 0), (1, 1, 1), "wood", "table", radius=0.1, skip="bottom")
    corners = np.concatenate(parts.triangles)
    at_floor = corners[np.isclose(corners[..., 1], 0)]
    assert np.isclose(at_floor[:, [0, 2]].min(), 0)
    assert np.isclose(at_floor[:, [0, 2]].max(), 1)
    assert not np.isclose(corners[..., 1], 0).all(1).any()


@pytest.mark.parametrize("detail", [LOW, MEDIUM, HIGH])
def test_turned_body_approaches_a_cylinder(detail):
    parts = Parts(detail)
    curves.lathe(parts, (1, 2, 3), [(0, 0), (0.5, 0), (0.5, 1), (0, 1)], "wood", "table")
    sides = curves.SIDES[detail]
    assert volume(parts) == pytest.approx(0.25 * sides / 2 * np.sin(2 * np.pi / sides))


@pytest.mark.parametrize("detail", [LOW, MEDIUM, HIGH])
def test_pillow_and_loft_face_outwards(detail):
    pillow, loft = Parts(detail), Parts(detail)
    curves.pillow(pillow, (0, 0, 0), (0.5, 0.2, 0.5), "linen", "bed")
    assert 0 < volume(pillow) < 0.05
    curves.loft(loft, (0, 0, 0), [(0, 0, 0, 0), (1, 2, 0.1, 0), (1, 2, 0.1, 1), (0, 0, 0, 1)], "white", "sink")
    assert volume(loft) == pytest.approx(8.0 - (4 - np.pi) * 0.01, rel=0.01)


def test_quarter_turns_bring_the_front_to_the_right():
    for quarter, (x, z) in enumerate([(0, 1), (-1, 0), (0, -1), (1, 0)]):
        arrow, parts = Parts(), Parts()
        arrow.box((-0.1, 0, 0), (0.1, 1, 1), "wood", "table")
        parts.take(arrow, (5, 0, 5), quarter)
        middle = np.concatenate(parts.triangles).reshape(-1, 3)
        middle = (middle.min(0) + middle.max(0)) / 2
        assert middle == pytest.approx((5 + 0.5 * x, 0.5, 5 + 0.5 * z))
        assert volume(parts) == pytest.approx(0.2)
