"""Arrays with memory pages of their own, for scenes that are loaded and dropped while a program runs.

malloc keeps the memory of a freed array for other arrays, and small ones soon lie between large ones. While scenes of
different sizes were swapped, a process grew by 3% over a million steps. Pages return to the system once they are freed.
"""

from __future__ import annotations

import mmap

import numpy as np

_LEAST_BYTES = 1 << 16


def empty_bytes(size: int) -> np.ndarray:
    """Returns uint8 `[size]`, not initialised. It has its own pages from 64 KiB on."""
    if size < _LEAST_BYTES:
        return np.empty(size, np.uint8)
    return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)


def in_own_pages(array: np.ndarray) -> np.ndarray:
    """Returns a contiguous copy of `array` in its own pages, or `array` itself if it is small or already has them."""
    if array.nbytes < _LEAST_BYTES or _is_in_own_pages(array):
        return array
    copied = empty_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


def _is_in_own_pages(array: np.ndarray) -> bool:
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)
