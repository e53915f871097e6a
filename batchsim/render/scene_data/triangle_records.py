"""The records that shading reads, in an image: its texels are cheaper to read on llvmpipe than a storage buffer."""

from __future__ import annotations

import moderngl
import numpy as np

ROW = 1024
"""Texels per row, a multiple of a record's length."""


class RecordImage:
    """`count` records of `texels` texels of four words each, in rows of `ROW` texels."""

    def __init__(self, context: moderngl.Context, count: int, texels: int) -> None:
        self._context = context
        self.texels = texels
        self.image = context.texture((ROW, max(1, -(-count * texels // ROW))), 4, dtype="u4")

    def clear(self) -> None:
        """Sets all records to 0, in pieces of at most 1 MiB."""
        rows = np.zeros((64, ROW, 4), np.uint32)
        for first in range(0, self.image.height, len(rows)):
            count = min(len(rows), self.image.height - first)
            self.image.write(rows[:count], (0, first, ROW, count))

    def write(self, first: int, records: np.ndarray) -> None:
        """Writes `records`, uint32 `[n, 4 * texels]`, from record `first` on."""
        texels = np.ascontiguousarray(records).reshape(-1, 4)
        at = first * self.texels
        while len(texels):  # the rest of a row, whole rows, the start of a row
            column = at % ROW
            width = min(ROW - column, len(texels))
            height = len(texels) // ROW if column == 0 and width == ROW else 1
            self.image.write(texels[: width * height], (column, at // ROW, width, height))
            texels, at = texels[width * height :], at + width * height

    def copy_into(self, other: RecordImage, source: np.ndarray, target: np.ndarray, length: np.ndarray) -> None:
        """Copies ranges of records, whole rows each, on the device."""
        row_bytes, texels = 16 * ROW, self.texels
        everything = self._context.buffer(reserve=row_bytes * self.image.height)
        self.image.read_into(everything)
        for begin, end, count in np.stack([source, target, length], 1).tolist():
            rows = count * texels // ROW
            part = self._context.buffer(reserve=row_bytes * rows)
            self._context.copy_buffer(part, everything, row_bytes * rows, row_bytes * (begin * texels // ROW), 0)
            other.image.write(part, (0, end * texels // ROW, ROW, rows))
            part.release()
        everything.release()

    def release(self) -> None:
        """Releases the image."""
        self.image.release()
