"""What alpha leaves of a surface."""

import numpy as np
import pytest

from batchsim import scenes
from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import import_file
from tests.helpers.gltf_builder import SQUARE_UVS, GltfBuilder


def file_with(tmp_path, alpha_of_halves, mode, factor=1.0, uvs=SQUARE_UVS, **fields):
    """A square whose texture has one alpha on its left half and another on its right."""
    builder = GltfBuilder()
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:, :4, 3], pixels[:, 4:, 3] = alpha_of_halves
    look = {"baseColorTexture": {"index": builder.image(pixels)}, "baseColorFactor": [1, 1, 1, factor]}
    builder.square(uvs, material=builder.material(pbrMetallicRoughness=look, alphaMode=mode, **fields))
    return builder.write(tmp_path / "a.glb")


@pytest.mark.parametrize(
    ("halves", "mode", "fields", "cutoff"),
    [
        ((255, 0), "OPAQUE", {}, 0),
        ((255, 0), "MASK", {}, 0.5),
        ((255, 0), "MASK", {"alphaCutoff": 0.75}, 0.75),
        ((255, 0), "BLEND", {}, 0.5),
        ((255, 100), "BLEND", {"factor": 0.8}, 0.625),
        ((255, 200), "BLEND", {}, 0),
        ((255, 200), "MASK", {}, 0),
    ],
)
def test_the_alpha_at_which_a_surface_is_cut_out(tmp_path, halves, mode, fields, cutoff):
    mesh = import_file(file_with(tmp_path, halves, mode, **fields)).mesh
    material = mesh.material_table[mesh.materials[0]]
    assert material.alpha_cutoff == pytest.approx(cutoff)
    assert mesh.textures[material.texture].shape[2] == (4 if cutoff else 3)


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
    assert len(import_file(file_with(tmp_path, (255, 0), "MASK"), alpha="clear").mesh) == 2
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
