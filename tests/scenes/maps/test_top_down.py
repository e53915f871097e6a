import numpy as np
import pytest

from batchsim import scenes
from batchsim.scenes import LABELS, Mesh, bake
from batchsim.scenes.homes import generate_home
from batchsim.scenes.maps.top_down import FLOOR, OBSTACLE, OUTSIDE, WALL, top_down


def box(x0, y0, z0, x1, y1, z1):
    """Sides and top of a box, fronts outside."""
    ring = [(x0, z0), (x0, z1), (x1, z1), (x1, z0)]
    quads = [[(x0, y1, z1), (x1, y1, z1), (x1, y1, z0), (x0, y1, z0)]]
    for (xa, za), (xb, zb) in zip(ring, ring[1:] + ring[:1], strict=True):
        quads.append([(xa, y0, za), (xb, y0, zb), (xb, y1, zb), (xa, y1, za)])
    return quads


def mesh_of(quads, label=0):
    return Mesh.from_triangles(np.array(quads, np.float32)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3), label)


def floor(y, x0=0.0, x1=6.0):
    return [[(x0, y, 4), (x1, y, 4), (x1, y, 0), (x0, y, 0)]]


def ceiling(y):
    return [corners[::-1] for corners in floor(y)]


def color_at(drawn, *point):
    column, row = drawn.to_pixel(np.array(point, np.float32)).astype(int)
    return tuple(drawn.image[row, column].tolist())


def test_floor_furniture_walls_and_lintels_where_they_are():
    quads = floor(0) + box(1, 0, 1, 2, 0.7, 2) + box(3, 0, 0, 3.1, 2.5, 3) + box(3, 2.05, 3, 3.1, 2.5, 4)
    quads += box(4, 0, 3, 5, 0.01, 3.5)
    drawn = top_down(bake(mesh_of(quads), "room", num_goals=4), 50)
    assert drawn.image.dtype == np.uint8
    assert drawn.image.shape == (round((4 + 0.6) * 50), round((6 + 0.6) * 50), 3)
    assert color_at(drawn, 0.5, 0, 3.5) == FLOOR
    assert color_at(drawn, 1.5, 0, 1.5) == OBSTACLE
    assert color_at(drawn, 3.05, 0, 1.5) == WALL
    assert color_at(drawn, 3.05, 0, 3.5) == FLOOR, "one walks below a lintel"
    assert color_at(drawn, 4.5, 0, 3.2) == FLOOR, "and over a rug"
    assert color_at(drawn, -0.2, 0, 2) == OUTSIDE


def test_labelled_walls_are_walls_whatever_their_height():
    parts = [
        mesh_of(floor(0), LABELS.index("floor")),
        mesh_of(box(1, 0, 1, 2, 2.1, 2), LABELS.index("wardrobe")),
        mesh_of(box(3, 0, 0, 3.1, 1.6, 3), LABELS.index("wall")),
    ]
    drawn = top_down(bake(Mesh.concatenate(parts), "room", num_goals=4))
    assert color_at(drawn, 1.5, 0, 1.5) == OBSTACLE
    assert color_at(drawn, 3.05, 0, 1.5) == WALL


def test_storeys_stand_side_by_side():
    quads = floor(0) + ceiling(2.8) + floor(3) + ceiling(5.8) + box(1, 0, 1, 2, 0.7, 2) + box(4, 3, 1, 5, 3.7, 2)
    drawn = top_down(bake(mesh_of(quads), "two", num_goals=4), 20)
    np.testing.assert_allclose(drawn.levels, [0, 3], atol=0.01)
    assert drawn.image.shape[1] == 2 * drawn.panel_width
    assert color_at(drawn, 1.5, 0.2, 1.5) == OBSTACLE
    assert color_at(drawn, 1.5, 3.0, 1.5) == FLOOR
    assert color_at(drawn, 4.5, 2.9, 1.5) == OBSTACLE
    below, above = drawn.to_pixel(np.array([[1, 0, 1], [1, 3, 1]]))
    np.testing.assert_allclose(above - below, [drawn.panel_width, 0])


def test_to_pixel_by_worked_numbers():
    drawn = top_down(scenes.load("one-room", num_goals=2), 10)
    # The room's corner at (-5, -5) lies 0.3 m inside the image.
    np.testing.assert_allclose(drawn.to_pixel(np.array([[-5, 0, -5], [0, 0, 5]])), [[3, 3], [53, 103]], atol=1e-4)


def test_a_path_through_a_home_lies_on_its_floor():
    scene = bake(generate_home(5).mesh, "home", num_goals=8)
    drawn = top_down(scene)
    cells = np.random.default_rng(0).integers(scene.walkable.num_cells, size=4000)
    points = scene.walkable.positions[cells]
    column, row = drawn.to_pixel(points).astype(int).T
    on_floor = (drawn.image[row, column] == FLOOR).all(1)
    assert on_floor.all()
    shares = [(drawn.image == color).all(2).mean() for color in (FLOOR, OBSTACLE, WALL)]
    assert shares[0] > 0.3
    assert min(shares) > 0.02


@pytest.mark.parametrize("pixels_per_metre", [5, 200])
def test_any_scale_within_bounds(pixels_per_metre):
    drawn = top_down(scenes.load("one-room", num_goals=2), pixels_per_metre, max_pixels=500)
    assert max(drawn.image.shape) <= 501
    assert drawn.pixels_per_metre == pytest.approx(min(pixels_per_metre, 500 / 10.6))
