"""Text files that a reader meets whole or as they were before, never half."""

from __future__ import annotations

import os
from pathlib import Path


def atomic_write(path: Path, text: str) -> Path:
    """Write `text` to `path` and return it: beside it first, then renamed, so that a full disk leaves what was there.

    Raises OSError where that cannot be done.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
