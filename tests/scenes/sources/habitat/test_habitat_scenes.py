import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from batchsim.scenes import SceneError, resolve
from batchsim.scenes.sources import importer
from batchsim.scenes.sources.habitat.orientation import frame_rotation, rotation_of
from tests.helpers.habitat_files import Z_TO_Y, room_triangles, write_box, write_json, write_triangles

HALF = math.sqrt(0.5)


def read(spec):
    (source,) = resolve(str(spec))
    mesh, names = source.read_mesh()
    return mesh, np.array([names[label] for label in mesh.labels])


def bounds_of(mesh, instance):
    corners = mesh.triangles[mesh.instances == instance].reshape(-1, 3)
    return np.stack([corners.min(0), corners.max(0)])


@pytest.fixture
def dataset(tmp_path):
    """A room with z up, a chair of 0.4 x 1 x 0.6 m that stands on its origin, and a scene of both."""
    write_triangles(tmp_path / "stages" / "room.glb", room_triangles(8, 6, 3) @ Z_TO_Y)
    write_json(
        tmp_path / "stages" / "room.stage_config.json",
        {"render_asset": "room.glb", "up": [0, 0, 1], "front": [0, 1, 0], "unknown": {"key": 1}},
    )
    write_box(tmp_path / "objects" / "chair.glb", (0.4, 1.0, 0.6), (0, 0.5, 0))
    write_json(tmp_path / "objects" / "wooden_chair_01.object_config.json", {"render_asset": "chair.glb", "mass": 3})
    instances = [
        {"template_name": "wooden_chair_01", "translation": [1, 0, 2], "rotation": [HALF, 0, HALF, 0]},
        {"template_name": "objects/wooden_chair_01", "translation": [-1, 0, -2], "uniform_scale": 0.5},
        {"template_name": "small", "translation": [2, 0.5, 0], "translation_origin": "COM"},
    ]
    write_json(
        tmp_path / "scenes" / "flat.scene_instance.json",
        {"stage_instance": {"template_name": "stages/room"}, "object_instances": instances},
    )
    small = {
        "original_file": "objects/wooden_chair_01.object_config.json",
        "template_handle": "small",
        "attributes": {"scale": [1, 0.5, 2]},
    }
    return write_json(
        tmp_path / "my.scene_dataset_config.json",
        {
            "stages": {"paths": {".json": ["stages"]}},
            "objects": {"paths": {".json": ["objects/*"]}, "configs": [small]},
            "scene_instances": {"paths": {".json": ["scenes"]}},
        },
    )


