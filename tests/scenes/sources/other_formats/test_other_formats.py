"""STL, OFF, COLLADA and USD files of one small room each."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import files_of, import_file
from tests.helpers.collada import TEXTURED_TABLE
from tests.helpers.solids import box

BOX = box((-2, 0, -3), (2, 2.5, 3))


def same_triangles(found, expected):
    """Whether two sets of triangles are equal, whatever their order and their first corners."""
    keys = [
        sorted(min(tuple(np.roll(t, -k, 0).round(4).reshape(-1).tolist()) for k in range(3)) for t in triangles)
        for triangles in (found, expected)
    ]
    np.testing.assert_allclose(*keys, atol=1e-3)


@pytest.mark.parametrize("suffix", [".stl", ".off"])
def test_stl_and_off(tmp_path, suffix):
    import trimesh

    mesh = trimesh.Trimesh(BOX.reshape(-1, 3), np.arange(len(BOX) * 3).reshape(-1, 3), process=False)
    mesh.export(tmp_path / f"a{suffix}")
    same_triangles(import_file(tmp_path / f"a{suffix}").mesh.triangles, BOX)


def test_text_stl(tmp_path):
    lines = ["solid a"]
    for triangle in BOX:
        lines += [
            "facet normal 0 0 0",
            "outer loop",
            *(f"vertex {x} {y} {z}" for x, y, z in triangle),
            "endloop",
            "endfacet",
        ]
    (tmp_path / "a.stl").write_text("\n".join([*lines, "endsolid a"]))
    same_triangles(import_file(tmp_path / "a.stl").mesh.triangles, BOX)


@pytest.mark.parametrize("name", ["a.stl", "a.off", "a.dae", "a.usda", "a.usdz"])
def test_damaged_files_name_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80" * 100)
    with pytest.raises(SceneError, match=name):
        import_file(tmp_path / name)


def test_extras_are_named(tmp_path, monkeypatch):
    for name, module, extra in (("a.dae", "collada_files", "dae"), ("a.usda", "usd_reader", "usd")):
        (tmp_path / name).write_text("x")
        monkeypatch.setattr(f"batchsim.scenes.sources.other_formats.{module}.find_spec", lambda name: None)
        with pytest.raises(SceneError, match=rf"{name}.*batchsim\[{extra}\]"):
            import_file(tmp_path / name)


COLLADA = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="centimeter" meter="0.01"/><up_axis>Z_UP</up_axis></asset>
<library_geometries><geometry id="Table-mesh"><mesh>
<source id="p"><float_array id="pa" count="9">0 0 0 200 0 0 0 300 0</float_array><technique_common>
<accessor source="#pa" count="3" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
<param name="Z" type="float"/></accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="1"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2</p></triangles>
</mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node id="Table" name="Table"><instance_geometry url="#Table-mesh"/></node>
</visual_scene></library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>
"""


def test_collada_is_turned_and_scaled_as_it_says(tmp_path):
    pytest.importorskip("collada")
    (tmp_path / "a.dae").write_text(COLLADA)
    imported = import_file(tmp_path / "a.dae")
    np.testing.assert_allclose(imported.mesh.triangles[0], [[0, 0, 0], [2, 0, 0], [0, 0, -3]], atol=1e-6)
    assert imported.label_names[imported.mesh.labels[0]] == "table"


USD = """#usda 1.0
(
    upAxis = "Z"
    metersPerUnit = 0.01
)
def Xform "House" {{
    double3 xformOp:translate = (100, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Mesh "Sofa" (prepend apiSchemas = ["MaterialBindingAPI"]) {{
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(0, 0, 0), (200, 0, 0), (200, 300, 0), (0, 300, 0)]
        texCoord2f[] primvars:st = [(0, 0), (1, 0), (1, 1), (0, 0.75)] (interpolation = "faceVarying")
        rel material:binding = </House/Look>
    }}
    def Mesh "Hidden" {{
        int[] faceVertexCounts = [3]
        int[] faceVertexIndices = [0, 1, 2]
        point3f[] points = [(0, 0, 0), (200, 0, 0), (200, 300, 0)]
        token visibility = "invisible"
    }}
    def Material "Look" {{
        token outputs:surface.connect = </House/Look/Shader.outputs:surface>
        def Shader "Shader" {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </House/Look/Image.outputs:rgb>
            token outputs:surface
        }}
        def Shader "Image" {{
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @{texture}@
            token inputs:wrapS = "mirror"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }}
    }}
}}
"""


def test_usd(tmp_path):
    pytest.importorskip("pxr")
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "t.png")
    path = tmp_path / "a.usda"
    path.write_text(USD.format(texture="t.png"))
    imported = import_file(path)
    mesh = imported.mesh
    # Metres, z turned to y.
    np.testing.assert_allclose(mesh.triangles[0], [[1, 0, 0], [3, 0, 0], [3, 0, -3]], atol=1e-6)
    np.testing.assert_allclose(mesh.uvs[1], [[0, 1], [1, 0], [0, 0.25]], atol=1e-6)
    assert mesh.material_table[mesh.materials[0]].wrap == ("mirror", "clamp")
    assert mesh.textures[0][0, 0].tolist() == [9, 8, 7]
    assert {imported.label_names[label] for label in mesh.labels} == {"sofa"}
    assert [file.name for file in files_of(path)] == ["a.usda", "t.png"]


