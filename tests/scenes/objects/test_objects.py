"""Objects of homes: their numbers, view points against Embree and against single distance fields, pictures, files."""

import numpy as np
import pytest
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from batchsim import scenes
from batchsim.scenes import Mesh, Scene, SceneError, bake
from batchsim.scenes.categories import CATEGORIES, HM3D_CATEGORIES, category_of, category_table
from batchsim.scenes.homes import generate_home
from batchsim.scenes.labels import LABELS
from batchsim.scenes.objects.image_goals import IMAGE_HFOV, MIN_FRAME_COVERAGE
from batchsim.scenes.objects.view_points import EYE_HEIGHT, REACH
from batchsim.scenes.walking.geodesic import distance_fields


@pytest.fixture(scope="module", params=["low", "medium"])
def home(request):
    return bake(generate_home(3, request.param).mesh, "home", num_goals=8)


def embree(scene):
    world = EmbreeScene()
    TriangleMesh(world, scene.triangles)
    return world


def nearest_points(triangles, point):
    """The nearest point of each triangle `[T, 3, 3]` to `point` `[3]`, by Ericson's regions, float64 `[T, 3]`."""
    a, b, c = (triangles[:, k].astype(np.float64) for k in range(3))
    best = np.full(len(triangles), np.inf)
    nearest = np.zeros((len(triangles), 3))

    def offer(candidates, allowed):
        distance = np.where(allowed, np.linalg.norm(candidates - point, axis=1), np.inf)
        better = distance < best
        best[better], nearest[better] = distance[better], candidates[better]

    for p, q in ((a, b), (b, c), (c, a)):
        edge = q - p
        t = ((point - p) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-12)
        offer(p + np.clip(t, 0, 1)[:, None] * edge, np.ones(len(p), bool))
    normal = np.cross(b - a, c - a)
    flat = point - normal * (((point - a) * normal).sum(1) / np.maximum((normal * normal).sum(1), 1e-18))[:, None]
    inside = np.ones(len(a), bool)
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(q - p, flat - p) * normal).sum(1) >= 0
    offer(flat, inside)
    return nearest


def test_every_object_has_one_label_and_structure_has_no_number(home):
    structure = np.isin(home.labels, [LABELS.index(name) for name in ("floor", "ceiling", "wall")])
    assert (home.instances[structure] == 0).all()
    assert (home.instances[~structure] > 0).all()
    assert (home.objects.labels[home.instances[~structure] - 1] == home.labels[~structure]).all()
    chairs = np.count_nonzero(home.objects.labels == LABELS.index("chair"))
    plan = generate_home(3).plan
    assert chairs == sum(piece.kind == "chair" for piece in plan.pieces)


