import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchsim import scenes
from batchsim.scenes import LABELS, SceneError
from batchsim.scenes.sources.importer import files_of, import_file
from batchsim.scenes.sources.surfaces.color import linear_to_srgb, srgb_to_linear
from tests.helpers.paths import SHARED_SCENES

TRIANGLE = np.array([[0, 0, 0], [2, 0, 0], [0, 0, -1]], np.float32)
UVS = np.array([[0.0, 0.0], [1.0, 0.25], [0.5, 2.0]], np.float32)


def gltf_parts(nodes=None, materials=None, images=None, attributes=None, extra=None):
    """Header and binary of a glTF with one triangle as mesh 0, written here byte by byte."""
    arrays = {"POSITION": TRIANGLE, "TEXCOORD_0": UVS} | (attributes or {})
    binary, views, accessors = b"", [], []
    for array in arrays.values():
        kind = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}[array.shape[1]]
        component = {"f": 5126, "B": 5121}[array.dtype.char]
        accessors.append({"bufferView": len(views), "componentType": component, "count": len(array), "type": kind})
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": array.nbytes})
        binary += array.tobytes() + b"\0" * (-array.nbytes % 4)
    primitive = {"attributes": {name: i for i, name in enumerate(arrays)}}
    if materials:
        primitive["material"] = 0
    header = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": views,
        "accessors": accessors,
        "meshes": [{"name": "mesh", "primitives": [primitive]}],
        "nodes": nodes or [{"mesh": 0}],
        "scenes": [{"nodes": list(range(len(nodes or [0])))}],
        "scene": 0,
    }
    if materials:
        header["materials"] = materials
    if images:
        header |= {"images": images, "textures": [{"source": i} for i in range(len(images))]}
    return header | (extra or {}), binary


def write_glb(path, header, binary):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
    return path


def write_ply(path, head, data=b""):
    path.write_bytes(b"ply\n" + head + b"end_header\n" + data)
    return path


def test_srgb_curve_by_worked_numbers():
    np.testing.assert_allclose(srgb_to_linear([0, 0.04045, 0.5, 1]), [0, 0.0031308, 0.214041, 1], atol=1e-6)
    grey = np.linspace(0, 1, 33)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(grey)), grey, atol=1e-6)


def test_positions_uvs_and_linear_factor(tmp_path):
    header, binary = gltf_parts(
        materials=[{"name": "Oak", "pbrMetallicRoughness": {"baseColorFactor": [1.0, 0.5, 0.2, 1.0]}}]
    )
    mesh = import_file(write_glb(tmp_path / "a.glb", header, binary)).mesh
    np.testing.assert_array_equal(mesh.triangles, TRIANGLE[None])
    np.testing.assert_allclose(mesh.uvs, UVS[None], atol=1e-6)
    np.testing.assert_allclose(mesh.material_table[0].base_color, [1.0, 0.5, 0.2], atol=1 / 255)
    assert mesh.material_table[0].texture == -1


def test_nested_transforms_instances_and_mirrors(tmp_path):
    nodes = [
        {"translation": [10, 0, 0], "children": [1]},
        # A quarter turn to the left about y: x goes to -z, -z goes to -x.
        {"mesh": 0, "rotation": [0, np.sqrt(0.5), 0, np.sqrt(0.5)], "scale": [2, 2, 2]},
        {"mesh": 0, "scale": [-1, 1, 1]},
    ]
    header, binary = gltf_parts(nodes)
    header["scenes"] = [{"nodes": [0, 2]}]
    mesh = import_file(write_glb(tmp_path / "a.glb", header, binary)).mesh
    placed = {tuple(np.sort(t[:, 0]).round(3)): t for t in mesh.triangles}
    np.testing.assert_allclose(placed[8, 10, 10], [[10, 0, 0], [10, 0, -4], [8, 0, 0]], atol=1e-5)
    normals = np.cross(mesh.triangles[:, 1] - mesh.triangles[:, 0], mesh.triangles[:, 2] - mesh.triangles[:, 0])
    assert (normals[:, 1] > 0).all(), "a mirrored node keeps its front in front"


