"""Slots of a flat tensor against a list of arrays."""

import pytest
import torch

from batchsim.world.ragged_tensor import RaggedTensor, at_once

CPU = torch.device("cpu")


def arrays_of(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((length, 3), generator=generator) for length in lengths]


def assert_holds(ragged, arrays):
    for offset, array in zip(ragged.offset.tolist(), arrays, strict=True):
        assert torch.equal(ragged.data[offset : offset + len(array)], array)


def test_a_fixed_one_wastes_nothing():
    arrays = arrays_of([5, 1, 8])
    ragged = RaggedTensor(arrays, CPU)
    assert_holds(ragged, arrays)
    assert len(ragged.data) == 14


@pytest.mark.parametrize("length", [3, 8, 50_000])
def test_an_array_takes_the_place_of_another(length):
    arrays = arrays_of([5, 1, 8])
    ragged = RaggedTensor(arrays, CPU, replaceable=True)
    (new,) = arrays_of([length], seed=1)
    for _ in ragged.grow(length):
        assert_holds(ragged, arrays)
    assert_holds(ragged, arrays)
    pieces = list(ragged.write(1, new))
    arrays[1] = new
    assert_holds(ragged, arrays)
    assert sum(pieces) == new.nbytes
    assert max(pieces) <= 1 << 18


def test_room_grows_to_what_is_needed_and_then_no_more():
    ragged = RaggedTensor(arrays_of([5, 5]), CPU, replaceable=True)
    for length in (100, 40, 100, 3, 99):
        at_once(ragged.grow(length))
        at_once(ragged.write(length % 2, *arrays_of([length])))
    assert len(ragged.data) == 2 * 125


def test_a_part_of_a_slot():
    arrays = arrays_of([5, 6])
    ragged = RaggedTensor(arrays, CPU, replaceable=True)
    at_once(ragged.write(1, arrays[0][:2], first=3))
    arrays[1][3:5] = arrays[0][:2]
    assert_holds(ragged, arrays)
