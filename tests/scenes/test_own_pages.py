import numpy as np

from batchsim.scenes.own_pages import empty_bytes, in_own_pages
from tests.helpers.soak import resident_bytes

MIB = 1 << 20


def test_values_and_layout_stay():
    grid = np.arange(3 * 40_000, dtype=np.int32).reshape(3, -1)
    for array in (grid, grid[:, ::2], grid.T, np.arange(5), np.zeros((0, 3), np.float16)):
        moved = in_own_pages(array)
        np.testing.assert_array_equal(moved, array)
        assert moved.dtype == array.dtype
        assert moved.flags.writeable


def test_only_large_arrays_are_copied_and_only_once():
    small, large = np.zeros(10), np.zeros(10_000)
    assert in_own_pages(small) is small
    moved = in_own_pages(large)
    assert not np.shares_memory(moved, large)
    assert in_own_pages(moved) is moved
    part = moved[:9_000].view(np.uint64)
    assert in_own_pages(part) is part
    assert in_own_pages(empty_bytes(MIB).view(np.float32)).nbytes == MIB


def test_memory_returns_although_something_younger_stays():
    """With malloc, the small arrays in between would keep the large ones' memory."""
    before = resident_bytes()
    arrays = [in_own_pages(np.ones(MIB // 2, np.uint8)) for _ in range(200)]
    stays = [np.ones(1000, np.uint8) for _ in range(200)]
    assert resident_bytes() > before + 90 * MIB
    del arrays
    assert resident_bytes() < before + 10 * MIB
    assert len(stays) == 200
