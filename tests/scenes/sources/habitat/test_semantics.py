import numpy as np
import pytest
from PIL import Image

from batchsim.scenes import SceneError, resolve
from batchsim.scenes.sources.habitat.descriptors import read_descriptor
from batchsim.scenes.sources.surfaces.color import srgb_to_linear
from tests.helpers.gltf_builder import GltfBuilder
from tests.helpers.habitat_files import Z_TO_Y, floor_tiles, room_triangles, write_json, write_triangles

HM3D = 'HM3D Semantic Annotations\n1,3F5A9C,"floor, wooden",0\n2,#A0B1C2,"Rug",0\n3,0000FF,"rug",1\n'
COLORS = {1: (0x3F, 0x5A, 0x9C), 2: (0xA0, 0xB1, 0xC2), 3: (0, 0, 0xFF)}
PLY = "ply\nformat ascii 1.0\nelement vertex 12\nproperty float x\nproperty float y\nproperty float z\nelement face 4\n"
MP3D = (
    "ASCII 1.1\nH a b 0 0 0 0 3 2 2 1 0 1 0 0 0 0 0 0 0 0 0 0 0\n"
    "C 0 5 arm#chair 3 chair 0 0 0 0 0\nC 1 9 dining#table 5 dining_table 0 0 0 0 0\n"
    "O 0 0 1 1 0 1 1 0 0 0 1 0 1 1 1 0 0\nO 1 0 0 3 0 1 1 0 0 0 1 0 1 1 1 0 0\nO 2 0 -1 3 0 1 1 0 0 0 1 0 1 1 1 0 0\n"
    "E 0 0 41 1 0 0 0 0 0 0 0 0 0\nE 1 0 42 1 0 0 0 0 0 0 0 0 0\nE 2 1 57 1 0 0 0 0 0 0 0 0 0\n"
)


def read(path, shown):
    """Labels and instances of the triangles `shown`, which import may put into another order."""
    (source,) = resolve(f"{path}?habitat=yes")
    mesh, names = source.read_mesh()
    middles = mesh.triangles.mean(1)
    place = [int(np.linalg.norm(middles - triangle.mean(0), axis=1).argmin()) for triangle in shown]
    assert sorted(place) == list(range(len(mesh)))
    return [names[mesh.labels[k]] for k in place], mesh.instances[place]


SHOWN = np.concatenate([room_triangles(8, 6, 3), floor_tiles()])
"""A room, and two tiles lying in it, whose triangles are the last four."""


def stage(folder):
    return write_triangles(folder / "a.basis.glb", SHOWN @ Z_TO_Y)


def write_ply(path, triangles, numbers, name):
    lines = [" ".join(f"{value:g}" for value in corner) for corner in triangles.reshape(-1, 3)]
    faces = [f"3 {3 * k} {3 * k + 1} {3 * k + 2} {number}" for k, number in enumerate(numbers)]
    header = PLY + f"property list uchar int vertex_indices\nproperty int {name}\nend_header\n"
    path.write_text(header + "\n".join([*lines, *faces]) + "\n")


def test_hm3d_by_colours_of_vertices(tmp_path):
    path = stage(tmp_path)
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    # Cut differently from what is shown: the first tile is covered by its other diagonal.
    tiles = floor_tiles()
    tiles[:2, :, [0, 2]] = [[[0, 0], [0, 2], [2, 0]], [[2, 0], [0, 2], [2, 2]]]
    box = room_triangles(8, 6, 3)
    colors = [COLORS[1]] * len(box) + [COLORS[2]] * 2 + [COLORS[3]] * 2
    semantic = np.concatenate([box, tiles + np.array([0, 0.01, 0])]) @ Z_TO_Y
    write_triangles(tmp_path / "a.semantic.glb", semantic, srgb_to_linear(np.array(colors) / 255))
    labels, instances = read(path, SHOWN)
    assert labels == ["floor, wooden"] * 12 + ["rug"] * 4
    # Two rugs of one category are two objects.
    assert len(set(instances[:12].tolist())) == 1
    assert len(set(instances.tolist())) == 3
    assert instances[12] == instances[13] != instances[14] == instances[15]


