"""Articulated objects: links placed as forward kinematics by hand says."""

import math

import numpy as np
import pytest

from batchsim.scenes import SceneError, resolve
from batchsim.scenes.sources.habitat.urdf import read_urdf
from tests.helpers.habitat_files import room_triangles, write_box, write_json, write_triangles

HALF = math.sqrt(0.5)
# A cupboard of 1 x 2 x 0.5 m; its door, 1 x 2 x 0.02 m, hangs on a hinge at its front left edge; in the door a drawer
# that slides along the door's y, and whose own frame is turned by a quarter about z.
URDF = """<?xml version="1.0"?><robot name="cupboard">
<link name="root"/>
<link name="body"><visual><origin xyz="0 1 0"/><geometry><mesh filename="{prefix}body.glb" scale="1 2 0.5"/></geometry>
</visual><collision><geometry><mesh filename="nothing.glb"/></geometry></collision></link>
<link name="door"><visual><origin xyz="0.5 1 0"/><geometry><mesh filename="door.glb"/></geometry></visual></link>
<link name="drawer"><visual><origin rpy="0 0 1.5707963"/><geometry><mesh filename="drawer.glb"/></geometry></visual>
<visual><geometry><box size="1 1 1"/></geometry></visual></link>
<joint name="base" type="fixed"><parent link="root"/><child link="body"/></joint>
<joint name="hinge" type="revolute"><parent link="body"/><child link="door"/><origin xyz="-0.5 0 0.25"/>
<axis xyz="0 2 0"/></joint>
<joint name="slide" type="prismatic"><parent link="door"/><child link="drawer"/><origin xyz="0.5 1 0"/>
<axis xyz="0 1 0"/></joint></robot>"""


@pytest.fixture
def dataset(tmp_path):
    write_triangles(tmp_path / "stages" / "room.glb", room_triangles(8, 6, 3))
    write_json(tmp_path / "stages" / "room.stage_config.json", {"render_asset": "room.glb"})
    folder = tmp_path / "urdf" / "cupboard"
    write_box(folder / "body.glb", (1, 1, 1))
    write_box(folder / "door.glb", (1, 2, 0.02))
    write_box(folder / "drawer.glb", (0.2, 0.4, 0.6))
    (folder / "cupboard.urdf").write_text(URDF.format(prefix=""))
    write_scene(tmp_path, [{"template_name": "cupboard"}])
    return write_json(
        tmp_path / "a.scene_dataset_config.json",
        {
            "stages": {"paths": {".json": ["stages"]}},
            "articulated_objects": {"paths": {".urdf": ["urdf/*"], ".json": ["urdf/*/"]}},
            "scene_instances": {"paths": {".json": ["scenes"]}},
        },
    )


def write_scene(folder, instances):
    scene = {"stage_instance": {"template_name": "room"}, "articulated_object_instances": instances}
    write_json(folder / "scenes" / "flat.scene_instance.json", scene)


def parts(spec):
    """Bounds of the boxes that follow the room, in order, and the mesh with its labels."""
    (source,) = resolve(str(spec))
    mesh, names = source.read_mesh()
    boxes = mesh.triangles[12:].reshape(-1, 36, 3)
    return np.stack([boxes.min(1), boxes.max(1)], 1), mesh, [names[label] for label in mesh.labels]


CLOSED = [[[-0.5, 0, -0.25], [0.5, 2, 0.25]], [[-0.5, 0, 0.24], [0.5, 2, 0.26]], [[-0.2, 0.9, -0.05], [0.2, 1.1, 0.55]]]


def test_the_resting_pose(dataset):
    with pytest.warns(UserWarning, match=r"1 parts of .*cupboard\.urdf that are no 3D files"):
        found, mesh, labels = parts(dataset)
    np.testing.assert_allclose(found, CLOSED, atol=1e-5)
    assert set(labels[12:]) == {"cupboard"}
    assert len(set(mesh.instances[12:].tolist())) == 1


