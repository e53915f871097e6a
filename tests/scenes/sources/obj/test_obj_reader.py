"""OBJ files as programs really write them."""

import warnings

import numpy as np
import pytest
from PIL import Image

from batchsim import scenes
from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import files_of, import_file
from batchsim.scenes.sources.obj.materials import TextureName, parse_texture

RED, GREEN = (255, 0, 0), (0.0, 1.0, 0.0)
SQUARE = "o Floor\nv 0 0 0\nv 0 0 4\nv 4 0 4\nv 4 0 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl {m}\nf 1/1 2/2 3/3 4/4\n"


def square(folder, material="m", head="mtllib a.mtl\n", encoding="utf-8"):
    path = folder / "a.obj"
    path.write_bytes((head + SQUARE.format(m=material)).encode(encoding))
    return path


def color_of(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mesh = import_file(path).mesh
    material = mesh.material_table[mesh.materials[0]]
    return material.base_color if material.texture < 0 else tuple(mesh.textures[material.texture][0, 0].tolist())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tex").mkdir()
    for place in (tmp_path / "red.png", tmp_path / "tex" / "wall paper.png"):
        Image.new("RGB", (4, 4), RED).save(place)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "map_Kd red.png",
        "map_Kd ./red.png",
        "map_Kd .\\red.png",
        "map_Kd RED.PNG",
        "MAP_KD Red.png",
        "map_Kd tex\\wall paper.png",
        "map_Kd tex/wall paper.png",
        "map_Kd TEX\\Wall Paper.PNG",
        "map_Kd C:\\Users\\me\\Documents\\red.png",
        "map_Kd /home/me/model/red.png",
        'map_Kd "red.png"',
        "map_Kd elsewhere/red.png",
        "map_Kd -s 1 1 1 red.png",
        "map_Kd -o 0.5 -s 2 2 -clamp on red.png",
        "map_Kd -mm 0 1 -bm 0.3 -blendu off red.png",
        "\tmap_Kd\tred.png",
    ],
)
def test_textures_are_found(folder, line):
    (folder / "a.mtl").write_text(f"newmtl m\nKd 0 0 0\n{line}\n")
    path = square(folder)
    assert color_of(path) == RED
    assert len(files_of(path)) == 3


def test_options_of_textures():
    assert parse_texture("-s 2 3 4 a b.png") == TextureName("a b.png", (2, 3))
    assert parse_texture("-o 0.5 -clamp on -s 2 2 1.png") == TextureName("1.png", (2, 2), (0.5, 0), True)
    assert parse_texture("-my texture.png") == TextureName("-my texture.png")


def test_scale_and_offset_of_texture_coordinates(folder):
    (folder / "a.mtl").write_text("newmtl m\nmap_Kd -s 2 3 -o 0.25 0.5 red.png\n")
    uvs = import_file(square(folder)).mesh.uvs
    # u = 2 u + 0.25; v upwards = 3 v + 0.5.
    corners = {tuple(np.round(uv % 1, 4)) for uv in uvs.reshape(-1, 2)}
    assert corners == {(0.25, 0.5)}
    assert np.ptp(uvs[..., 0]) == pytest.approx(2)
    assert np.ptp(uvs[..., 1]) == pytest.approx(3)


@pytest.mark.parametrize(
    "head",
    [
        "mtllib tex\\b.mtl\n",
        "mtllib B.MTL\n",
        "mtllib c.mtl tex/b.mtl\n",
        "mtllib c.mtl\nmtllib b.mtl\n",
        "mtllib D:\\b.mtl\n",
    ],
)
def test_libraries_are_found(folder, head):
    (folder / "c.mtl").write_text("newmtl other\nKd 1 0 0\n")
    for place in (folder, folder / "tex"):
        (place / "b.mtl").write_text("newmtl m\nKd 0 1 0\n")
    assert color_of(square(folder, head=head)) == GREEN


def test_an_image_or_a_library_of_the_same_name_stands_in(folder):
    with pytest.warns(UserWarning, match="gone.mtl"):
        import_file(square(folder, head="mtllib gone.mtl\n"))
    Image.new("RGB", (4, 4), RED).save(folder / "a.jpg", quality=100)
    with pytest.warns(UserWarning, match="gone.mtl"):
        mesh = import_file(square(folder, head="mtllib gone.mtl\n")).mesh
    assert mesh.textures[0][0, 0, 0] > 250
    (folder / "a.mtl").write_text("newmtl m\nKd 0 1 0\n")
    assert color_of(square(folder, head="")) == GREEN


def test_each_thing_that_is_not_found_is_named_once(folder):
    (folder / "a.mtl").write_text("newmtl m\nKd 0 1 0\nmap_Kd gone.png\n")
    path = square(folder)
    path.write_text(path.read_text() + "usemtl unknown\nf 1 2 3\nusemtl m\nf 1 2 3\n")
    with pytest.warns(UserWarning, match="not found") as caught:
        mesh = import_file(path).mesh
    assert sorted(str(warning.message) for warning in caught) == [
        f"{path}: the file 'gone.png' that it refers to was not found.",
        f"{path}: the material 'unknown' that it refers to was not found.",
    ]
    assert mesh.material_table[mesh.materials[0]].base_color == GREEN


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("library_encoding", ["utf-8", "latin-1", "utf-16"])
def test_encodings(tmp_path, encoding, library_encoding):
    (tmp_path / "a.mtl").write_bytes("# größe\nnewmtl küche\nKd 0 1 0\n".encode(library_encoding))
    path = square(tmp_path, "küche", "# Büro\nmtllib a.mtl\n", encoding)
    path.write_bytes(path.read_text(encoding).replace("Floor", "Tür").encode(encoding))
    assert color_of(path) == GREEN
    imported = import_file(path)
    assert imported.label_names[imported.mesh.labels[0]] == "tür"


