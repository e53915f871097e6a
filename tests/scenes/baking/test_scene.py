import json
import multiprocessing
import struct
import warnings
from dataclasses import fields

import numpy as np
import pytest

from batchsim import scenes
from batchsim.scenes import AgentBody, Mesh, Scene, SceneError, bake
from batchsim.scenes.baking.cache import CacheKey, cached
from tests.helpers.paths import SHARED_SCENES


def room(width=4.0, depth=6.0, pillar=True):
    """A floor from the origin, walled, with a 1 x 1 m pillar at its middle."""
    boxes = [(-0.1, 0, -0.1, 0, 2, depth + 0.1), (width, 0, -0.1, width + 0.1, 2, depth + 0.1)]
    boxes += [(0, 0, -0.1, width, 2, 0), (0, 0, depth, width, 2, depth + 0.1)]
    if pillar:
        boxes.append((width / 2 - 0.5, 0, depth / 2 - 0.5, width / 2 + 0.5, 2, depth / 2 + 0.5))
    quads = [[(0, 0, depth), (width, 0, depth), (width, 0, 0), (0, 0, 0)]]
    for x0, y0, z0, x1, y1, z1 in boxes:
        ring = [(x0, z0), (x0, z1), (x1, z1), (x1, z0)]
        for (xa, za), (xb, zb) in zip(ring, ring[1:] + ring[:1], strict=True):
            quads.append([(xa, y0, za), (xb, y0, zb), (xb, y1, zb), (xa, y1, za)])
    return Mesh.from_triangles(np.array(quads, np.float32)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3), label=1)


@pytest.fixture(scope="module")
def scene():
    return bake(room(), "room", num_goals=16)


def assert_same(a: Scene, b: Scene):
    for name in ("triangles", "uvs", "materials", "labels", "goals", "goal_distances"):
        one, other = getattr(a, name), getattr(b, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for part in ("bvh", "walkable"):
        for field in fields(getattr(a, part)):
            ours, theirs = getattr(getattr(a, part), field.name), getattr(getattr(b, part), field.name)
            assert getattr(ours, "dtype", type(ours)) == getattr(theirs, "dtype", type(theirs))
            np.testing.assert_array_equal(ours, theirs)
    assert len(a.textures) == len(b.textures)
    assert all((s == t).all() for s, t in zip(a.textures, b.textures, strict=True))
    assert (a.name, a.body, a.material_table, a.label_names, a.offset) == (
        b.name,
        b.body,
        b.material_table,
        b.label_names,
        b.offset,
    )


def test_walkable_area_of_a_room_with_a_pillar_is_what_is_left_of_the_radius(scene):
    # 3.8 x 5.8 m of floor less the pillar grown by 10 cm (its corners rounded).
    expected = 3.8 * 5.8 - (1.2 * 1.2 - (4 - np.pi) * 0.1**2)
    assert scene.walkable.area == pytest.approx(expected, rel=0.03)
    assert scene.bounds.tolist() == [
        [pytest.approx(-0.1), 0, pytest.approx(-0.1)],
        [pytest.approx(4.1), 2, pytest.approx(6.1)],
    ]


def test_geodesic_distance_around_the_pillar_matches_the_taut_string(scene):
    # From the middle of one short wall to the other: two tangents to the pillar grown by 0.1 m, its side, two arcs.
    a, b = np.array([2, 0, 0.5], np.float32), np.array([2, 0, 5.5], np.float32)
    # The string touches the corner circle of radius 0.1 around (2.5, 2.5).
    leg = np.hypot(0.5, 2.0)
    tangent = np.sqrt(leg**2 - 0.01)
    turn = np.arctan2(0.5, 2.0) + np.arctan2(0.1, tangent)
    exact = 2 * tangent + 1.0 + 2 * 0.1 * turn
    assert scene.geodesic_distance(a, b) == pytest.approx(exact, rel=0.02)
    path = scene.shortest_path(a, b)
    walked = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert exact * 0.98 < walked < exact * 1.09  # a path steps from cell to cell
    np.testing.assert_allclose(path[0], a, atol=0.05)
    np.testing.assert_allclose(path[-1], b, atol=0.05)


def test_is_navigable_and_samples_agree(scene):
    assert scene.is_navigable([[1, 0, 1], [2, 0, 3], [-1, 0, 1], [1, 1.5, 1]]).tolist() == [True, False, False, False]
    points = scene.sample_navigable(2000, np.random.default_rng(0))
    assert points.dtype == np.float32
    assert scene.is_navigable(points).all()
    # Evenly spread: as many on either side of the room's middle.
    assert abs((points[:, 2] < 3).mean() - 0.5) < 0.05


def test_goal_fields_are_distances(scene):
    assert scene.goal_distances.dtype == np.float16
    for g in (0, 7):
        cells = np.arange(0, scene.walkable.num_cells, 997)
        exact = scene.geodesic_distance(scene.walkable.positions[cells], scene.goals[g])
        np.testing.assert_allclose(scene.goal_distances[g, cells], exact, rtol=1e-3, atol=0.05)


def test_with_goals_appends(scene):
    more = scene.with_goals([[1, 0, 1], [3, 0, 5]])
    assert len(more.goals) == len(scene.goals) + 2
    assert len(scene.goals) == 16
    cell = int(scene.walkable.locate(np.array([1.0, 0, 4.0])))
    assert more.goal_distances[16, cell] == pytest.approx(3.0, abs=0.05)
    with pytest.raises(SceneError, match="not on walkable floor"):
        scene.with_goals([[2, 0, 3]])


def test_baking_twice_gives_the_same_arrays(scene):
    assert_same(scene, bake(room(), "room", num_goals=16))
    assert (bake(room(), "room", num_goals=16, seed=1).goals != scene.goals).any()


def test_triangles_are_those_of_the_mesh_in_another_order(scene):
    key = lambda t: np.sort(t.reshape(len(t), -1).view("f4,f4,f4,f4,f4,f4,f4,f4,f4").ravel())  # noqa: E731
    assert (key(scene.triangles) == key(room().triangles)).all()


def test_save_and_load(scene, tmp_path):
    path = tmp_path / "deep" / "room.scene"
    scene.save(path)
    assert_same(scene, Scene.load(path))
    assert [p.name for p in path.parent.iterdir()] == ["room.scene"]


def test_textured_scenes_share_equal_textures_in_memory(tmp_path):
    scene = scenes.load("one-room", num_goals=4)
    assert len(scene.textures) == 3
    scene.save(tmp_path / "a.scene")
    first, second = Scene.load(tmp_path / "a.scene"), Scene.load(tmp_path / "a.scene")
    assert_same(first, scene)
    assert all(a is b for a, b in zip(first.textures, second.textures, strict=True))


def test_damaged_files_name_the_path(scene, tmp_path):
    path = tmp_path / "room.scene"
    scene.save(path)
    data = path.read_bytes()
    for length in (0, 3, 8, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(SceneError, match=r"room\.scene"):
            Scene.load(path)
    path.write_bytes(b"not a scene at all" * 100)
    with pytest.raises(SceneError, match=r"room\.scene"):
        Scene.load(path)
    with pytest.raises(SceneError, match=r"nowhere\.scene does not exist"):
        Scene.load(tmp_path / "nowhere.scene")
    with pytest.raises(SceneError):
        Scene.load(tmp_path)


def rewrite_header(data: bytes, change) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data[8 + length :]


def about(header, old, new):
    """Change what the header says of the scene."""
    assert old in header["__metadata__"]["scene"]
    header["__metadata__"]["scene"] = header["__metadata__"]["scene"].replace(old, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["__metadata__"].update(version="99"), "format version 99"),
        (lambda h: h["__metadata__"].update(format="weights"), "not a baked scene"),
        (lambda h: h["__metadata__"].update(scene="{"), "damaged"),
        (lambda h: h.update(odd=h.pop("labels")), "damaged"),
        (lambda h: about(h, '"labels": ["<i4"', '"labels": ["<f4"'), "damaged"),
        (lambda h: about(h, '"labels": ["<i4", [', '"labels": ["<i4", [9, '), "damaged.*expected"),
    ],
)
def test_foreign_headers_are_refused(scene, tmp_path, change, message):
    path = tmp_path / "room.scene"
    scene.save(path)
    path.write_bytes(rewrite_header(path.read_bytes(), change))
    with pytest.raises(SceneError, match=message):
        Scene.load(path)


