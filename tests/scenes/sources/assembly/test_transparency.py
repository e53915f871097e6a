"""What alpha leaves of a surface."""

import numpy as np
import pytest
import torch

from batchsim import scenes
from batchsim.scenes import SceneError
from batchsim.scenes.baking.bake import bake
from batchsim.scenes.sources.importer import import_file
from tests.helpers.gltf_builder import SQUARE_UVS, GltfBuilder


def file_with(tmp_path, alpha_of_halves, mode, factor=1.0, uvs=SQUARE_UVS, builder=None, sampler=None, **fields):
    """A square whose texture has one alpha on its left half and another on its right."""
    builder = builder or GltfBuilder()
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:, :4, 3], pixels[:, 4:, 3] = alpha_of_halves
    look = {"baseColorTexture": {"index": builder.image(pixels)}, "baseColorFactor": [1, 1, 1, factor]}
    if sampler is not None:
        builder.header["textures"][0]["sampler"] = sampler
    builder.square(uvs, material=builder.material(pbrMetallicRoughness=look, alphaMode=mode, **fields))
    return builder.write(tmp_path / "a.glb")


def area(mesh):
    sides = mesh.triangles[:, 1:].astype(float) - mesh.triangles[:, :1]
    return np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1).sum() / 2


@pytest.mark.parametrize(
    ("halves", "mode", "fields", "border"),
    [
        # The square is 16 m2. Alpha falls from one half to the other over a texel of 0.5 m around the middle, and the
        # other way over the border of the repeating texture: so the solid part is as wide wherever it ends.
        ((255, 0), "OPAQUE", {}, 16),
        ((255, 200), "BLEND", {}, 16),
        ((255, 200), "MASK", {}, 16),
        ((255, 0), "MASK", {}, 8),
        ((255, 0), "BLEND", {}, 8),
        ((255, 0), "MASK", {"alphaCutoff": 0.75}, 8 - 2 * 0.25 * 0.5 * 4),
        ((255, 0), "MASK", {"alphaCutoff": 0.25}, 8 + 2 * 0.25 * 0.5 * 4),
        ((255, 0), "BLEND", {"factor": 0.8}, 8 - 2 * 0.125 * 0.5 * 4),
    ],
)
@pytest.mark.parametrize("repeats", [1, 3])
def test_what_is_left_is_as_large_as_the_solid_part(tmp_path, halves, mode, fields, border, repeats):
    mesh = import_file(file_with(tmp_path, halves, mode, uvs=SQUARE_UVS * repeats, **fields)).mesh
    assert area(mesh) == pytest.approx(border, rel=1e-5)
    assert mesh.textures[0].shape[2] == 3
    # Position and texture coordinates still belong together: u runs from 0 to `repeats` over 4 m.
    whole = mesh.uvs[..., 0] - (mesh.triangles[..., 0] + 2) / 4 * repeats
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-4)
    assert (
        np.cross(mesh.triangles[:, 1] - mesh.triangles[:, 0], mesh.triangles[:, 2] - mesh.triangles[:, 0])[:, 1] > 0
    ).all()


def test_holes_of_a_round_mask(tmp_path):
    """A ring of radii 0.2 and 0.4 of the image: its area, and that its middle and its corners are open."""
    builder = GltfBuilder()
    y, x = (np.indices((128, 128)) + 0.5) / 128 - 0.5
    radius = np.hypot(x, y)
    pixels = np.full((128, 128, 4), 255, np.uint8)
    pixels[..., 3] = 255 * ((radius > 0.2) & (radius < 0.4))
    look = {"baseColorTexture": {"index": builder.image(pixels)}}
    builder.square(SQUARE_UVS, material=builder.material(pbrMetallicRoughness=look, alphaMode="MASK"))
    mesh = import_file(builder.write(tmp_path / "a.glb")).mesh
    assert area(mesh) == pytest.approx(16 * np.pi * (0.4**2 - 0.2**2), rel=0.01)
    radii = np.hypot(*mesh.triangles.mean(1)[:, [0, 2]].T) / 4
    assert radii.min() > 0.13
    assert radii.max() < 0.41
    assert len(mesh) < 1000


@pytest.mark.parametrize(("wrap", "expected"), [(33071, [0, 0, 1, 1, 1]), (33648, [1, 0, 1, 1, 0])])
def test_masks_that_clamp_or_mirror(tmp_path, wrap, expected):
    """The right half of the image is solid. u runs from -1 to 2, a metre and a third for each."""
    builder = GltfBuilder()
    builder.header["samplers"] = [{"wrapS": wrap}]
    path = file_with(tmp_path, (0, 255), "MASK", uvs=SQUARE_UVS * [3, 1] - [1, 0], builder=builder, sampler=0)
    mesh = import_file(path).mesh
    points = (np.array([-0.75, 0.25, 0.75, 1.25, 1.75]) + 1) / 3 * 4 - 2
    solid = [any(covers(triangle[:, [0, 2]], (x, 0.1)) for triangle in mesh.triangles) for x in points]
    assert solid == [bool(value) for value in expected]