def test_usdz_holds_its_texture(tmp_path):
    usd_utils = pytest.importorskip("pxr.UsdUtils")
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "t.png")
    (tmp_path / "a.usda").write_text(USD.format(texture="t.png"))
    assert usd_utils.CreateNewUsdzPackage(str(tmp_path / "a.usda"), str(tmp_path / "b.usdz"))
    (tmp_path / "t.png").unlink()
    assert import_file(tmp_path / "b.usdz").mesh.textures[0][0, 0].tolist() == [9, 8, 7]


def test_usd_reads_nothing_outside_its_root(tmp_path):
    pytest.importorskip("pxr")
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "one" / "secret.png")
    (folder / "a.usda").write_text(USD.format(texture="../secret.png"))
    with pytest.raises(SceneError, match=r"a\.usda: refers to .*secret\.png.*outside"):
        import_file(folder / "a.usda")


def textured_collada(folder, image):
    """Writes a.dae with a material whose image is called `image`."""
    pytest.importorskip("collada")
    path = folder / "a.dae"
    path.write_text(TEXTURED_TABLE.replace("picture.png", image))
    return path


@pytest.mark.parametrize("name", ["t%201.png", "../images/t%201.png", "file:///C:/house/t%201.png"])
def test_images_of_collada_are_read_inside_the_folder_and_beside_it(tmp_path, name):
    images = tmp_path / ("images" if name.startswith("..") else "house")
    for folder in {tmp_path / "house", images}:
        folder.mkdir()
    Image.new("RGB", (2, 2), (9, 8, 7)).save(images / "t 1.png")
    path = textured_collada(tmp_path / "house", name)
    assert import_file(path).mesh.textures[0][0, 0].tolist() == [9, 8, 7]
    assert files_of(path) == [path, (images / "t 1.png").resolve()]  # so the cache sees when it changes


def test_collada_reads_nothing_outside(tmp_path):
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "one" / "secret.png")
    path = textured_collada(folder, "../secret.png")
    for read in (import_file, files_of):
        with pytest.raises(SceneError, match=r"a\.dae: refers to .*secret\.png.*outside"):
            read(path)


def test_damaged_and_missing_images_of_collada_are_named(tmp_path):
    path = textured_collada(tmp_path, "t.png")
    with pytest.warns(UserWarning, match=r"a\.dae.*t\.png.*not found"):
        assert len(import_file(path).mesh.triangles) == 6
    (tmp_path / "t.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    with pytest.raises(SceneError, match=r"t\.png: not a readable image"):
        import_file(path)


def test_collada_without_document_type(tmp_path):
    pytest.importorskip("collada")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/hostname">]>'
    for encoding in ("utf-8", "utf-16"):
        text = COLLADA.replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{encoding}"?>\n{bomb}')
        (tmp_path / "a.dae").write_text(text, encoding=encoding)
        with pytest.raises(SceneError, match=r"a\.dae: has a document type"):
            import_file(tmp_path / "a.dae")


def test_nodes_placed_a_billion_times_are_refused_at_once(tmp_path):
    pytest.importorskip("collada")
    placed = '<instance_node url="#n{0}"/>'
    nodes = "".join(f'<node id="n{k}">{placed.format(k - 1) * 10}</node>' for k in range(1, 10))
    library = f'<library_nodes><node id="n0"><instance_geometry url="#Table-mesh"/></node>{nodes}</library_nodes>'
    text = COLLADA.replace("<library_visual_scenes>", f"{library}<library_visual_scenes>")
    (tmp_path / "a.dae").write_text(
        text.replace('<instance_geometry url="#Table-mesh"/></node>\n', f"{placed.format(9)}</node>\n")
    )
    with pytest.raises(SceneError, match=r"a\.dae: has 1,000,000,000 triangles"):
        import_file(tmp_path / "a.dae")


def test_usd_instances_placed_ten_million_times_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("pxr")
    monkeypatch.setattr("batchsim.scenes.sources.other_formats.usd_reader._MAX_PRIMS", 10_000)
    levels = ['def Mesh "L0" {\n point3f[] points = []\n}']
    for level in range(1, 8):
        how = f"(\n instanceable = true\n references = </L{level - 1}>\n) {{\n}}\n"
        levels.append(f'def Xform "L{level}" {{\n' + "".join(f'def "c{k}" {how}' for k in range(10)) + "}")
    (tmp_path / "a.usda").write_text("#usda 1.0\n" + "\n".join(levels))
    with pytest.raises(SceneError, match=r"a\.usda: places more than"):
        import_file(tmp_path / "a.usda")


def test_usdz_with_compressed_images_is_refused(tmp_path):
    usd_utils = pytest.importorskip("pxr.UsdUtils")
    Image.new("RGB", (2, 2)).save(tmp_path / "t.png")
    (tmp_path / "a.usda").write_text(USD.format(texture="t.png"))
    assert usd_utils.CreateNewUsdzPackage(str(tmp_path / "a.usda"), str(tmp_path / "b.usdz"))
    (tmp_path / "t.png").unlink()
    with zipfile.ZipFile(tmp_path / "b.usdz") as stored, zipfile.ZipFile(tmp_path / "c.usdz", "w") as packed:
        for entry in stored.infolist():
            kind = zipfile.ZIP_DEFLATED if entry.filename.endswith(".png") else zipfile.ZIP_STORED
            packed.writestr(entry.filename, stored.read(entry), kind)
    with pytest.raises(SceneError, match=r"c\.usdz"):
        import_file(tmp_path / "c.usdz")
