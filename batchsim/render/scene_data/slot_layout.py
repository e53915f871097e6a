"""Where each resident scene begins in the GPU buffers, and how much room it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

HEAD_ROOM = 1.5
"""Room of a slot whose scene will be replaced, as a multiple of the largest of the first scenes."""

ROUND = 1024
"""Such slots have room for a multiple of this number of elements: whole rows of the image of records."""


class SlotLayout:
    """Ranges of elements for `len(counts)` slots, by unit ("node", "triangle", "chunk").

    Args:
        counts: For each slot, by unit, the number of elements that it must hold.
        limits: By unit, the number of elements that the device can hold.
        replaceable: Whether scenes of other sizes will follow. If so, all slots are equally large, with spare room as
            far as the limits allow; if not, slots are as large as what they hold.

    Attributes:
        capacity: By unit, int64 `[slots]`: the elements that a slot has room for.
        start: By unit, int64 `[slots]`: the first element of a slot.
        total: By unit, the elements of all slots.

    Raises:
        DoesNotFit: The slots exceed a limit.
    """

    def __init__(self, counts: Sequence[Mapping[str, int]], limits: Mapping[str, int], replaceable: bool) -> None:
        self.capacity: dict[str, np.ndarray] = {}
        self.start: dict[str, np.ndarray] = {}
        self.total: dict[str, int] = {}
        for unit, limit in limits.items():
            needed = np.array([count[unit] for count in counts], np.int64)
            capacity = _equal_shares(needed, limit) if replaceable else needed
            if capacity.sum() > limit:
                raise DoesNotFit(unit, int(capacity.sum()), limit, _that_fit(capacity, limit))
            self.capacity[unit] = capacity
            self.start[unit] = np.cumsum(capacity) - capacity
            self.total[unit] = int(capacity.sum())

    def has_room(self, slot: int, counts: Mapping[str, int]) -> bool:
        """Whether `slot` can hold `counts` elements."""
        return all(counts[unit] <= capacity[slot] for unit, capacity in self.capacity.items())

    def grown(self, slot: int, counts: Mapping[str, int], limits: Mapping[str, int]) -> SlotLayout:
        """Returns a layout of equally large slots that also has room for `counts` in `slot`. Raises `DoesNotFit`."""
        needed = [{unit: int(capacity[k]) for unit, capacity in self.capacity.items()} for k in range(self.slots)]
        layout = SlotLayout([dict(counts)] * self.slots, limits, replaceable=True)
        for unit, capacity in self.capacity.items():
            if counts[unit] <= needed[slot][unit]:  # this unit has room: keep its slots
                layout.capacity[unit], layout.start[unit] = capacity, self.start[unit]
                layout.total[unit] = self.total[unit]
        return layout

    @property
    def slots(self) -> int:
        """The number of slots."""
        return len(next(iter(self.capacity.values())))


class DoesNotFit(Exception):
    """`needed` elements of `unit` are more than `limit`; about `fitting` such slots would fit."""

    def __init__(self, unit: str, needed: int, limit: int, fitting: int) -> None:
        super().__init__(f"{needed} elements of {unit}, {limit} allowed")
        self.unit, self.needed, self.limit, self.fitting = unit, needed, limit, fitting


def _equal_shares(needed: np.ndarray, limit: int) -> np.ndarray:
    """Returns equal capacities with as much spare room as `limit` allows; too much if the largest does not fit."""
    wanted, least = _rounded(int(needed.max() * HEAD_ROOM)), _rounded(int(needed.max()))
    share = limit // len(needed) // ROUND * ROUND
    return np.full(len(needed), max(least, min(wanted, share)), np.int64)


def _rounded(count: int) -> int:
    return max(1, -(-count // ROUND)) * ROUND


def _that_fit(capacity: np.ndarray, limit: int) -> int:
    """Returns how many of the slots fit if the largest are left out first."""
    return int((np.cumsum(np.sort(capacity)) <= limit).sum())