@pytest.mark.filterwarnings("ignore:.*no 3D files")
@pytest.mark.parametrize("pose", [{"hinge": math.pi / 2, "slide": 0.3}, [math.pi / 2, 0.3]])
def test_joints_are_moved_as_the_scene_says(dataset, pose):
    """The door is turned by a quarter about y: from x to -z. The object is turned by a half and doubled."""
    instance = {"translation": [1, 0.5, 2], "rotation": [0, 0, 1, 0], "uniform_scale": 2, "initial_joint_pose": pose}
    write_scene(dataset.parent, [{"template_name": "cupboard"} | instance])
    found, _, _ = parts(dataset)
    opened = np.array(
        [CLOSED[0], [[-0.51, 0, -0.75], [-0.49, 2, 0.25]], [[-0.8, 1.2, -0.45], [-0.2, 1.4, -0.05]]], float
    )
    turned = np.stack([-opened[:, 1], -opened[:, 0]], 1)
    turned[..., 1] = opened[..., 1]
    np.testing.assert_allclose(found, 2 * turned + [1, 0.5, 2], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*no 3D files")
def test_configurations_and_packages(dataset):
    """As HSSD writes it: a configuration with a class of the lexicon; as ROS does: `package://`."""
    folder = dataset.parent / "urdf" / "cupboard"
    (folder / "cupboard.urdf").write_text(URDF.format(prefix="package://cupboard_description/"))
    write_json(folder / "0ab.ao_config.json", {"urdf_filepath": "cupboard.urdf", "semantic_id": 4})
    write_json(dataset.parent / "words.json", {"classes": [{"id": 4, "name": "wardrobe"}]})
    write_json(
        dataset,
        {
            "stages": {"paths": {".json": ["stages"]}},
            "articulated_objects": {"paths": {".json": ["urdf/*/"]}},
            "scene_instances": {
                "default_attributes": {
                    "semantic_scene_instance": "%%CONFIG_NAME_AS_ASSET_FILENAME%%.semantic_config.json"
                },
                "paths": {".json": ["scenes"]},
            },
            "semantic_scene_descriptor_instances": {
                "default_attributes": {"semantic_descriptor_filename": "../../words.json"},
                "paths": {".json": ["semantics/*"]},
            },
        },
    )
    write_json(dataset.parent / "semantics" / "scenes" / "flat.semantic_config.json", {"region_annotations": []})
    write_scene(dataset.parent, [{"template_name": "0ab"}])
    found, _, labels = parts(dataset)
    np.testing.assert_allclose(found, CLOSED, atol=1e-5)
    assert set(labels[12:]) == {"wardrobe"}


def test_what_is_left_out_is_named(dataset):
    write_scene(dataset.parent, [{"template_name": "stove"}, {"template_name": "cupboard"}])
    (dataset.parent / "urdf" / "cupboard" / "door.glb").unlink()
    with pytest.warns(UserWarning, match="left out") as caught:
        found, _, _ = parts(dataset)
    messages = [str(warning.message) for warning in caught]
    assert any("the articulated object 'stove' is left out (not in" in message for message in messages)
    assert any("door.glb is missing and left out" in message for message in messages)
    np.testing.assert_allclose(found, [CLOSED[0], CLOSED[2]], atol=1e-5)
    (dataset.parent / "urdf" / "cupboard" / "cupboard.urdf").unlink()
    with pytest.warns(UserWarning, match=r"'cupboard' is left out"):
        parts(dataset)


def test_every_file_is_part_of_the_cache_key(dataset):
    (source,) = resolve(str(dataset))
    before = source.content()
    for path in sorted((dataset.parent / "urdf").rglob("*.*")):
        kept = path.read_bytes()
        path.write_bytes(kept + b" \n  ")
        assert source.content() != before, path
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<robot>", "damaged, cannot be read as URDF"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><robot/>', "defines XML entities"),
        ('<robot><link name="a"/><joint name="b" type="fixed"><parent link="a"/></joint></robot>', "parent or child"),
        (
            '<robot><link name="a"/><link name="b"/><joint name="c"><parent link="a"/><child link="b"/></joint>'
            '<joint name="d"><parent link="b"/><child link="a"/></joint></robot>',
            "hangs on itself",
        ),
        (URDF.format(prefix="").replace("0.5 1 0", "0.5 one 0"), "damaged"),
        (URDF.format(prefix="").replace("0.5 1 0", "0.5 nan 0"), "three numbers"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    path = tmp_path / "x.urdf"
    path.write_text(text)
    with pytest.raises(SceneError, match=message) as error:
        read_urdf(path)
    assert "x.urdf" in str(error.value)
