"""What shading looks up of each triangle, in an image: its texels cost llvmpipe less than a storage buffer's words."""

from __future__ import annotations

import moderngl
import numpy as np

ROW = 1024
"""Texels a row, a multiple of a record's length."""


class RecordImage:
    """`count` records of `texels` texels of four words each, laid out in rows of `ROW` texels."""

    def __init__(self, context: moderngl.Context, count: int, texels: int) -> None:
        self._context = context
        self.texels = texels
        self.image = context.texture((ROW, max(1, -(-count * texels // ROW))), 4, dtype="u4")

    def write(self, first: int, records: np.ndarray) -> None:
        """Write uint32 `[n, 4 * texels]` from record `first` on: the rest of a row, whole rows, the start of one."""
        texels = np.ascontiguousarray(records).reshape(-1, 4)
        at = first * self.texels
        while len(texels):
            column = at % ROW
            width = min(ROW - column, len(texels))
            height = len(texels) // ROW if column == 0 and width == ROW else 1
            self.image.write(texels[: width * height], (column, at // ROW, width, height))
            texels, at = texels[width * height :], at + width * height

    def copy_into(self, other: RecordImage, source: np.ndarray, target: np.ndarray, length: np.ndarray) -> None:
        """Copy ranges of records, whole rows each, without a way over the host."""
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
        """Give the image back."""
        self.image.release()
