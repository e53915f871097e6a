import zlib

import numpy as np
import pytest

from batchsim.scenes.baking.bake import bake
from batchsim.scenes.baking.packing import differences, from_differences, pack, unpack
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.homes import generate_home


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int32).reshape(2, 3, 4),
        np.zeros((0, 3), np.float32),
        np.random.default_rng(0).normal(size=(5, 7)).astype(np.float16)[:, ::2],
    ],
)
def test_arrays_come_back_as_they_were(array):
    back = unpack(pack(array), array.dtype.str, array.shape)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert back.flags.writeable


def test_a_promise_of_another_size_is_refused():
    packed = pack(np.zeros(100, np.int32))
    for count in (99, 101):
        with pytest.raises(ValueError, match="expected"):
            unpack(packed, "<i4", (count,))
    with pytest.raises(ValueError, match="not a zlib stream"):
        unpack(np.zeros(10, np.uint8), "<i4", (100,))
    noise = pack(np.random.default_rng(0).integers(0, 1 << 31, 100))
    for length in (1, 20, len(noise) - 1):
        with pytest.raises(ValueError, match="expected"):
            unpack(noise[:length], "<i8", (100,))


def test_a_stream_that_swells_is_not_unpacked():
    bomb = np.frombuffer(zlib.compress(bytes(50_000_000)), np.uint8)
    with pytest.raises(ValueError, match="unpacks to more than 40 bytes"):
        unpack(bomb, "<i4", (10,))


def test_differences_restore_every_bit():
    bits = np.random.default_rng(0).integers(0, 1 << 16, (3, 1000)).astype(np.uint16)
    # All of float16 is in it: inf, nan, -0.
    fields = bits.view(np.float16)
    np.testing.assert_array_equal(from_differences(differences(fields)).view(np.uint16), bits)
    # By hand: 1.0 is 0x3c00, the next number 0x3c01.
    steps = differences(np.array([[1.0, np.nextafter(np.float16(1), np.float16(2)), 1.0]], np.float16))
    assert steps.tolist() == [[0x3C00, 1, 0xFFFF]]


def test_a_home_of_30_000_triangles_takes_less_than_2_megabytes(tmp_path):
    scene = bake(generate_home(0, "medium").mesh, "home")
    assert 25_000 < len(scene.triangles) < 35_000
    assert len(scene.goals) == 64
    scene.save(tmp_path / "home.scene")
    assert (tmp_path / "home.scene").stat().st_size < 2e6
    assert scene.nbytes < 10e6
    back = Scene.load(tmp_path / "home.scene")
    np.testing.assert_array_equal(back.goal_distances.view(np.uint16), scene.goal_distances.view(np.uint16))


def test_large_arrays_are_unpacked_piece_by_piece():
    rng = np.random.default_rng(0)
    array = np.concatenate(
        [np.zeros(2_000_000, np.int64), rng.integers(0, 1 << 40, 500_000), np.ones(700_000, np.int64)]
    )
    np.testing.assert_array_equal(unpack(pack(array), "<i8", array.shape), array)