def test_hm3d_by_colours_of_a_texture(tmp_path):
    path = stage(tmp_path)
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    # Wider than the textures that are shown, so that scaling it down would mix its colours.
    pixels = np.zeros((4, 2050, 3), np.uint8)
    pixels[:, :683], pixels[:, 683:1367], pixels[:, 1367:] = COLORS[1], COLORS[2], COLORS[3]
    built = GltfBuilder()
    material = built.textured(built.image(Image.fromarray(pixels)))
    semantic = np.concatenate([room_triangles(8, 6, 3), floor_tiles() + np.array([0, 0.01, 0])]) @ Z_TO_Y
    uv = np.repeat([1 / 6] * 12 + [0.5] * 2 + [5 / 6] * 2, 3)
    attributes = {
        "POSITION": built.accessor(semantic.reshape(-1, 3).astype(np.float32)),
        "TEXCOORD_0": built.accessor(np.stack([uv, np.full(48, 0.5)], 1).astype(np.float32)),
    }
    built.mesh(attributes, indices=built.accessor(np.arange(48, dtype=np.uint32)), material=material)
    built.write(tmp_path / "a.semantic.glb")
    labels, instances = read(path, SHOWN)
    assert labels == ["floor, wooden"] * 12 + ["rug"] * 4
    assert len(set(instances.tolist())) == 3


@pytest.mark.parametrize("name", ["object_id", "segment_id"])
def test_mp3d_and_gibson_by_numbers(tmp_path, name):
    """Objects by number with Gibson's .scn, by segments with MP3D's .house; both meshes have z up."""
    tiles = floor_tiles()
    path = write_triangles(tmp_path / "b.glb", tiles @ Z_TO_Y)
    if name == "object_id":
        objects = [{"class_": "Dining table", "id": 1, "location": [1, 2, 3]}, {"class_": "chair", "id": 7}]
        write_json(tmp_path / "b.scn", {"objects": objects})
        numbers = [1, 1, 7, 9]
    else:
        (tmp_path / "b.house").write_text(MP3D)
        numbers = [41, 42, 57, 99]
    write_ply(tmp_path / "b_semantic.ply", tiles @ Z_TO_Y, numbers, name)
    labels, instances = read(path, tiles)
    assert labels == ["dining table", "dining table", "chair", "nothing"]
    assert instances[0] == instances[1]
    assert len(set(instances.tolist())) == 3


def test_mp3d_categories(tmp_path):
    (tmp_path / "c.house").write_text(MP3D)
    found = read_descriptor(tmp_path / "c.house")
    assert found.categories == {0: "dining table", 1: "chair", 2: ""}
    assert found.segments == {41: 0, 42: 0, 57: 1}


@pytest.mark.parametrize("stated", ["words", None, "default", "config"])
def test_classes_of_objects_from_a_lexicon(tmp_path, stated):
    """ReplicaCAD and HSSD: an object states the number of its class."""
    write_triangles(tmp_path / "hall.glb", room_triangles(8, 6, 3))
    write_json(tmp_path / "hall.stage_config.json", {"render_asset": "hall.glb"})
    write_triangles(tmp_path / "x.glb", floor_tiles())
    write_json(tmp_path / "0a1b2c3d4e5f60718293.object_config.json", {"render_asset": "x.glb", "semantic_id": 4})
    write_json(tmp_path / "lexicon.json", {"classes": [{"id": 4, "name": "Potted plant"}, {"id": 5, "name": "bed"}]})
    scene = {
        "stage_instance": {"template_name": "hall"},
        "object_instances": [{"template_name": "0a1b2c3d4e5f60718293"}],
        **({"semantic_scene_instance": stated} if stated in ("words", "config") else {}),
    }
    defaults = {"default_attributes": {"semantic_scene_instance": "%%CONFIG_NAME_AS_ASSET_FILENAME%%.json"}}
    if stated == "default":
        (tmp_path / "lexicon.json").rename(tmp_path / "one.json")
    write_json(tmp_path / "my.semantic_config.json", {"semantic_descriptor_filename": "lexicon.json"})
    write_json(tmp_path / "one.scene_instance.json", scene)
    config = write_json(
        tmp_path / "d.scene_dataset_config.json",
        {
            **{name: {"paths": {".json": ["."]}} for name in ("stages", "objects")},
            "scene_instances": {"paths": {".json": ["."]}} | (defaults if stated == "default" else {}),
            "semantic_scene_descriptor_instances": {
                "paths": {".json": ["*"]},
                **({"config": "my.semantic_config.json"} if stated == "config" else {"words": "lexicon.json"}),
            },
        },
    )
    (source,) = resolve(str(config))
    mesh, names = source.read_mesh()
    assert {names[label] for label in mesh.labels[-4:]} == {"potted plant"}


