"""A copy of much data that is spread over many steps."""

from __future__ import annotations

from collections.abc import Iterator


class PiecewiseCopy:
    """Runs an iterator that copies one piece at a time and yields the bytes of each piece."""

    def __init__(self, pieces: Iterator[int]) -> None:
        self._pieces = pieces

    def advance(self, max_bytes: int) -> bool:
        """Copies about `max_bytes` more (at least one piece); returns True once everything is copied."""
        for size in self._pieces:
            max_bytes -= size
            if max_bytes <= 0:
                return False
        return True

    def finish(self) -> None:
        """Copies all that is left."""
        for _ in self._pieces:
            pass