def test_an_unwritable_folder_is_an_error(scene, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SceneError, match="cannot be written"):
        scene.save(tmp_path / "file" / "room.scene")


def key_of(name="room"):
    return CacheKey(name, "what it is made of", "code")


def test_cache_bakes_once_and_again_when_damaged(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))
    made = []

    def make():
        made.append(1)
        return scene

    assert_same(cached(key_of(), make), scene)
    assert_same(cached(key_of(), make), scene)
    assert len(made) == 1
    key_of().path.write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match="again"):
        cached(key_of(), make)
    assert len(made) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached(key_of(), make)
    assert len(made) == 2


def test_cache_keeps_one_file_a_scene_over_changes_of_the_code(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))
    cached(CacheKey("room", "content", "code 1"), lambda: scene)
    cached(CacheKey("room", "other content", "code 1"), lambda: scene)
    cached(CacheKey("room", "content", "code 2"), lambda: scene)
    assert len(list(tmp_path.iterdir())) == 2


def test_cache_folder_that_cannot_be_written_only_warns(scene, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="BATCHSIM_CACHE"):
        assert cached(key_of(), lambda: scene) is scene


def save_often(scene: Scene, path: str):
    for _ in range(20):
        scene.save(path)


def test_writers_at_once_leave_one_whole_file(scene, tmp_path):
    path = tmp_path / "room.scene"
    scene.save(path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=save_often, args=(scene, str(path))) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        Scene.load(path)
    assert all(writer.exitcode == 0 for writer in writers)
    assert [p.name for p in tmp_path.iterdir()] == ["room.scene"]
    assert_same(Scene.load(path), scene)


def test_every_field_is_saved():
    # A field added to Scene must be added to the file too.
    assert {f.name for f in fields(Scene)} == {
        *("name", "triangles", "uvs", "materials", "labels", "material_table", "textures", "bvh", "walkable"),
        *("goals", "goal_distances", "body", "label_names", "instances", "objects", "offset"),
    }


def test_another_body_bakes_another_floor(scene):
    wide = bake(room(), "room", AgentBody(radius=0.4), num_goals=4)
    assert wide.walkable.area < scene.walkable.area - 5
    assert wide.body.radius == 0.4


def test_real_meshes_survive_a_round_trip(tmp_path):
    mesh_file = SHARED_SCENES / "nav_test.obj"
    if not mesh_file.exists():
        pytest.skip("no shared scenes here")
    scene = scenes.load(mesh_file, num_goals=4)
    scene.save(tmp_path / "nav.scene")
    assert_same(Scene.load(tmp_path / "nav.scene"), scene)