def test_objects_are_seen_from_their_view_points_by_turning(home):
    """Embree finds a triangle of the instance first along some ray; lines rise and fall by at most 45 degrees."""
    rng = np.random.default_rng(0)
    world, objects = embree(home), home.objects
    positions = home.walkable.positions
    seen = []
    for row in range(len(objects)):
        cells = objects.view_cells_of(row)
        own = home.triangles[home.instances == row + 1]
        for cell in rng.permutation(cells)[:6]:
            eye = positions[cell] + [0, EYE_HEIGHT, 0]
            # Points all over the instance, not those that baking drew.
            weights = rng.dirichlet((1, 1, 1), (len(own), max(2, 300 // len(own))))
            targets = np.einsum("tks,tsc->tkc", weights, own.astype(np.float64)).reshape(-1, 3)
            way = targets - eye
            level = np.hypot(way[:, 0], way[:, 2])
            way = way[np.abs(way[:, 1]) <= 1.01 * level].astype(np.float32)
            hit = world.run(np.repeat(eye[None], len(way), 0).astype(np.float32), way, output=True)["primID"]
            seen.append((home.instances[hit[hit >= 0]] == row + 1).any())
    assert len(seen) > 200
    assert np.mean(seen) >= 0.99


def test_view_points_lie_within_a_metre(home):
    rng = np.random.default_rng(1)
    objects, positions = home.objects, home.walkable.positions
    for row in range(0, len(objects), 2):
        own = home.triangles[home.instances == row + 1]
        for cell in rng.permutation(objects.view_cells_of(row))[:1]:
            feet = positions[cell].astype(np.float64)
            eyes = [feet + np.array([0, y, 0]) for y in np.linspace(0, EYE_HEIGHT, 14)]
            gaps = [np.linalg.norm(nearest_points(own, eye) - eye, axis=1).min() for eye in eyes]
            assert min(gaps) <= REACH + 2e-3


def test_distances_are_the_least_of_those_to_single_view_points(home):
    objects, walkable = home.objects, home.walkable
    for k, name in enumerate(objects.categories[:2]):
        rows = [r for r in range(len(objects)) if category_of(LABELS[objects.labels[r]]) == name]
        cells = np.concatenate([objects.view_cells_of(r) for r in rows])
        cells = cells[:: max(1, len(cells) // 30)]
        single = distance_fields(walkable, walkable.positions[cells]).min(0)
        every = objects.category_distances[k].astype(np.float64)
        known = np.isfinite(every)
        assert (known == np.isfinite(single)).all()
        # A part of the view points can only be farther away, by the gaps between those that were left out.
        assert (every[known] <= single[known] + 0.02).all()
    fields = objects.category_distances

    def cells_of(name):
        rows = [r for r in range(len(objects)) if category_of(LABELS[objects.labels[r]]) == name]
        return np.concatenate([objects.view_cells_of(r) for r in rows])

    fewest = min(range(len(objects.categories)), key=lambda k: len(cells_of(objects.categories[k])))
    single = distance_fields(walkable, walkable.positions[cells_of(objects.categories[fewest])]).min(0)
    known = np.isfinite(single)
    np.testing.assert_allclose(fields[fewest][known].astype(float), single[known], rtol=0.01, atol=0.01)
    for row, distances in zip(objects.goals[:1], objects.goal_distances[:1], strict=True):
        single = distance_fields(walkable, walkable.positions[objects.view_cells_of(row)]).min(0)
        known = np.isfinite(single)
        np.testing.assert_allclose(distances[known].astype(float), single[known], rtol=0.01, atol=0.01)


def test_pictures_show_their_objects_large_enough(home):
    world, objects = embree(home), home.objects
    half, side = np.tan(np.radians(IMAGE_HFOV) / 2), 48
    across = ((np.arange(side) + 0.5) / side * 2 - 1) * half
    right, below = np.meshgrid(across, across)
    share = []
    for goal, pose in zip(objects.image_goals, objects.image_poses, strict=True):
        heading, pitch = pose[3:]
        ahead = np.array([-np.sin(heading) * np.cos(pitch), np.sin(pitch), -np.cos(heading) * np.cos(pitch)])
        side_axis = np.array([np.cos(heading), 0, -np.sin(heading)])
        up = np.cross(side_axis, ahead)
        ways = (ahead + right[..., None] * side_axis - below[..., None] * up).reshape(-1, 3).astype(np.float32)
        hit = world.run(np.repeat(pose[None, :3], len(ways), 0).astype(np.float32), ways, output=True)["primID"]
        found = np.where(hit >= 0, home.instances[hit], 0) == objects.goals[goal] + 1
        share.append(found.mean())
    assert len(share) >= 2 * len(objects.goals)
    # Coverage is estimated from a few dozen points of the surface.
    assert min(share) > 0.4 * MIN_FRAME_COVERAGE
    assert np.corrcoef(share, objects.image_coverage[:, 0])[0, 1] > 0.8


def test_objects_survive_saving(home, tmp_path):
    home.save(tmp_path / "a.scene")
    again = Scene.load(tmp_path / "a.scene")
    assert again.objects.categories == home.objects.categories
    assert (again.instances == home.instances).all()
    for name, array in home.objects.to_arrays().items():
        np.testing.assert_array_equal(again.objects.to_arrays()[name], array)
        assert again.objects.to_arrays()[name].dtype == array.dtype
    assert (again.mesh.instances == home.instances).all()


@pytest.mark.parametrize("index", range(4))
def test_a_homes_categories_are_known_before_it_is_built(index):
    source = scenes.resolve("homes:train?count=20")[index]
    scene = source.load()
    known = source.categories
    assert set(scene.objects.categories) <= set(known)
    named = {category_of(LABELS[label]) for label in scene.objects.labels} - {None}
    assert named == set(known)


def test_the_table_has_the_ids_of_hm3d():
    assert CATEGORIES[:6] == HM3D_CATEGORIES == ("chair", "bed", "plant", "toilet", "tv_monitor", "sofa")
    assert category_table([("piano", "chair"), ("globe",)]) == (*CATEGORIES, "globe", "piano")
    assert category_of("couch") == "sofa"
    assert category_of("wall") is None


def test_an_object_with_two_labels_is_an_error():
    floor = np.array([[[0, 0, 4], [4, 0, 4], [4, 0, 0]], [[0, 0, 4], [4, 0, 0], [0, 0, 0]]], np.float32)
    mesh = Mesh(floor, np.zeros((2, 3, 2)), np.zeros(2), np.array([1, 2]), instances=np.array([1, 1]))
    with pytest.raises(SceneError, match="Object 1 has triangles with the labels 1 and 2"):
        bake(mesh, "floor", num_goals=2)
