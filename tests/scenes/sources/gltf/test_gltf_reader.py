"""glTF features, one file each, against values worked out by hand."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import files_of, import_file
from tests.helpers.gltf_builder import SQUARE, SQUARE_CORNERS, SQUARE_UVS, GltfBuilder

TWO_TRIANGLES = SQUARE[SQUARE_CORNERS].reshape(2, 3, 3)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def checks(*colors, size=8):
    """An image of vertical stripes."""
    row = np.repeat(np.array(colors, np.uint8), size // len(colors), 0)
    return np.tile(row, (size, 1, 1))


def loaded(builder, tmp_path, **options):
    return import_file(builder.write(tmp_path / "a.glb"), **options).mesh


def only_material(mesh):
    (number,) = set(mesh.materials.tolist())
    return mesh.material_table[number]


@pytest.mark.parametrize(("dtype", "largest"), [(np.int8, 127), (np.uint8, 255), (np.int16, 32767), (np.uint16, 65535)])
@pytest.mark.parametrize("normalized", [False, True])
def test_positions_of_any_component_type(tmp_path, dtype, largest, normalized):
    builder = GltfBuilder()
    corners = np.array([[0, 0, 0], [100, 0, 0], [100, 20, 100]], dtype)
    unit = 1 / largest if normalized else 1.0
    builder.mesh({"POSITION": builder.accessor(corners, normalized=normalized)})
    builder.header["nodes"][0]["scale"] = [0.05 / unit] * 3
    builder.header["extensionsRequired"] = builder.header["extensionsUsed"] = ["KHR_mesh_quantization"]
    mesh = loaded(builder, tmp_path)
    np.testing.assert_allclose(mesh.triangles[0], corners * 0.05, atol=1e-4)


def test_a_normalised_signed_integer_does_not_go_below_minus_one(tmp_path):
    builder = GltfBuilder()
    corners = np.array([[-128, 0, 0], [127, 0, 0], [0, 0, -127]], np.int8)
    builder.mesh({"POSITION": builder.accessor(corners, normalized=True)})
    np.testing.assert_array_equal(loaded(builder, tmp_path).triangles[0], [[-1, 0, 0], [1, 0, 0], [0, 0, -1]])


@pytest.mark.parametrize("on_zeros", [False, True])
def test_sparse_accessors_replace_elements(tmp_path, on_zeros):
    builder = GltfBuilder()
    base = np.zeros((3, 3), np.float32) if on_zeros else np.array([[9, 9, 9], [2, 0, 0], [9, 9, 9]], np.float32)
    number = builder.accessor(base)
    accessor = builder.header["accessors"][number]
    if on_zeros:
        del accessor["bufferView"]
    places = np.array([0, 2] if not on_zeros else [1, 2], np.uint8)
    values = np.array([[0, 0, 0], [0, 0, -3]] if not on_zeros else [[2, 0, 0], [0, 0, -3]], np.float32)
    accessor["sparse"] = {
        "count": 2,
        "indices": {"bufferView": builder.view(places.tobytes()), "componentType": 5121},
        "values": {"bufferView": builder.view(values.tobytes())},
    }
    builder.mesh({"POSITION": number})
    np.testing.assert_array_equal(loaded(builder, tmp_path).triangles[0], [[0, 0, 0], [2, 0, 0], [0, 0, -3]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (4, [[0, 1, 2]]),
        (5, [[0, 1, 2], [1, 3, 2], [2, 3, 4]]),
        (6, [[1, 2, 0], [2, 3, 0], [3, 4, 0]]),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_lists_strips_and_fans(tmp_path, mode, expected, indexed):
    builder = GltfBuilder()
    corners = np.random.default_rng(0).uniform(0, 3, (5, 3)).astype(np.float32)
    order = np.array([3, 1, 0, 4, 2]) if indexed else np.arange(5)
    stored = np.zeros_like(corners)
    stored[order] = corners
    fields = {"indices": builder.accessor(order.astype(np.uint8))} if indexed else {}
    builder.mesh({"POSITION": builder.accessor(stored)}, mode=mode, **fields)
    np.testing.assert_array_equal(loaded(builder, tmp_path).triangles, corners[np.array(expected)])


def test_points_and_lines_have_no_surface(tmp_path):
    builder = GltfBuilder()
    builder.square()
    builder.mesh({"POSITION": builder.accessor(SQUARE)}, mode=1)
    assert len(loaded(builder, tmp_path)) == 2


def test_instances(tmp_path):
    builder = GltfBuilder()
    builder.mesh({"POSITION": builder.accessor(np.array([[0, 0, 0], [1, 0, 0], [0, 0, -1]], np.float32))})
    half = np.sqrt(0.5)
    attributes = {
        "TRANSLATION": builder.accessor(np.array([[5, 0, 0], [0, 1, 0]], np.float32)),
        "ROTATION": builder.accessor(np.array([[0, half, 0, half], [0, 0, 0, 1]], np.float32)),
        "SCALE": builder.accessor(np.array([[2, 2, 2], [1, 1, 1]], np.float32)),
    }
    extension = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
    builder.header["nodes"][0] |= {"extensions": extension, "translation": [0, 10, 0]}
    mesh = loaded(builder, tmp_path)
    # A quarter turn to the left takes x to -z and -z to -x.
    np.testing.assert_allclose(mesh.triangles[0], [[5, 10, 0], [5, 10, -2], [3, 10, 0]], atol=1e-5)
    np.testing.assert_allclose(mesh.triangles[1], [[0, 11, 0], [1, 11, 0], [0, 11, -1]], atol=1e-5)
    assert mesh.instances.tolist() == [1, 2]


def test_meshopt_buffer_views(tmp_path):
    meshopt = pytest.importorskip("meshopt")
    builder = GltfBuilder()
    corners = np.random.default_rng(1).uniform(-2, 2, (40, 3)).astype(np.float32)
    order = np.arange(39, dtype=np.uint16)
    for array, mode in ((corners, "ATTRIBUTES"), (order, "TRIANGLES")):
        number = builder.accessor(array)
        packed = meshopt.encode_gltf_buffer(array, mode)
        stride = array.nbytes // len(array)
        place = builder.view(packed)
        view = builder.header["bufferViews"][place]
        compressed = {"buffer": 0, "byteOffset": view["byteOffset"], "byteLength": len(packed), "mode": mode}
        compressed |= {"byteStride": stride, "count": len(array)}
        plain = builder.header["bufferViews"][builder.header["accessors"][number]["bufferView"]]
        plain |= {"buffer": 1, "byteOffset": 0, "extensions": {"EXT_meshopt_compression": compressed}}
    builder.mesh({"POSITION": 0}, indices=1)
    builder.header["buffers"] = [
        {"byteLength": len(builder.binary)},
        {"byteLength": 1000, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]
    builder.header["extensionsRequired"] = builder.header["extensionsUsed"] = ["EXT_meshopt_compression"]
    triangles = loaded(builder, tmp_path).triangles
    # The codec may turn the corners of a triangle around.
    np.testing.assert_array_equal(np.sort(triangles.reshape(-1)), np.sort(corners[:39].reshape(-1)))


def test_meshopt_names_the_extra(tmp_path, monkeypatch):
    builder = GltfBuilder()
    builder.square()
    compressed = {"buffer": 0, "byteLength": 4, "mode": "ATTRIBUTES", "byteStride": 12, "count": 4}
    builder.header["bufferViews"][0] |= {"buffer": 1, "extensions": {"EXT_meshopt_compression": compressed}}
    builder.header["buffers"] = [
        {"byteLength": len(builder.binary)},
        {"byteLength": 1000, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]
    path = builder.write(tmp_path / "a.glb")
    monkeypatch.setattr("batchsim.scenes.sources.gltf.compression.find_spec", lambda name: None)
    with pytest.raises(SceneError, match=r"a\.glb: .*meshopt.*batchsim\[scans\]"):
        import_file(path)


def test_texture_coordinates_are_those_that_the_material_names(tmp_path):
    builder = GltfBuilder()
    other = builder.accessor(SQUARE_UVS * 0.5)
    material = builder.textured(builder.image(checks(RED, BLUE)), {"texCoord": 1})
    builder.square(SQUARE_UVS, {"TEXCOORD_1": other}, material=material)
    np.testing.assert_allclose(loaded(builder, tmp_path).uvs.reshape(-1, 2), (SQUARE_UVS * 0.5)[SQUARE_CORNERS])


def test_texture_transform(tmp_path):
    builder = GltfBuilder()
    transform = {"offset": [0.25, 0.5], "rotation": np.pi / 2, "scale": [2, 3], "texCoord": 1}
    info = {"texCoord": 0, "extensions": {"KHR_texture_transform": transform}}
    material = builder.textured(builder.image(checks(RED, BLUE)), info)
    uvs = np.array([[0.1, 0.0], [0.1, 0.2], [0.0, 0.3], [0.1, 0.1]], np.float32)
    builder.square(SQUARE_UVS, {"TEXCOORD_1": builder.accessor(uvs)}, material=material)
    builder.header["extensionsUsed"] = ["KHR_texture_transform"]
    # Scaled to (2u, 3v); a quarter turn counter-clockwise, seen with v downwards, takes (1, 0) to (0, -1).
    expected = np.stack([0.25 + 3 * uvs[:, 1], 0.5 - 2 * uvs[:, 0]], 1)[SQUARE_CORNERS].reshape(2, 3, 2)
    found = loaded(builder, tmp_path).uvs
    np.testing.assert_allclose(
        found - np.floor(found.min(1, keepdims=True)), expected - np.floor(expected.min(1, keepdims=True)), atol=1e-6
    )


def test_normalised_texture_coordinates(tmp_path):
    builder = GltfBuilder()
    uvs = builder.accessor((SQUARE_UVS * 255).astype(np.uint8), normalized=True)
    builder.square(None, {"TEXCOORD_0": uvs}, material=builder.textured(builder.image(checks(RED, BLUE))))
    np.testing.assert_array_equal(loaded(builder, tmp_path).uvs.reshape(-1, 2), SQUARE_UVS[SQUARE_CORNERS])


@pytest.mark.parametrize(("code", "wrap"), [(10497, "repeat"), (33071, "clamp"), (33648, "mirror")])
def test_wrap_modes(tmp_path, code, wrap):
    builder = GltfBuilder()
    texture = builder.image(checks(RED, BLUE))
    builder.header["samplers"] = [{"wrapS": code, "wrapT": 33071}]
    builder.header["textures"][0]["sampler"] = 0
    builder.square(SQUARE_UVS * 3 - 1, material=builder.textured(texture))
    assert only_material(loaded(builder, tmp_path)).wrap == (wrap, "clamp")


def test_webp_and_avif_textures_are_preferred_over_their_stand_in(tmp_path):
    builder = GltfBuilder()
    builder.image(checks(RED, RED))
    builder.image(checks(BLUE, BLUE), "webp", lossless=True)
    builder.header["textures"] = [{"source": 0, "extensions": {"EXT_texture_webp": {"source": 1}}}]
    builder.header["extensionsUsed"] = ["EXT_texture_webp"]
    builder.square(SQUARE_UVS, material=builder.textured(0))
    assert loaded(builder, tmp_path).textures[0][0, 0].tolist() == list(BLUE)


def test_emission_is_the_colour_of_what_is_black_otherwise(tmp_path):
    builder = GltfBuilder()
    texture = builder.image(checks(RED, BLUE))
    black = {"baseColorFactor": [0, 0, 0, 1]}
    builder.square(
        SQUARE_UVS,
        material=builder.material(
            pbrMetallicRoughness=black, emissiveFactor=[1, 1, 0.5], emissiveTexture={"index": texture}
        ),
    )
    material = only_material(loaded(builder, tmp_path))
    assert material.base_color == (1, 1, 0.5)
    assert material.texture == 0


def test_specular_glossiness(tmp_path):
    builder = GltfBuilder()
    diffuse = {"diffuseFactor": [0.5, 1, 1, 1], "diffuseTexture": {"index": builder.image(checks(RED, BLUE))}}
    extensions = {"KHR_materials_pbrSpecularGlossiness": diffuse}
    builder.square(SQUARE_UVS, material=builder.material(extensions=extensions))
    material = only_material(loaded(builder, tmp_path))
    assert material.base_color == (0.5, 1, 1)
    assert material.texture == 0


def test_sixteen_bit_images(tmp_path):
    builder = GltfBuilder()
    grey = np.array([[0, 65535], [32896, 257]], np.uint16)
    builder.square(SQUARE_UVS, material=builder.textured(builder.image(Image.fromarray(grey))))
    assert loaded(builder, tmp_path).textures[0][..., 0].tolist() == [[0, 255], [128, 1]]


@pytest.mark.parametrize("with_material", [False, True])
@pytest.mark.parametrize("components", [3, 4])
@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_vertex_colours_of_every_kind(tmp_path, with_material, components, dtype, largest):
    builder = GltfBuilder()
    color = np.array([1, 0.5, 0.25, 1][:components])
    colors = np.tile(color * largest, (4, 1)).astype(dtype)
    fields = (
        {"material": builder.material(pbrMetallicRoughness={"baseColorFactor": [1, 0.5, 1, 1]})}
        if with_material
        else {}
    )
    builder.square(None, {"COLOR_0": builder.accessor(colors, normalized=dtype is not np.float32)}, **fields)
    expected = color[:3] * ([1, 0.5, 1] if with_material else 1)
    np.testing.assert_allclose(only_material(loaded(builder, tmp_path)).base_color, expected, atol=0.004)


def test_names_with_percent_signs_and_folders_beside(tmp_path):
    model = tmp_path / "model dir"
    (tmp_path / "textures").mkdir()
    model.mkdir()
    Image.new("RGB", (4, 4), RED).save(tmp_path / "textures" / "red tile.png")
    builder = GltfBuilder()
    builder.header["images"] = [{"uri": "../textures/red%20tile.png"}]
    builder.header["textures"] = [{"source": 0}]
    builder.square(SQUARE_UVS, material=builder.textured(0))
    builder.header["buffers"] = [{"byteLength": len(builder.binary), "uri": "my%20scene.bin"}]
    (model / "my scene.bin").write_bytes(builder.binary)
    path = builder.write(model / "a.gltf")
    path.with_suffix(".bin").unlink()
    assert import_file(path).mesh.textures[0][0, 0].tolist() == list(RED)
    assert [file.name for file in files_of(path)] == ["a.gltf", "my scene.bin", "red tile.png"]


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_nothing_outside_the_root_is_read(tmp_path, suffix):
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4), RED).save(tmp_path / "one" / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "one" / "secret.png")
    for uri in ("../secret.png", "../../one/secret.png", "link.png"):
        builder = GltfBuilder()
        builder.header["images"] = [{"uri": uri}]
        builder.header["textures"] = [{"source": 0}]
        builder.square(SQUARE_UVS, material=builder.textured(0))
        path = builder.write(folder / f"a{suffix}")
        with pytest.raises(SceneError, match=r"a\.gl.*outside.*root"):
            import_file(path)
        with pytest.raises(SceneError, match="outside"):
            files_of(path)
        assert import_file(path, root=tmp_path).mesh.textures[0][0, 0].tolist() == list(RED)


def test_an_absent_image_is_a_warning_and_an_absent_buffer_an_error(tmp_path):
    builder = GltfBuilder()
    builder.header["images"] = [{"uri": "gone.png"}]
    builder.header["textures"] = [{"source": 0}]
    builder.square(SQUARE_UVS, material=builder.textured(0))
    path = builder.write(tmp_path / "a.gltf")
    with pytest.warns(UserWarning, match=r"a\.gltf: the file 'gone\.png'") as caught:
        assert only_material(import_file(path).mesh).texture == -1
    assert len(caught) == 1
    path.with_suffix(".bin").unlink()
    with pytest.raises(SceneError, match=r"a\.gltf: the file 'a\.bin'"):
        import_file(path)


def test_damaged_images_name_the_file(tmp_path):
    builder = GltfBuilder()
    builder.image(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    view = builder.header["bufferViews"][0]
    view["byteLength"] //= 2
    builder.square(SQUARE_UVS, material=builder.textured(0))
    with pytest.raises(SceneError, match=r"a\.glb: image 0: not a readable image"):
        loaded(builder, tmp_path)


def test_extensions(tmp_path):
    builder = GltfBuilder()
    builder.square()
    builder.header["extensionsUsed"] = ["KHR_materials_clearcoat", "VENDOR_more", "VENDOR_geometry"]
    with pytest.warns(UserWarning, match="VENDOR_geometry, VENDOR_more, which") as caught:
        loaded(builder, tmp_path)
    assert len(caught) == 1
    builder.header["extensionsRequired"] = ["VENDOR_geometry"]
    with pytest.raises(SceneError, match=r"a\.glb: requires the glTF extension VENDOR_geometry"):
        loaded(builder, tmp_path)


def test_one_object_has_one_label_and_one_number_every_time(tmp_path):
    builder = GltfBuilder()
    builder.square(material=builder.material(name="Fabric"))
    primitive = builder.header["meshes"][0]["primitives"][0]
    builder.header["meshes"][0]["primitives"].append(primitive | {"material": builder.material(name="Wood")})
    builder.header["nodes"][0]["name"] = "Sofa.001"
    builder.header["nodes"].append({"mesh": 0, "name": "Sofa.002", "translation": [0, 1, 0]})
    first, second = (import_file(builder.write(tmp_path / "a.glb")) for _ in range(2))
    assert first.label_names == second.label_names
    assert {first.label_names[label] for label in first.mesh.labels} == {"sofa"}
    assert first.mesh.instances.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["nodes"][0].update(children=[0]),
        lambda h: h["nodes"].extend([{"children": [2]}, {"children": [1]}]) or h.update(scenes=[{"nodes": [1]}]),
        lambda h: h.update(scenes=[{"nodes": [99]}]),
        lambda h: h["nodes"][0].update(mesh=5),
        lambda h: h["nodes"][0].update(matrix=[1] * 15),
        lambda h: h["nodes"][0].update(rotation="left"),
        lambda h: h["accessors"][0].update(count=-1),
        lambda h: h["accessors"][0].update(byteOffset=10**9),
        lambda h: h["accessors"][1].update(componentType=5126),
        lambda h: h["bufferViews"][0].update(byteStride=4096),
        lambda h: h.update(meshes={"name": 1}),
        lambda h: h["meshes"][0]["primitives"][0].update(material=3),
        lambda h: h["accessors"][0].update(type="SCALAR"),
    ],
)
def test_damaged_headers_name_the_file(tmp_path, change):
    builder = GltfBuilder()
    builder.square()
    change(builder.header)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SceneError, match=r"a\.glb"):
            loaded(builder, tmp_path)


def test_a_number_of_four_hundred_digits(tmp_path):
    builder = GltfBuilder()
    builder.square()
    path = builder.write(tmp_path / "a.gltf")
    path.write_text(path.read_text().replace('"count": 4', '"count": ' + "9" * 400))
    with pytest.raises(SceneError, match=r"a\.gltf"):
        import_file(path)
    assert json.loads(path.read_text())


def column_major(*matrices):
    return np.stack([matrix.T.reshape(-1) for matrix in matrices]).astype(np.float32)


@pytest.mark.parametrize("invisible", [False, True])
def test_a_skin_is_shown_in_its_resting_pose(tmp_path, invisible):
    """A strip along x, 0 to 4 m. Its right end hangs on a joint bound at x = 2 and since turned up by a quarter."""
    builder = GltfBuilder()
    strip = np.array([[0, 0, 0], [4, 0, 0], [4, 0, -1], [0, 0, -1]], np.float32)
    joints = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], np.uint8)
    # The last corner belongs to both joints alike; weights need not sum to one.
    weights = np.array([[255, 0, 0, 0], [255, 0, 0, 0], [128, 0, 0, 0], [100, 100, 0, 0]], np.uint8)
    bound_at = np.eye(4)
    bound_at[0, 3] = -2
    attributes = {
        "POSITION": builder.accessor(strip),
        "JOINTS_0": builder.accessor(joints),
        "WEIGHTS_0": builder.accessor(weights, normalized=True),
    }
    builder.mesh(attributes, indices=builder.accessor(SQUARE_CORNERS))
    half = 0.5**0.5
    builder.header["nodes"][0] |= {"skin": 0, "translation": [70, 0, 0], "scale": [9, 9, 9]}  # without effect
    builder.header["nodes"] += [
        {"children": [2], "translation": [0, 1, 0]},
        {"translation": [2, 0, 0], "rotation": [0, 0, half, half]},
    ]
    if invisible:
        builder.header["nodes"][2]["extensions"] = {"KHR_node_visibility": {"visible": False}}
    builder.header["scenes"] = [{"nodes": [0, 1]}]
    matrices = builder.accessor(np.zeros((2, 1), np.float32))
    builder.header["accessors"][matrices] |= {
        "bufferView": builder.view(column_major(np.eye(4), bound_at).tobytes()),
        "type": "MAT4",
    }
    builder.header["skins"] = [{"joints": [1, 2], "inverseBindMatrices": matrices}]
    # (0, 0, -1) stays at (0, 1, -1) with one joint; with the other it goes to (2, 1, 0) + (0, -2, -1).
    expected = np.array([[0, 1, 0], [2, 3, 0], [2, 3, -1], [1, 0, -1]])[SQUARE_CORNERS].reshape(2, 3, 3)
    np.testing.assert_allclose(loaded(builder, tmp_path).triangles, expected, atol=1e-5)


def test_damaged_skins_name_the_file(tmp_path):
    builder = GltfBuilder()
    joints = {"JOINTS_0": builder.accessor(np.full((4, 4), 3, np.uint8))}
    joints["WEIGHTS_0"] = builder.accessor(np.ones((4, 4), np.float32))
    builder.square(None, joints)
    builder.header["nodes"][0]["skin"] = 0
    for skin in ({"joints": [0]}, {"joints": []}, {"joints": [7]}):
        builder.header["skins"] = [skin]
        with pytest.raises(SceneError, match=r"a\.glb"):
            loaded(builder, tmp_path)


@pytest.mark.parametrize(
    ("mode", "indices", "count"),
    [(5, [0, 1, 3, 2, 255, 3, 2, 0], 3), (6, [0, 1, 2, 3, 255, 0, 1, 2], 3), (5, [255, 0, 1, 255, 255, 0, 1, 3], 1)],
)
def test_strips_and_fans_start_anew_at_the_largest_index(tmp_path, mode, indices, count):
    builder = GltfBuilder()
    builder.mesh(
        {"POSITION": builder.accessor(SQUARE)}, indices=builder.accessor(np.array(indices, np.uint8)), mode=mode
    )
    triangles = loaded(builder, tmp_path).triangles
    assert len(triangles) == count
    areas = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    np.testing.assert_allclose(areas[: count - 1, 1], 16)


def test_version_one_is_named(tmp_path):
    path = tmp_path / "old.gltf"
    path.write_text(json.dumps({"asset": {"version": "1.0"}, "scene": "main", "nodes": {"a": {"meshes": ["b"]}}}))
    with pytest.raises(SceneError, match=r"old\.gltf: glTF version 1\.0; only version 2"):
        import_file(path)


def test_dds_textures(tmp_path):
    builder = GltfBuilder()
    builder.image(checks(RED, BLUE), "dds")
    builder.header["textures"] = [{"extensions": {"MSFT_texture_dds": {"source": 0}}}]
    builder.square(SQUARE_UVS, material=builder.textured(0))
    builder.header["extensionsRequired"] = ["MSFT_texture_dds"]
    np.testing.assert_array_equal(loaded(builder, tmp_path).textures[0], checks(RED, BLUE))


def test_whole_numbers_with_a_fraction_and_nulls(tmp_path):
    """Some programs write 4.0 for 4 and null for what is not there."""
    builder = GltfBuilder()
    builder.square()
    path = builder.write(tmp_path / "a.gltf")
    header = json.loads(path.read_text())
    header["accessors"][0]["count"] = 4.0
    header["nodes"][0] |= {"children": None, "name": None}
    header["materials"] = None
    path.write_text(json.dumps(header))
    np.testing.assert_array_equal(import_file(path).mesh.triangles, TWO_TRIANGLES)


def test_names_with_control_characters_stay_on_one_line(tmp_path):
    builder = GltfBuilder()
    builder.square()
    builder.header["nodes"][0]["name"] = "cof\u0000fee\ntable.001\x1b[31m"
    imported = import_file(builder.write(tmp_path / "a.glb"))
    assert imported.label_names[imported.mesh.labels[0]] == "cof fee table.001 [31m"


def test_files_behind_links_of_a_store(tmp_path):
    """Hugging Face's cache: every file is a link to one with another name in a folder above."""
    builder = GltfBuilder()
    builder.square(SQUARE_UVS, material=builder.textured(builder.image(checks(RED, BLUE))))
    Image.fromarray(checks(RED, BLUE)).save(tmp_path / "t.png")
    builder.header["images"] = [{"uri": "t.png"}]
    builder.write(tmp_path / "a.gltf")
    scene = tmp_path / "snapshots" / "4f1c" / "scenes"
    scene.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    for number, name in enumerate(("a.gltf", "a.bin", "t.png")):
        blob = (tmp_path / name).rename(tmp_path / "blobs" / f"{number}ab3")
        (scene / name).symlink_to(blob)
    np.testing.assert_array_equal(import_file(scene / "a.gltf").mesh.textures[0], checks(RED, BLUE))
    # A link alone opens no other folder.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "blobs" / "2ab3").rename(tmp_path / "elsewhere" / "t.png")
    (scene / "t.png").unlink()
    (scene / "t.png").symlink_to(tmp_path / "elsewhere" / "t.png")
    with pytest.raises(SceneError, match="outside its own folder"):
        import_file(scene / "a.gltf")
