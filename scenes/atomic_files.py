"""Writes files as a whole: a crash, a full disk or a power cut leaves the old file or the new one, never a part."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from batchsim.scenes.errors import SceneError

_TEMPORARY = ".part"
_LONGEST_WRITE = 3600.0  # seconds


def atomic_write(path: Path, data: bytes | str) -> Path:
    """Writes `data` to `path`, whose folder is created if needed; text is encoded as UTF-8.

    Writes a temporary file in the same folder, flushes it to disk, renames it to `path`, and flushes the folder.

    Returns:
        `path`.

    Raises:
        OSError: If that fails. What was at `path` is still there, and the temporary file is not.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name does not start with that of the file, which may be as long as the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    _flush_folder(path.parent)
    return path


def write_user_file(path: Path, data: bytes | str) -> Path:
    """As `atomic_write`, for a file that a user asked for.

    Raises:
        SceneError: If the file cannot be written.
    """
    try:
        return atomic_write(path, data)
    except OSError as error:
        raise SceneError(f"{path} cannot be written: {error.strerror or error}.") from error


def _flush_folder(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut, where folders can be opened (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that killed processes have left in `folder`: those older than an hour."""
    for path in folder.glob(".*" + _TEMPORARY):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LONGEST_WRITE:
                path.unlink()
