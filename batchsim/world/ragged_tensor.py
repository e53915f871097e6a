"""`RaggedTensor`: arrays of different lengths in one flat tensor; each can be replaced piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_PIECE = 1 << 18  # bytes per copy
_HEAD_ROOM = 1.25


class RaggedTensor:
    """K arrays laid end to end: array k is `data[offset[k] : offset[k] + length of k]`.

    Args:
        arrays: The arrays, `[length, ...]` each, all of one dtype.
        device: Where to store them.
        replaceable: Whether arrays can be replaced later. If so, every slot gets the same capacity, with headroom over
            the longest array; otherwise no memory is wasted.

    Attributes:
        data: The values, `[sum of lengths or K * capacity, ...]`. Growing replaces it.
        offset: int64 `[K]`, start of each array in `data`. Growing replaces it.
        capacity: Rows per slot; 0 if not replaceable.
    """

    def __init__(self, arrays: Sequence[Tensor], device: torch.device, replaceable: bool = False) -> None:
        lengths = torch.tensor([len(array) for array in arrays])
        self._num_slots = len(arrays)
        self.capacity = 0
        if not replaceable:
            self.data = torch.cat(list(arrays)).to(device)
            self.offset = (lengths.cumsum(0) - lengths).to(device)
            return
        self.capacity = int(lengths.max() * _HEAD_ROOM)
        self.data, self.offset = self._room(arrays[0].to(device), self.capacity)
        for slot, array in enumerate(arrays):
            at_once(self.write(slot, array))

    def _room(self, like: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
        # Zeros, or the system would provide memory page by page, whenever a larger scene comes into a slot.
        data = like.new_zeros((self._num_slots * capacity, *like.shape[1:]))
        return data, torch.arange(self._num_slots, device=like.device) * capacity

    def write(self, slot: int, values: Tensor, first: int = 0) -> Iterator[int]:
        """Overwrites `slot` from its row `first` on, piece by piece, yielding the number of bytes copied.

        Copies from pinned memory do not block the host. `values` must fit; call `grow` first if they may not.
        """
        begin = slot * self.capacity + first
        return _copy(values, self.data[begin : begin + len(values)])

    def grow(self, length: int) -> Iterator[int]:
        """Makes room for arrays of `length` rows in every slot, piece by piece, yielding the number of bytes copied.

        Lookups keep working meanwhile, but no slot may be written.
        """
        if length <= self.capacity:
            return
        capacity = int(length * _HEAD_ROOM)
        data, offset = self._room(self.data, capacity)
        for slot in range(self._num_slots):
            kept = self.data[slot * self.capacity : (slot + 1) * self.capacity]
            yield from _copy(kept, data[slot * capacity : slot * capacity + self.capacity])
        self.data, self.offset, self.capacity = data, offset, capacity


def at_once(pieces: Iterator[int]) -> None:
    """Runs a piecewise copy to its end."""
    for _ in pieces:
        pass


def _copy(source: Tensor, target: Tensor) -> Iterator[int]:
    rows = max(1, _PIECE // max(1, source[:1].nbytes))
    for part, place in zip(source.split(rows), target.split(rows), strict=True):
        place.copy_(part, non_blocking=True)
        yield part.nbytes
