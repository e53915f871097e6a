"""Files that grow at their end, and lose nothing while the disk is full."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class AppendFile:
    """Appends to the file `path`. What cannot be written is kept in memory and written with the next call.

    The file never ends with a part of what one call appended, unless the program is killed while it writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size if path.exists() else 0
        self._unwritten = b""

    @property
    def has_unwritten(self) -> bool:
        """Whether something could not be written yet."""
        return bool(self._unwritten)

    def append(self, data: bytes) -> None:
        """Appends `data`, after what earlier calls could not write; raises OSError if that fails again."""
        self._unwritten += data
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            self._size = min(self._size, os.fstat(descriptor).st_size)  # less if the user has replaced the file
            os.ftruncate(descriptor, self._size)
            os.lseek(descriptor, self._size, os.SEEK_SET)
            _write_all(descriptor, self._unwritten)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        finally:
            os.close(descriptor)
        self._size += len(self._unwritten)
        self._unwritten = b""


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
