"""Homes with one thing changed: what changes, and what stays."""

import numpy as np
import pytest

from batchsim import scenes
from batchsim.scenes import SceneError, resolve
from batchsim.scenes.homes import generate_home
from batchsim.scenes.sources.home_variation import Variation
from batchsim.scenes.sources.varied_home import varied_home

SEED = 3


@pytest.fixture(scope="module")
def plain():
    return generate_home(SEED).mesh


def colours(mesh):
    return {material.name: material.base_color for material in mesh.material_table}


def test_no_variation_is_the_home_itself(plain):
    mesh = varied_home(SEED, "low", Variation())
    assert np.array_equal(mesh.triangles, plain.triangles)
    assert mesh.material_table == plain.material_table
    assert all(np.array_equal(a, b) for a, b in zip(mesh.textures, plain.textures, strict=True))


def test_another_look_keeps_the_shapes(plain):
    mesh = varied_home(SEED, "low", Variation(look=1))
    assert np.array_equal(mesh.triangles, plain.triangles)
    assert np.array_equal(mesh.labels, plain.labels)
    assert colours(mesh) != colours(plain)
    assert any(not np.array_equal(a, b) for a, b in zip(mesh.textures, plain.textures, strict=True))
    # No home of the sets looks like that: they have 8 palettes.
    assert all(colours(mesh) != colours(generate_home(seed).mesh) for seed in range(12))


def test_another_light_scales_all_colours_alike(plain):
    mesh = varied_home(SEED, "low", Variation(light=1))
    assert np.array_equal(mesh.triangles, plain.triangles)
    assert all(np.array_equal(a, b) for a, b in zip(mesh.textures, plain.textures, strict=True))
    share = np.array([np.array(colours(mesh)[name]) / np.array(colours(plain)[name]) for name in colours(plain)])
    assert np.allclose(share, share[0])
    assert (share[0] < 1).all()


def test_other_furniture_keeps_the_walls(plain):
    mesh = varied_home(SEED, "low", Variation(furniture=1))
    wall = scenes.LABELS.index("wall")
    walls = [m.triangles[m.labels == wall] for m in (mesh, plain)]
    assert np.array_equal(*walls)
    assert len(mesh.triangles) != len(plain.triangles) or not np.array_equal(mesh.triangles, plain.triangles)
    assert colours(mesh)["ceiling"] == colours(plain)["ceiling"]


def test_variants_have_names_of_their_own():
    (source,) = resolve("homes:train/3?detail=low&light=2&look=1")
    assert source.name == "homes:train/3?look=1&light=2"
    assert resolve(source.name)[0] == source
    assert resolve("homes:train/3?look=0")[0] == resolve("homes:train/3")[0]
    keys = {resolve(f"homes:train/3{query}")[0].cache_key.path for query in ("", "?look=1", "?look=2", "?light=1")}
    assert len(keys) == 4
    with pytest.raises(SceneError, match="look is 'x'"):
        resolve("homes:train?look=x")
    with pytest.raises(SceneError, match="colour"):
        resolve("homes:train?colour=1")
