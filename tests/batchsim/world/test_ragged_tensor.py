"""Slots of a flat tensor against a list of arrays."""

import pytest
import torch

from batchsim.world.ragged_tensor import SlottedTensor, at_once

CPU = torch.device("cpu")


def arrays_of(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((length, 3), generator=generator) for length in lengths]


def assert_holds(slotted, arrays):
    for offset, array in zip(slotted.offset.tolist(), arrays, strict=True):
        assert torch.equal(slotted.data[offset : offset + len(array)], array)


def test_a_fixed_one_wastes_nothing():
    arrays = arrays_of([5, 1, 8])
    slotted = SlottedTensor(arrays, CPU)
    assert_holds(slotted, arrays)
    assert len(slotted.data) == 14


@pytest.mark.parametrize("length", [3, 8, 50_000])
def test_an_array_takes_the_place_of_another(length):
    arrays = arrays_of([5, 1, 8])
    slotted = SlottedTensor(arrays, CPU, replaceable=True)
    (new,) = arrays_of([length], seed=1)
    for _ in slotted.grow(length):
        assert_holds(slotted, arrays)
    assert_holds(slotted, arrays)
    pieces = list(slotted.write(1, new))
    arrays[1] = new
    assert_holds(slotted, arrays)
    assert sum(pieces) == new.nbytes
    assert max(pieces) <= 1 << 18


def test_room_grows_to_what_is_needed_and_then_no_more():
    slotted = SlottedTensor(arrays_of([5, 5]), CPU, replaceable=True)
    for length in (100, 40, 100, 3, 99):
        at_once(slotted.grow(length))
        at_once(slotted.write(length % 2, *arrays_of([length])))
    assert len(slotted.data) == 2 * 125


def test_a_part_of_a_slot():
    arrays = arrays_of([5, 6])
    slotted = SlottedTensor(arrays, CPU, replaceable=True)
    at_once(slotted.write(1, arrays[0][:2], first=3))
    arrays[1][3:5] = arrays[0][:2]
    assert_holds(slotted, arrays)