def test_directions_and_quaternions():
    frame = frame_rotation((0, 0, 1), (0, 1, 0), "x")
    np.testing.assert_allclose(frame @ [3, 4, 5], [3, 5, -4], atol=1e-12)
    # Without a front, the shortest rotation: the same for z up.
    np.testing.assert_allclose(frame_rotation((0, 0, 2), None, "x"), frame, atol=1e-12)
    np.testing.assert_allclose(frame_rotation(None, None, "x"), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(frame_rotation((0, -1, 0), (0, 0, -1), "x"), np.diag([-1, -1, 1]), atol=1e-12)
    w, x, y, z = 0.8, -0.4, 0.2, 0.4
    np.testing.assert_allclose(rotation_of((w, x, y, z), "x"), Rotation.from_quat([x, y, z, w]).as_matrix(), atol=1e-12)


def test_stage_and_objects_are_put_together(dataset, monkeypatch):
    opened = []
    original = importer.read_surfaces
    monkeypatch.setattr(importer, "read_surfaces", lambda path: opened.append(path.name) or original(path))
    mesh, labels = read(dataset)
    # Every file once, however often it is shown.
    assert sorted(opened) == ["chair.glb", "room.glb"]
    assert len(mesh) == 4 * 12
    np.testing.assert_allclose(bounds_of(mesh, 1), [[-4, 0, -3], [4, 3, 3]], atol=1e-5)
    # A quarter turn about y swaps width and depth.
    np.testing.assert_allclose(bounds_of(mesh, 2), [[0.7, 0, 1.8], [1.3, 1, 2.2]], atol=1e-5)
    np.testing.assert_allclose(bounds_of(mesh, 3), [[-1.1, 0, -2.15], [-0.9, 0.5, -1.85]], atol=1e-5)
    # By the centre: 0.5 m is the middle of its height of 0.5 m.
    np.testing.assert_allclose(bounds_of(mesh, 4), [[1.8, 0.25, -0.6], [2.2, 0.75, 0.6]], atol=1e-5)
    assert set(labels[mesh.instances == 2]) == set(labels[mesh.instances == 3]) == {"wooden chair"}


def test_names_of_scenes(dataset):
    folder = dataset.parent
    assert resolve(str(dataset)).names == [f"{dataset}?scene=scenes/flat"]
    assert resolve(str(folder)).names == resolve(str(dataset)).names
    instance = folder / "scenes" / "flat.scene_instance.json"
    by_instance, by_handle = read(instance), read(f"{dataset}?scene=flat")
    np.testing.assert_array_equal(by_instance[0].triangles, by_handle[0].triangles)
    dataset.unlink()
    # Without the dataset, templates are found in the folders around the scene; 'small' was defined in it.
    with pytest.raises(SceneError, match=r"flat\.scene_instance\.json: the object 'small' is not in"):
        read(instance)


def test_a_changed_configuration_is_read_again(dataset):
    (source,) = resolve(str(dataset))
    assert source.read_mesh()[0].bounds[1, 1] == pytest.approx(3)
    path = dataset.parent / "stages" / "room.stage_config.json"
    write_json(path, json.loads(path.read_text()) | {"scale": [1, 1.5, 1]})
    assert source.read_mesh()[0].bounds[1, 1] == pytest.approx(4.5)


def test_a_dataset_as_hm3d_writes_it(tmp_path):
    """Stages without configurations, which default attributes describe; two datasets of the same scans."""
    for name in ("00800-Aa", "00801-Bb"):
        stage = tmp_path / "val" / name / f"{name[-2:]}.basis.glb"
        write_triangles(stage, room_triangles(8, 6, 3) @ Z_TO_Y)
        write_triangles(
            stage.with_name(f"{name[-2:]}.semantic.glb"), room_triangles(8, 6, 3) @ Z_TO_Y, np.ones((12, 3))
        )
        stage.with_name(f"{name[-2:]}.semantic.txt").write_text('HM3D Semantic Annotations\n1,FFFFFF,"wall",0\n')
    own = "%%CONFIG_NAME_AS_ASSET_FILENAME%%"
    defaults = {"up": [0, 0, 1], "front": [0, 1, 0], "semantic_asset": f"{own}.semantic.glb"}
    defaults["semantic_descriptor_filename"] = f"{own}.semantic.txt"
    stages = {"default_attributes": defaults, "paths": {".glb": ["val/*/*.glb"]}}
    for name in ("hm3d_annotated_basis", "hm3d_basis"):
        write_json(tmp_path / f"{name}.scene_dataset_config.json", {"stages": stages})
    found = resolve(str(tmp_path))
    first = tmp_path / "hm3d_annotated_basis.scene_dataset_config.json"
    assert found.names == [f"{first}?scene=val/00800-Aa/Aa", f"{first}?scene=val/00801-Bb/Bb"]
    scene = found[0].open()
    assert scene.descriptor.name == "Aa.semantic.txt"
    assert scene.stage.template.semantic_mesh.name == "Aa.semantic.glb"
    mesh, labels = read(found.names[1])
    np.testing.assert_allclose(mesh.bounds, [[-4, 0, -3], [4, 3, 3]], atol=1e-5)
    assert set(labels) == {"wall"}


def test_a_mirrored_object_shows_its_front_faces(dataset):
    scene = dataset.parent / "scenes" / "flat.scene_instance.json"
    write_json(scene, {"object_instances": [{"template_name": "small", "non_uniform_scale": [-1, 1, 1]}]})
    mesh, _ = read(dataset)
    a, b, c = mesh.triangles.swapaxes(0, 1).astype(np.float64)
    assert np.einsum("ti,ti->t", a, np.cross(b, c)).sum() / 6 == pytest.approx(0.4 * 0.5 * 1.2, rel=1e-4)


def test_a_stage_without_configuration_has_z_up(tmp_path):
    stage = write_triangles(tmp_path / "a.glb", room_triangles(8, 6, 3) @ Z_TO_Y)
    mesh, _ = read(f"{stage}?habitat=yes")
    np.testing.assert_allclose(mesh.bounds, [[-4, 0, -3], [4, 3, 3]], atol=1e-5)
    upright = write_triangles(tmp_path / "b.glb", room_triangles(8, 6, 3))
    with pytest.warns(UserWarning, match=r"b\.glb.*y up"):
        mesh, _ = read(f"{upright}?habitat=yes")
    np.testing.assert_allclose(mesh.bounds, [[-4, 0, -3], [4, 3, 3]], atol=1e-5)


def test_every_file_is_part_of_the_cache_key(dataset):
    (source,) = resolve(str(dataset))
    folder = dataset.parent
    before = source.content()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        kept = path.read_bytes()
        path.write_bytes(kept + b" \n  ")
        assert source.content() != before, path
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("my.scene_dataset_config.json", {"stages": {"paths": ["a"]}}, "my.scene_dataset_config.json is not"),
        ("scenes/flat.scene_instance.json", {"object_instances": {}}, "flat.scene_instance.json is not"),
        ("scenes/flat.scene_instance.json", {"stage_instance": {"template_name": "hall"}}, "the stage 'hall' is not"),
        ("stages/room.stage_config.json", {"up": "z"}, "room.stage_config.json is not"),
        ("stages/room.stage_config.json", {"up": [0, 0, 0]}, "up is"),
        ("stages/room.stage_config.json", {"up": [0, 1, 1]}, "not perpendicular"),
        ("stages/room.stage_config.json", {"render_asset": "hall.glb"}, "room.stage_config.json: its 3D file"),
        ("objects/wooden_chair_01.object_config.json", {"units_to_meters": 0}, "units_to_meters is 0"),
        ("objects/wooden_chair_01.object_config.json", {"scale": [1, 0, 1]}, "expected no zeros"),
    ],
)
def test_errors_name_the_file(dataset, file, change, message):
    path = dataset.parent / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SceneError, match=message) as error:
        read(dataset)
    assert "\n" not in str(error.value)