def test_embedded_texture_keeps_srgb_bytes_and_is_shared(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 4, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "t.png")
    texture = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    nodes = [{"mesh": 0}, {"mesh": 0, "translation": [3, 0, 0]}]
    header, binary = gltf_parts(nodes, materials=[texture], images=[{"uri": "t.png"}])
    header["buffers"][0]["uri"] = "b.bin"
    (tmp_path / "b.bin").write_bytes(binary)
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    mesh = import_file(tmp_path / "a.gltf").mesh
    assert len(mesh) == 2
    assert len(mesh.textures) == 1
    np.testing.assert_array_equal(mesh.textures[0], pixels)
    assert mesh.material_table[mesh.materials[0]].texture == 0
    assert [file.name for file in files_of(tmp_path / "a.gltf")] == ["a.gltf", "b.bin", "t.png"]


def test_large_textures_are_made_smaller(tmp_path):
    Image.new("RGB", (3000, 1500), (10, 20, 30)).save(tmp_path / "t.png")
    texture = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    header, binary = gltf_parts(materials=[texture], images=[{"uri": "t.png"}])
    mesh = import_file(write_glb(tmp_path / "a.glb", header, binary)).mesh
    assert mesh.textures[0].shape == (512, 1024, 3)


def test_vertex_colours_are_linear_in_gltf(tmp_path):
    colors = np.array([[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]], np.uint8)
    header, binary = gltf_parts(attributes={"COLOR_0": colors})
    mesh = import_file(write_glb(tmp_path / "a.glb", header, binary)).mesh
    np.testing.assert_allclose(mesh.material_table[0].base_color, [1 / 3] * 3, atol=0.02)
    header, binary = gltf_parts(
        attributes={"COLOR_0": colors}, materials=[{"pbrMetallicRoughness": {"baseColorFactor": [1, 0.5, 0, 1]}}]
    )
    mesh = import_file(write_glb(tmp_path / "b.glb", header, binary)).mesh
    np.testing.assert_allclose(mesh.material_table[0].base_color, [1 / 3, 1 / 6, 0], atol=0.02)


def test_ply_vertex_colours_are_srgb(tmp_path):
    head = b"format ascii 1.0\nelement vertex 3\n" + b"".join(b"property float %c\n" % c for c in b"xyz")
    head += b"property uchar red\nproperty uchar green\nproperty uchar blue\n"
    head += b"element face 1\nproperty list uchar int vertex_indices\n"
    data = b"0 0 0 128 128 0\n1 0 0 128 128 0\n0 0 -1 128 128 0\n3 0 1 2\n"
    mesh = import_file(write_ply(tmp_path / "a.ply", head, data)).mesh
    np.testing.assert_allclose(mesh.material_table[0].base_color, [0.2158, 0.2158, 0], atol=0.02)


OBJ = """mtllib a.mtl
v 0 0 0
v 1 0 0
v 0 0 -1
vt 0 1
vt 1 1
vt 0.5 0.25
o Chair.003
usemtl Fabric
f 1/1 2/2 3/3
o mesh_17
usemtl Oak floor
f 1/1 2/2 3/3
o wall
usemtl Fabric
f 1/1 2/2 3/3
"""
MTL = "newmtl Fabric\nKd 0.5 0.5 1\nnewmtl Oak floor\nKd 0 0 0\nmap_Kd wood.png\n"


def test_obj_labels_materials_and_uvs(tmp_path):
    Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / "wood.png")
    (tmp_path / "a.obj").write_text(OBJ)
    (tmp_path / "a.mtl").write_text(MTL)
    imported = import_file(tmp_path / "a.obj")
    mesh, names = imported.mesh, imported.label_names
    assert names[: len(LABELS)] == LABELS
    by_label = {names[label]: mesh.material_table[m] for label, m in zip(mesh.labels, mesh.materials, strict=True)}
    assert set(by_label) == {"chair", "oak floor", "wall"}
    np.testing.assert_allclose(by_label["chair"].base_color, [0.214, 0.214, 1], atol=0.01)
    # A black Kd under a texture is how many programs write it: the texture decides.
    assert by_label["oak floor"].base_color == (1, 1, 1)
    assert by_label["oak floor"].texture == 0
    # v grows upwards in .obj, downwards here.
    np.testing.assert_allclose(mesh.uvs[0], [[0, 0], [1, 0], [0.5, 0.75]], atol=1e-6)
    assert [file.name for file in files_of(tmp_path / "a.obj")] == ["a.obj", "a.mtl", "wood.png"]


