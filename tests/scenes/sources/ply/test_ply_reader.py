"""PLY files: text and bytes of both orders, polygons, textures, object ids, and what is no mesh."""

import json
import struct

import numpy as np
import pytest
from PIL import Image

from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import files_of, import_file

CORNERS = [(0, 0, 0), (4, 0, 0), (4, 0, -4), (0, 0, -4), (2, 0, -6)]
FACES = [([0, 1, 2, 3], 7), ([3, 2, 4], 9)]


def ply(order, faces=FACES, extra_head="", vertex_head="", vertex_rows=None, face_head="property int object_id\n"):
    """The text or bytes of a PLY file."""
    head = f"ply\nformat {order} 1.0\n{extra_head}element vertex {len(CORNERS)}\n"
    head += "property float x\nproperty float y\nproperty float z\n" + vertex_head
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\n{face_head}end_header\n"
    rows = vertex_rows or [()] * len(CORNERS)
    if order == "ascii":
        lines = [" ".join(map(str, (*corner, *row))) for corner, row in zip(CORNERS, rows, strict=True)]
        lines += [
            " ".join(map(str, (len(corners), *corners, *([owner] if face_head else [])))) for corners, owner in faces
        ]
        return (head + "\n".join(lines) + "\n").encode()
    sign = "<" if "little" in order else ">"
    data = b"".join(
        struct.pack(f"{sign}3f{len(row)}f", *corner, *row) for corner, row in zip(CORNERS, rows, strict=True)
    )
    for corners, owner in faces:
        data += struct.pack(f"{sign}B{len(corners)}i", len(corners), *corners)
        data += struct.pack(f"{sign}i", owner) if face_head else b""
    return head.encode() + data


ORDERS = ["ascii", "binary_little_endian", "binary_big_endian"]


@pytest.mark.parametrize("order", ORDERS)
def test_polygons_and_objects(tmp_path, order):
    (tmp_path / "a.ply").write_bytes(ply(order))
    mesh = import_file(tmp_path / "a.ply").mesh
    corners = np.array(CORNERS, np.float32)
    np.testing.assert_array_equal(mesh.triangles, corners[[[0, 1, 2], [0, 2, 3], [3, 2, 4]]])
    assert mesh.instances.tolist() == [1, 1, 2]


def test_classes_of_replica(tmp_path):
    (tmp_path / "habitat").mkdir()
    info = {"objects": [{"id": 7, "class_name": "Sofa"}, {"id": 8, "class_name": "lamp"}]}
    (tmp_path / "habitat" / "info_semantic.json").write_text(json.dumps(info))
    (tmp_path / "a.ply").write_bytes(ply("binary_little_endian"))
    imported = import_file(tmp_path / "a.ply")
    assert [imported.label_names[label] for label in imported.mesh.labels] == ["sofa", "sofa", "nothing"]
    assert [path.name for path in files_of(tmp_path / "a.ply")] == ["a.ply", "info_semantic.json"]


@pytest.mark.parametrize("order", ORDERS)
def test_texture_coordinates_count_upwards(tmp_path, order):
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "tex.png")
    rows = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.75), (0.0, 0.75), (0.5, 1.0)]
    data = ply(
        order,
        extra_head="comment TextureFile TEX.png\n",
        vertex_head="property float s\nproperty float t\n",
        vertex_rows=rows,
    )
    (tmp_path / "a.ply").write_bytes(data)
    mesh = import_file(tmp_path / "a.ply").mesh
    np.testing.assert_allclose(mesh.uvs[0], [[0, 1], [1, 1], [1, 0.25]], atol=1e-6)
    assert mesh.textures[0][0, 0].tolist() == [1, 2, 3]
    assert [path.name for path in files_of(tmp_path / "a.ply")] == ["a.ply", "tex.png"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bad", [-1, 5, 2**31 - 1])
def test_corners_that_do_not_exist(tmp_path, order, bad):
    (tmp_path / "a.ply").write_bytes(ply(order, [([0, 1, bad], 1)]))
    with pytest.raises(SceneError, match=rf"a\.ply: damaged: a face names vertex {bad}; there are 5"):
        import_file(tmp_path / "a.ply")


@pytest.mark.parametrize("order", ORDERS)
def test_files_that_end_too_early(tmp_path, order):
    whole = ply(order)
    for cut in (3, 10, 30):
        (tmp_path / "a.ply").write_bytes(whole[:-cut])
        with pytest.raises(SceneError, match=r"a\.ply: truncated"):
            import_file(tmp_path / "a.ply")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("element vertex 1\nproperty list uchar\n", "'property list uchar'"),
        ("element vertex 1\nproperty float\n", "'property float'"),
        ("element vertex 1\nproperty imaginary x\n", "'property imaginary x'"),
        ("element vertex x\n", "'element vertex x'"),
        ("property float x\n", "before any element"),
        ("element vertex 1\nproperty float x\n", "point cloud"),
        ("element vertex 1\nproperty float x\nproperty float f_dc_0\nproperty float rot_0\n", "Gaussian splat"),
        ("element chunk 1\nproperty float min_x\nelement vertex 1\nproperty uint packed_position\n", "Gaussian splat"),
        ("element face 999999999999\nproperty list uchar int vertex_indices\n", "999,999,999,999 triangles"),
        (
            "element vertex 999999999\nproperty float x\nelement face 1\nproperty list uchar int vertex_indices\n",
            "truncated",
        ),
    ],
)
def test_headers_that_cannot_be_used(tmp_path, head, message):
    (tmp_path / "a.ply").write_bytes(f"ply\nformat binary_little_endian 1.0\n{head}end_header\n".encode() + b"\0" * 40)
    with pytest.raises(SceneError, match=message) as caught:
        import_file(tmp_path / "a.ply")
    assert "a.ply" in str(caught.value)


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian"])
def test_lines_that_end_in_a_carriage_return(tmp_path, order):
    """In a binary file, the first byte after the header may well be that of a line feed."""
    data = ply(order, [([0, 1, 2, 3], 0)], face_head="")
    head, end, body = data.partition(b"end_header\n")
    tiny = b"\n\0\0\0"  # as a number, 1.4e-44
    body = body.replace(b"\n", b"\r") if order == "ascii" else tiny + body[4:]
    (tmp_path / "a.ply").write_bytes((head + end).replace(b"\n", b"\r") + body)
    mesh = import_file(tmp_path / "a.ply").mesh
    np.testing.assert_allclose(mesh.bounds, [[0, 0, -4], [4, 0, 0]], atol=1e-6)