def test_a_missing_object_is_left_out_with_a_warning(dataset):
    (dataset.parent / "objects" / "chair.glb").unlink()
    with pytest.warns(UserWarning, match=r"chair\.glb is missing"):
        mesh, _ = read(dataset)
    assert len(mesh) == 12


def test_unknown_scenes_and_options(dataset):
    with pytest.raises(SceneError, match="has no scene 'attic'"):
        resolve(f"{dataset}?scene=attic")
    with pytest.raises(SceneError, match="unknown option 'up'"):
        resolve(f"{dataset}?up=z")


def test_shapes_that_habitat_makes_itself_are_named_and_left_out(dataset):
    scene = dataset.parent / "scenes" / "flat.scene_instance.json"
    objects = [{"template_name": "icosphereSolid_subdivs_1"}, {"template_name": "wooden_chair_01"}]
    write_json(scene, {"object_instances": objects})
    with pytest.warns(UserWarning, match="the primitive shape 'icosphereSolid_subdivs_1' is left out"):
        mesh, _ = read(dataset)
    assert len(mesh) == 12


def test_byte_order_marks_and_hidden_files(dataset):
    for path in [*dataset.parent.rglob("*.json")]:
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7")  # as macOS leaves them on other disks
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    mesh, _ = read(dataset)
    assert len(mesh) == 4 * 12
    assert resolve(str(dataset.parent)).names == [f"{dataset}?scene=scenes/flat"]


def test_files_beside_a_dataset_are_listed_too(dataset):
    """Those of the dataset itself are no scenes of their own."""
    folder = dataset.parent
    (folder / "data").mkdir()
    for path in [path for path in folder.iterdir() if path.name != "data"]:
        path.rename(folder / "data" / path.name)
    moved = folder / "data" / dataset.name
    write_box(folder / "scans" / "hall.glb", (4, 3, 4))
    write_box(folder / "flats" / "objects" / "chair.glb", (1, 1, 1))
    write_json(
        folder / "flats" / "scenes" / "a.scene_instance.json", {"object_instances": [{"template_name": "chair"}]}
    )
    names = resolve(f"{folder}?subfolders=yes").names
    assert names == [
        f"{moved}?scene=scenes/flat",
        str(folder / "flats" / "scenes" / "a.scene_instance.json"),
        str(folder / "scans" / "hall.glb"),
    ]
