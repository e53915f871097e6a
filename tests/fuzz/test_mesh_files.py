"""Damaged 3D files of all kinds."""

import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from batchsim.scenes.sources.importer import files_of, import_file
from tests.fuzz.mutations import contents, damaged_file, write_contents
from tests.fuzz.outcomes import fuzz, own_error
from tests.helpers.collada import TEXTURED_TABLE
from tests.helpers.gltf_builder import SQUARE, SQUARE_CORNERS, SQUARE_UVS, GltfBuilder

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
OBJ = """mtllib square.mtl
o floor
v -2 0 2
v 2 0 2 1 0 0
v 2 0 -2
v -2 0 -2
vt 0 1
vt 1 1
vt 1 0
vn 0 1 0
g part
usemtl wood
s off
f 1/1/1 2/2/1 3/3/1
f -4//1 -2//1 -1//1
f 1 2 3 4
"""
MTL = """newmtl wood
Kd 0.5 0.25 1
Tr 0.2
map_Kd -s 1 1 1 picture.png
newmtl other
d 0.4
"""
PLY = """ply
format {kind} 1.0
comment made by hand
element vertex 4
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face 2
property list uchar int vertex_indices
end_header
"""
USD = """#usda 1.0
(
    upAxis = "Z"
    metersPerUnit = 0.01
)
def Xform "House" {
    double3 xformOp:translate = (100, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Mesh "Sofa" (prepend apiSchemas = ["MaterialBindingAPI"]) {
        int[] faceVertexCounts = [4, 3]
        int[] faceVertexIndices = [0, 1, 2, 3, 0, 1, 2]
        point3f[] points = [(0, 0, 0), (200, 0, 0), (200, 300, 0), (0, 300, 0)]
        texCoord2f[] primvars:st = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1)] (
            interpolation = "faceVarying"
        )
        color3f[] primvars:displayColor = [(1, 0.5, 0)]
        def GeomSubset "part" (prepend apiSchemas = ["MaterialBindingAPI"]) {
            int[] indices = [1]
            rel material:binding = </House/Look>
        }
        rel material:binding = </House/Look>
    }
    def "Copy" (prepend references = </House/Sofa>) { }
    def Material "Look" {
        token outputs:surface.connect = </House/Look/Shader.outputs:surface>
        def Shader "Shader" {
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </House/Look/Image.outputs:rgb>
            float inputs:opacity = 0.5
            float inputs:opacityThreshold = 0.2
            token outputs:surface
        }
        def Shader "Image" {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @picture.png@
            token inputs:wrapS = "mirror"
            float3 outputs:rgb
        }
    }
}
"""


def gltf(path):
    built = GltfBuilder()
    material = built.textured(built.image(PIXELS), {"texCoord": 0}, name="wood", alphaMode="MASK", alphaCutoff=0.5)
    colors = np.full((4, 4), 200, np.uint8)
    built.square(SQUARE_UVS, {"COLOR_0": built.accessor(colors, normalized=True)}, material=material)
    built.header["nodes"][0] |= {"translation": [0, 1, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
    built.header["nodes"].append({"children": [0], "name": "room", "matrix": np.eye(4).ravel().tolist()})
    built.header["scenes"] = [{"nodes": [1]}]
    built.write(path)


def obj(path):
    path.write_text(OBJ)
    path.with_suffix(".mtl").write_text(MTL)
    Image.fromarray(PIXELS).save(path.with_name("picture.png"))


def ply(path):
    vertices = "".join(f"{x} {y} {z} 9 99 255\n" for x, y, z in SQUARE.tolist())
    path.write_text(PLY.format(kind="ascii") + vertices + "3 0 1 2\n3 0 2 3\n")


def binary_ply(path):
    data = io.BytesIO()
    for corner in SQUARE:
        data.write(corner.astype("<f4").tobytes() + bytes((9, 99, 255)))
    for face in SQUARE_CORNERS.reshape(2, 3):
        data.write(b"\3" + face.astype("<i4").tobytes())
    path.write_bytes(PLY.format(kind="binary_little_endian").encode() + data.getvalue())


def solid(path):
    trimesh.Trimesh(SQUARE, SQUARE_CORNERS.reshape(2, 3), process=False).export(path)


def text_stl(path):
    facet = "facet normal 0 1 0\nouter loop\n{}\n{}\n{}\nendloop\nendfacet\n"
    corners = [f"vertex {x} {y} {z}" for x, y, z in SQUARE.tolist()]
    path.write_text("solid a\n" + facet.format(*corners[:3]) + facet.format(*corners[1:]) + "endsolid a\n")


def dae(path):
    path.write_text(TEXTURED_TABLE)
    Image.fromarray(PIXELS).save(path.with_name("picture.png"))


def usd(path):
    usd = pytest.importorskip("pxr.Usd")
    path.with_name("a.usda").write_text(USD)
    Image.fromarray(PIXELS).save(path.with_name("picture.png"))
    if path.suffix == ".usdz":
        usd_utils = pytest.importorskip("pxr.UsdUtils")
        assert usd_utils.CreateNewUsdzPackage(str(path.with_name("a.usda")), str(path))
        path.with_name("picture.png").unlink()
    else:
        stage = usd.Stage.Open(str(path.with_name("a.usda")))
        stage.GetRootLayer().Export(str(path))
    path.with_name("a.usda").unlink()


KINDS = {
    "square.glb": (gltf, 20, 700),
    "square.gltf": (gltf, 20, 700),
    "square.obj": (obj, 20, 700),
    "square.ply": (ply, 10, 350),
    "binary.ply": (binary_ply, 10, 350),
    "square.stl": (solid, 5, 200),
    "text.stl": (text_stl, 5, 200),
    "square.off": (solid, 5, 200),
    "room.dae": (dae, 20, 700),
    "room.usda": (usd, 10, 500),
    "room.usdc": (usd, 10, 500),
    "room.usdz": (usd, 5, 200),
}
CASES = [
    pytest.param(name, make, count, marks=marks)
    for name, (make, short, full) in KINDS.items()
    for count, marks in ((short, ()), (full, pytest.mark.slow))
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of files that are referred to and missing
@pytest.mark.parametrize(("name", "make", "count"), CASES)
def test_damaged_mesh_files(tmp_path, name, make, count):
    make(tmp_path / name)
    assert import_file(tmp_path / name).mesh.triangles.size >= 18  # two triangles
    files = contents(tmp_path)

    def check(damaged):
        write_contents(tmp_path, damaged)
        own_error(lambda: files_of(tmp_path / name), tmp_path)
        own_error(lambda: usable(import_file(tmp_path / name)), tmp_path)

    fuzz(count, damaged_file(files), check)


def usable(imported):
    mesh = imported.mesh
    assert np.isfinite(mesh.triangles).all()
    assert mesh.materials.min() >= 0
    assert mesh.materials.max() < len(mesh.material_table)
    assert mesh.labels.max() < len(imported.label_names)