def covers(triangle, point):
    edges = np.roll(triangle, -1, 0) - triangle
    away = np.array(point) - triangle
    turn = edges[:, 0] * away[:, 1] - edges[:, 1] * away[:, 0]
    return (turn >= -1e-9).all() or (turn <= 1e-9).all()


@pytest.mark.parametrize("backend", ["raycast", "raster"])
def test_both_backends_see_through_holes(tmp_path, make_renderer, backend):
    """A half clear screen 1 m in front of a wall: depth and labels of what is behind it."""
    builder = GltfBuilder()
    builder.square()
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:, 4:, 3] = 0
    look = {"baseColorTexture": {"index": builder.image(pixels)}}
    builder.square(SQUARE_UVS, name="screen", material=builder.material(pbrMetallicRoughness=look, alphaMode="MASK"))
    builder.header["nodes"][1]["translation"] = [0, 1, 0]
    imported = import_file(builder.write(tmp_path / "a.glb"))
    scene = bake(imported.mesh, "a", num_goals=1, label_names=imported.label_names)
    renderer = make_renderer([scene], 1, 32, 32, sensors=("depth", "semantic"), backend=backend, device="cpu")
    # From 2.5 m above, straight down: the screen's left half is 1.5 m away, the floor 2.5 m.
    images = renderer.render(torch.tensor([[0, 2.5, 0, -(0.5**0.5), 0, 0, 0.5**0.5]]), torch.tensor([0]))
    depth, label = images["depth"][0, :, :, 0], images["semantic"][0, :, :, 0]
    np.testing.assert_allclose(depth[4:-4, 4:15], 1.5, atol=1e-4)
    np.testing.assert_allclose(depth[10:-10, 18:22], 2.5, atol=1e-4)
    names = imported.label_names
    assert {names[k] for k in label[4:-4, 4:15].unique()} == {"screen"}
    assert {names[k] for k in label[10:-10, 18:22].unique()} == {"floor"}


@pytest.mark.parametrize(("factor", "mode"), [(0.4, "BLEND"), (0.4, "MASK"), (0.0, "BLEND")])
def test_what_is_mostly_transparent_is_left_out(tmp_path, factor, mode):
    path = file_with(tmp_path, (255, 255), mode, factor)
    with pytest.raises(SceneError, match=r"a\.glb: contains no triangles that can be seen"):
        import_file(path)
    assert len(import_file(path, alpha="solid").mesh) == 2


def test_triangles_on_a_transparent_part_of_the_texture_are_left_out(tmp_path):
    """The right half is clear: of two triangles in the left half none goes, of two in the right half both."""
    for shift, count in ((0.0, 2), (0.5, 0), (1.0, 2), (-0.5, 0)):
        uvs = SQUARE_UVS * [0.4, 1] + [shift + 0.05, 0]
        path = file_with(tmp_path, (255, 0), "BLEND", uvs=uvs)
        if count:
            assert len(import_file(path).mesh) == count
        else:
            with pytest.raises(SceneError, match="no triangles"):
                import_file(path)


def test_clear_leaves_out_all_that_blends(tmp_path):
    with pytest.raises(SceneError, match="no triangles"):
        import_file(file_with(tmp_path, (255, 255), "BLEND"), alpha="clear")
    assert area(import_file(file_with(tmp_path, (255, 0), "MASK"), alpha="clear").mesh) == pytest.approx(8)
    with pytest.raises(SceneError, match="alpha is 'none'; expected one of auto, solid, clear"):
        import_file(file_with(tmp_path, (255, 0), "MASK"), alpha="none")


def test_light_shafts_are_no_floor(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    builder = GltfBuilder()
    builder.square()
    shaft = builder.material(pbrMetallicRoughness={"baseColorFactor": [1, 1, 1, 0.05]}, alphaMode="BLEND")
    builder.square(material=shaft)
    builder.header["nodes"][1]["translation"] = [0, 1, 0]
    path = builder.write(tmp_path / "a.glb")
    heights = scenes.load(path, num_goals=1).walkable.heights
    np.testing.assert_allclose(heights, 0, atol=1e-6)
    assert scenes.load(f"{path}?alpha=solid", num_goals=1).walkable.heights.max() == pytest.approx(1)