def test_negative_indices_count_back_from_their_line(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(
        "o a\nv 0 0 0\nv 1 0 0\nv 0 0 -1\nf -3 -2 -1\no b\nv 5 0 0\nv 6 0 0\nv 5 0 -1\nf -3 -2 -1\nf 1 2 -1\n"
    )
    triangles = import_file(path).mesh.triangles
    assert triangles[:, :, 0].tolist() == [[0, 1, 0], [5, 6, 5], [0, 1, 5]]


@pytest.mark.parametrize("face", ["1 2 9", "1 2 -9", "1 2 0", "1 2 x", "1 2 99999999999999999999"])
def test_corners_that_do_not_exist(tmp_path, face):
    path = tmp_path / "a.obj"
    path.write_text(f"v 0 0 0\nv 1 0 0\nv 0 0 -1\nf {face}\n")
    with pytest.raises(SceneError, match=r"a\.obj: damaged"):
        import_file(path)


def test_corners_may_be_written_in_several_ways(tmp_path):
    path = tmp_path / "a.obj"
    faces = "f 1 2 3\nf 1// 2// 3//\nf 1/1/1 2/1/1 3/1/1\nf 1//1 2//1 3//1 \\\n1//1\n"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 0 -1\nvt 0 0\nvn 0 1 0\n" + faces)
    assert len(import_file(path).mesh) == 5


def test_groups_name_what_objects_do_not(tmp_path):
    path = tmp_path / "a.obj"
    triangle = "f 1 2 3\n"
    groups = "g Wall_01\nFg default sofa\nFo Table\nFg leg\nF".replace("F", triangle)
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 0 -1\n" + groups)
    imported = import_file(path)
    assert [imported.label_names[label] for label in imported.mesh.labels] == ["wall", "sofa", "table", "table"]
    assert imported.mesh.instances.tolist() == [1, 2, 3, 3]


def test_vertex_colours(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0 1 0.5 0\nv 1 0 0 1 0.5 0\nv 0 0 -1 1 0.5 0\nf 1 2 3\n")
    mesh = import_file(path).mesh
    # 0.5 in sRGB is 0.214 in linear light.
    np.testing.assert_allclose(mesh.material_table[0].base_color, [1, 0.214, 0], atol=0.005)


def test_a_doorway_in_one_face_is_open(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))
    corners = [(-4, 0), (-0.5, 0), (-0.5, 2), (0.5, 2), (0.5, 0), (4, 0), (4, 2.6), (-4, 2.6)]
    for turn in range(len(corners)):
        ring = corners[turn:] + corners[:turn]
        lines = ["o floor", "v -4 0 4", "v 4 0 4", "v 4 0 -4", "v -4 0 -4", "f 1 2 3 4", "o wall"]
        lines += [f"v {x} {y} 0" for x, y in ring] + ["f -8 -7 -6 -5 -4 -3 -2 -1"]
        (tmp_path / "a.obj").write_text("\n".join(lines))
        scene = scenes.load(tmp_path / "a.obj", num_goals=1)
        # Straight through the middle of the opening.
        assert scene.geodesic_distance([0, 0, 2], [0, 0, -2]) == pytest.approx(4, rel=0.02)


def test_far_scenes_are_exact_and_keep_their_offset(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))
    near, far = tmp_path / "near.obj", tmp_path / "far.obj"
    for path, (x, z) in ((near, (0, 0)), (far, (530_000, 5_180_000))):
        corners = [(0, 0), (6, 0), (6, -6), (0, -6)]
        path.write_text("".join(f"v {x + dx:.3f} 20.125 {z + dz:.3f}\n" for dx, dz in corners) + "f 1 2 3 4\n")
    one, other = scenes.load(near, num_goals=2), scenes.load(far, num_goals=2)
    assert other.offset == (530_003, 0, 5_179_997)
    np.testing.assert_allclose(
        np.unique(other.triangles.reshape(-1, 3), axis=0) + np.array([3, 0, -3]),
        np.unique(one.triangles.reshape(-1, 3), axis=0),
        atol=1e-6,
    )
    assert one.offset == (0, 0, 0)
    assert one.walkable.num_cells == pytest.approx(other.walkable.num_cells, rel=0.02)
    assert scenes.Scene.load(next(tmp_path.glob("*-far-obj-*.scene"))).offset == other.offset


@pytest.mark.parametrize(
    ("used", "library"),
    [
        ("RED", "newmtl red\nmap_Kd red.png\n"),
        ("m", "newmtl m # paint\nmap_Kd red.png # the colour\n"),
        ("m # paint", "newmtl m\nKs 1 1 1 # shiny\nmap_Kd red.png\n"),
        ("m", "newmtl m\nmap_Kd red #1.png\n"),
    ],
)
def test_case_and_comments_of_materials(folder, used, library):
    Image.new("RGB", (4, 4), RED).save(folder / "red #1.png")
    (folder / "a.mtl").write_text(library)
    assert color_of(square(folder, used)) == RED