def test_z_up_and_scale(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 100 0 0\nv 0 200 300\nf 1 2 3\n")
    mesh = import_file(path, up="z", scale=0.01).mesh
    np.testing.assert_allclose(mesh.triangles[0], [[0, 0, 0], [1, 0, 0], [0, 3, -2]], atol=1e-6)


def test_quads_are_cut_into_triangles(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 0 -1\nv 0 0 -1\nf 1 2 3 4\n")
    triangles = import_file(path).mesh.triangles.astype(float)
    areas = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1) / 2
    assert areas.tolist() == [0.5, 0.5]


def test_a_file_loads_bakes_and_is_baked_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "floor.obj"
    text = "v 0 0 0\nv {s} 0 0\nv {s} 0 -{s}\nv 0 0 -{s}\no Floor\nf 1 2 3 4\n"
    path.write_text(text.format(s=4))
    scene = scenes.load(path)
    assert scene.walkable.area == pytest.approx(3.8**2, rel=0.05)
    assert scene.label_names[scene.labels[0]] == "floor"
    path.write_text(text.format(s=40)[:-1])
    scaled = scenes.load(f"{path}?scale=0.2")
    assert scaled.walkable.area == pytest.approx(7.8**2, rel=0.05)
    assert scaled.name == f"{path}?scale=0.2"


def damaged_files(folder: Path):
    header, binary = gltf_parts()
    whole = write_glb(folder / "whole.glb", header, binary).read_bytes()
    yield "empty.glb", b"", "the file is empty"
    yield "short.glb", whole[: len(whole) - 20], "truncated"
    yield "head.glb", whole[:15], "not a .glb"
    yield "text.glb", b"hello, I am no model at all", "not a .glb"
    yield "version.glb", whole[:4] + struct.pack("<I", 1) + whole[8:], "version 1"
    yield "text.gltf", b"hello", "JSON part is damaged"
    yield "list.gltf", b"[1, 2]", "not a glTF file"
    yield "binary.obj", bytes(range(256)) * 4, "no triangles|damaged"
    yield "points.obj", b"v 0 0 0\nv 1 0 0\n", "no triangles"
    yield "index.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "damaged"
    yield "nan.obj", b"v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", "nan.obj: 1 of 1 triangles have a NaN"
    yield "model.fbx", b"Kaydara", "cannot import .fbx"
    yield "model", b"v 0 0 0", "without extension"
    yield "text.ply", b"hello", "not a PLY"


@pytest.mark.parametrize("number", range(14))
def test_damaged_files_name_the_file_and_the_trouble(tmp_path, number):
    name, data, message = list(damaged_files(tmp_path))[number]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SceneError, match=message) as caught:
        import_file(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def change_header(tmp_path, change):
    header, binary = gltf_parts()
    change(header)
    return write_glb(tmp_path / "a.glb", header, binary)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["accessors"][0].update(count=150_000_000), "claims 150,000,000 elements"),
        (
            lambda h: h["accessors"][0].pop("bufferView") or h["accessors"][0].update(count=150_000_000),
            "50,000,000 tri",
        ),
        (lambda h: h["bufferViews"][0].update(byteLength=10**12), "beyond its buffer"),
        (lambda h: h["buffers"][0].update(byteLength=10**12), "1,000,000,000,000 bytes of buffers"),
        (lambda h: h["buffers"][0].update(uri="../../secret.bin"), None),
        (lambda h: h["accessors"][0].update(type="VEC9"), "damaged"),
        (lambda h: h["meshes"][0]["primitives"][0]["attributes"].update(POSITION=7), "damaged"),
    ],
)
def test_headers_that_cannot_be_true(tmp_path, change, message):
    with pytest.raises(SceneError, match=message):
        import_file(change_header(tmp_path, change))


