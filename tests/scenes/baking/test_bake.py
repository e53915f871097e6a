import time

import numpy as np
import pytest

from batchsim.scenes import LABELS, AgentBody, Mesh, SceneError, bake
from batchsim.scenes.homes import generate_home


def floor(size=4.0, y=0.0):
    corners = np.array([[0, y, size], [size, y, size], [size, y, 0], [0, y, 0]], np.float32)
    return corners[[[0, 1, 2], [0, 2, 3]]]


def test_empty_mesh():
    with pytest.raises(SceneError, match="nothing: the mesh has no triangles"):
        bake(Mesh.from_triangles(np.zeros((0, 3, 3))), "nothing")


def test_no_floor_says_what_to_check():
    wall = floor()[..., [1, 0, 2]]  # x and y exchanged: upright
    with pytest.raises(SceneError, match=r"wall: No walkable floor.*up='z'"):
        bake(Mesh.from_triangles(wall), "wall")


def test_centimetres_are_no_floor_either():
    with pytest.raises(SceneError, match=r"scale=0\.01"):
        bake(Mesh.from_triangles(floor(0.04)), "tiny")


def test_nan_is_refused_with_a_count():
    triangles = floor()
    triangles[0, 1, 2] = np.nan
    with pytest.raises(SceneError, match="1 of 2 triangles"):
        Mesh.from_triangles(triangles)


def test_labels_need_names():
    with pytest.raises(SceneError, match="labels run from 7 to 7"):
        bake(Mesh.from_triangles(floor(), label=7), "floor", label_names=("nothing", "floor"))


def test_at_least_one_goal():
    with pytest.raises(SceneError, match="num_goals"):
        bake(Mesh.from_triangles(floor()), "floor", num_goals=0)


def test_a_low_home_is_small_and_its_goals_are_within_reach():
    scene = bake(generate_home(3).mesh, "home")
    assert scene.goals.shape == (64, 3)
    assert scene.is_navigable(scene.goals).all()
    # Every goal can be reached from every goal of its island.
    cells = scene.walkable.locate(scene.goals)
    same = scene.walkable.islands[cells][:, None] == scene.walkable.islands[cells]
    assert (np.isfinite(scene.goal_distances[:, cells]) == same).all()
    # Distance there is distance back.
    there = scene.goal_distances[:, cells].astype(np.float32)
    np.testing.assert_allclose(there[same], there.T[same], rtol=2e-3, atol=0.02)


def test_two_floors_far_apart_are_islands_without_a_way():
    scene = bake(Mesh.from_triangles(np.concatenate([floor(), floor(y=3.0)])), "two", AgentBody(), num_goals=8)
    low, high = np.array([1.0, 0, 1.0]), np.array([1.0, 3.0, 1.0])
    assert scene.geodesic_distance(low, high) == np.inf
    assert scene.geodesic_distance(low, np.array([3.0, 0, 1.0])) == pytest.approx(2, abs=0.05)
    with pytest.raises(SceneError, match="there is no path"):
        scene.shortest_path(low, high)


@pytest.mark.slow
@pytest.mark.parametrize(("detail", "at_least", "seconds"), [("medium", 25_000, 3), ("high", 200_000, 15)])
def test_baking_takes_seconds(detail, at_least, seconds, tmp_path):
    mesh = generate_home(0, detail).mesh
    begin = time.process_time()
    scene = bake(mesh, "home", AgentBody(), num_goals=64, label_names=LABELS)
    assert time.process_time() - begin < seconds
    assert len(scene.triangles) > at_least
    assert len(scene.goals) == 64
    if detail == "medium":
        scene.save(tmp_path / "home.scene")
        assert (tmp_path / "home.scene").stat().st_size <= 4e6
        assert scene.nbytes - sum(texture.nbytes for texture in scene.textures) <= 10e6  # homes share their textures


@pytest.mark.parametrize(
    ("side", "cell_size"),
    # 5 cm; 60,000 cells; 15 cm; 240,000 cells; no more than 25 cm.
    [(10, 0.05), (30, 0.12), (50, 0.15), (80, 80 / 240_000**0.5), (130, 0.25)],
)
def test_cells_of_large_floors(side, cell_size):
    walkable = bake(Mesh.from_triangles(floor(side)), "floor", num_goals=1).walkable
    assert walkable.cell_size == pytest.approx(cell_size, rel=0.02)
    assert walkable.area == pytest.approx((side - 0.2) ** 2, rel=0.01)