def test_a_semantic_mesh_elsewhere_is_left_out(tmp_path):
    path = stage(tmp_path)
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    far = (floor_tiles() + np.array([100, 0, 0])) @ Z_TO_Y
    write_triangles(tmp_path / "a.semantic.glb", far, np.ones((4, 3)))
    with pytest.warns(UserWarning, match="is not where the stage is"):
        labels, _ = read(path, SHOWN)
    assert set(labels) == {"nothing"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.semantic.txt", 'HM3D Semantic Annotations\n1,red,"x",0\n', "line 2 is"),
        ("a.semantic.txt", 'HM3D Semantic Annotations\none,00FF00,"x",0\n', "line 2 is"),
        ("a.semantic.txt", "something", "starts with 'something'"),
        ("a.house", "ASCII 1.1\nC 0\n", "line 2 is damaged"),
        ("a.scn", '{"objects": [{"id": "one"}]}', "a.scn is not"),
    ],
)
def test_damaged_descriptors_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SceneError, match=message) as error:
        read_descriptor(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_semantic_mesh_is_named(tmp_path):
    path = stage(tmp_path)
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    (tmp_path / "a.semantic.glb").write_bytes(b"")
    with pytest.raises(SceneError, match=r"a\.semantic\.glb"):
        read(path, SHOWN)


def test_folders_list_semantic_meshes_only_without_their_stage(tmp_path):
    path = stage(tmp_path)
    write_ply(tmp_path / "a_semantic.ply", floor_tiles(), [1, 1, 2, 2], "object_id")
    write_ply(tmp_path / "mesh_semantic.ply", floor_tiles(), [1, 1, 2, 2], "object_id")  # as Replica calls its scans
    assert resolve(str(tmp_path)).names == [str(path), str(tmp_path / "mesh_semantic.ply")]


def test_colours_of_a_webp_texture_at_another_uv_set(tmp_path):
    """Extensions of textures, UV sets and transforms hold for semantic meshes too."""
    path = stage(tmp_path)
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    pixels = np.zeros((4, 2050, 3), np.uint8)
    pixels[:, :683], pixels[:, 683:1367], pixels[:, 1367:] = COLORS[1], COLORS[2], COLORS[3]
    built = GltfBuilder()
    built.image(Image.fromarray(pixels), "webp", lossless=True)
    built.header["textures"] = [{"extensions": {"EXT_texture_webp": {"source": 0}}}]
    transform = {"KHR_texture_transform": {"scale": [0.5, 1]}}
    material = built.textured(0, {"texCoord": 1, "extensions": transform})
    semantic = np.concatenate([room_triangles(8, 6, 3), floor_tiles() + np.array([0, 0.01, 0])]) @ Z_TO_Y
    uv = 2 * np.repeat([1 / 6] * 12 + [0.5] * 2 + [5 / 6] * 2, 3)
    attributes = {
        "POSITION": built.accessor(semantic.reshape(-1, 3).astype(np.float32)),
        "TEXCOORD_0": built.accessor(np.zeros((48, 2), np.float32)),
        "TEXCOORD_1": built.accessor(np.stack([uv, np.full(48, 0.5)], 1).astype(np.float32)),
    }
    built.mesh(attributes, indices=built.accessor(np.arange(48, dtype=np.uint32)), material=material)
    built.write(tmp_path / "a.semantic.glb")
    labels, instances = read(path, SHOWN)
    assert labels == ["floor, wooden"] * 12 + ["rug"] * 4
    assert len(set(instances.tolist())) == 3


def test_missing_descriptors_are_named(tmp_path):
    path = stage(tmp_path)
    write_triangles(tmp_path / "a.semantic.glb", room_triangles(8, 6, 3) @ Z_TO_Y, np.ones((12, 3)))
    with pytest.warns(UserWarning, match=r"a\.basis\.glb: no file beside .*a\.semantic\.glb names its objects"):
        read(path, SHOWN)
    config = {"render_asset": path.name, "up": [0, 0, 1], "semantic_descriptor_filename": "a.words.txt"}
    write_json(tmp_path / "b.stage_config.json", config)
    with pytest.warns(UserWarning, match=r"b\.stage_config\.json: the semantic descriptor .*a\.words\.txt was not"):
        resolve(str(tmp_path / "b.stage_config.json"))[0].read_mesh()
    (tmp_path / "a.semantic.txt").write_text(HM3D)
    with pytest.warns(UserWarning, match="names none of the objects of its descriptor"):
        read(path, SHOWN)