def test_a_gltf_reads_nothing_outside_its_folder(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 100)
    folder = tmp_path / "model"
    folder.mkdir()
    header, _ = gltf_parts()
    header["buffers"][0]["uri"] = "../secret.bin"
    (folder / "a.gltf").write_text(json.dumps(header))
    with pytest.raises(SceneError, match="outside its own folder"):
        import_file(folder / "a.gltf")


def test_ply_header_that_claims_fifty_million_triangles(tmp_path):
    head = b"format binary_little_endian 1.0\nelement vertex %d\nproperty float x\nproperty float y\nproperty float z\n"
    face = b"element face %d\nproperty list uchar int vertex_indices\n"
    for vertices, faces, message in ((3, 50_000_000, "50,000,000 triangles"), (9_000_000, 1, "truncated")):
        path = write_ply(tmp_path / "big.ply", head % vertices + face % faces, b"\0" * 200)
        with pytest.raises(SceneError, match=message):
            import_file(path)


def test_draco_is_unpacked(tmp_path):
    draco = pytest.importorskip("DracoPy")
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0)), -1).reshape(-1, 2)
    points = np.stack([grid[:, 0], np.sin(grid.sum(1)), grid[:, 1]], 1)
    first = np.array([5 * row + column for row in range(3) for column in range(4)])[:, None]
    faces = np.concatenate([first + np.array(corner) for corner in ((0, 5, 1), (1, 5, 6))]).astype(np.uint32)
    packed = draco.encode(points, faces, quantization_bits=16, preserve_order=True)
    header, _ = gltf_parts()
    header["bufferViews"] = [{"buffer": 0, "byteOffset": 0, "byteLength": len(packed)}]
    header["buffers"] = [{"byteLength": len(packed)}]
    kinds = {"componentType": 5126, "type": "VEC3"}, {"componentType": 5125, "type": "SCALAR"}
    header["accessors"] = [
        dict(kind, count=count) for kind, count in zip(kinds, (len(points), faces.size), strict=True)
    ]
    extension = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "extensions": extension}
    header["meshes"] = [{"primitives": [primitive]}]
    header["extensionsUsed"] = header["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    path = write_glb(tmp_path / "packed.glb", header, packed + b"\0" * (-len(packed) % 4))
    np.testing.assert_allclose(import_file(path).mesh.triangles, points[faces], atol=1e-4)


def test_draco_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("batchsim.scenes.sources.gltf.compression.find_spec", lambda name: None)
    extension = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    path = change_header(tmp_path, lambda h: h["meshes"][0]["primitives"][0].update(extensions=extension))
    with pytest.raises(SceneError, match=r"batchsim\[draco\]"):
        import_file(path)


def test_missing_file():
    with pytest.raises(SceneError, match="no such file"):
        import_file("nowhere/at/all.glb")


def test_real_mesh_matches_its_own_text():
    path = SHARED_SCENES / "nav_test.obj"
    if not path.exists():
        pytest.skip("no shared scenes here")
    lines = path.read_text().splitlines()
    vertices = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float32)
    mesh = import_file(path).mesh
    assert len(mesh) == sum(len(line.split()) - 3 for line in lines if line.startswith("f "))
    np.testing.assert_allclose(mesh.bounds, [vertices.min(0), vertices.max(0)], rtol=1e-6)


@pytest.mark.parametrize("damage", ["image", "too small"])
def test_every_message_names_the_file_and_nothing_is_cached(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd t.png\n")
    (tmp_path / "t.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf of it" if damage == "image" else b"")
    if damage == "too small":
        (tmp_path / "t.png").unlink()
        (tmp_path / "a.mtl").unlink()
    side = 1.6 if damage == "too small" else 4
    lines = ["mtllib a.mtl", "usemtl m"] if damage == "image" else []
    lines += ["v 0 0 0", f"v {side} 0 0", f"v {side} 0 -{side}", f"v 0 0 -{side}", "vt 0 0", "f 1/1 2/1 3/1 4/1"]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    with pytest.raises(SceneError, match=r"a\.obj") as caught:
        scenes.load(tmp_path / "a.obj")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*"))
