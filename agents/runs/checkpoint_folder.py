"""A folder of checkpoints of which a whole one is left, wherever the program is killed.

Each checkpoint is written to a subfolder with a new number. Its manifest, with the size and checksum of every file, is
written last: a subfolder is whole if its files match its manifest. Older ones are deleted only after that, and the
newest whole one is the one to read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec

from batchsim.agents.errors import AgentError
from batchsim.scenes.atomic_files import atomic_write
from batchsim.scenes.user_files import read_json

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 20
_ATTEMPTS = 5
_NUMBER = re.compile("[0-9]{1,18}")


class FileEntry(msgspec.Struct, frozen=True):
    """What a manifest says about a file."""

    bytes: Annotated[int, msgspec.Meta(ge=0)]
    blake2b: str


def write_checkpoint_folder(parent: Path, fill: Callable[[Path], None]) -> Path:
    """Writes a new checkpoint into `parent`, and deletes the older ones once it is whole.

    Args:
        parent: The folder of checkpoints; it is created if needed.
        fill: Writes the checkpoint's files into the folder that it is given.

    Returns:
        The folder of the new checkpoint.

    Raises:
        OSError: If something cannot be written. The older checkpoints are unchanged.
        Exception: Whatever `fill` raises; likewise.
    """
    if not parent.is_dir():
        parent.mkdir(parents=True)
        _flush(parent.parent)
    new = parent / f"{1 + max((_number(path) for path in _numbered(parent)), default=0):08d}"
    try:
        new.mkdir()
        fill(new)
        files = sorted(new.iterdir())
        for path in files:
            _flush(path)
        entries = {path.name: FileEntry(path.stat().st_size, _checksum(path)) for path in files}
        atomic_write(new / MANIFEST, json.dumps({name: msgspec.to_builtins(entry) for name, entry in entries.items()}))
        _flush(parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for other in parent.iterdir():
        if other != new and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
    return new


def newest_whole(parent: Path) -> Path | None:
    """Returns the newest whole checkpoint in `parent`, or None if it holds none.

    Raises:
        AgentError: If there are checkpoints whose manifest was written, but all are damaged.
    """
    damage: list[str] = []
    before: list[Path] = []
    for _ in range(_ATTEMPTS):
        folders = _numbered(parent)
        if folders == before:
            break  # else a training process replaced them in the meantime
        damage, before = [], folders
        for folder in reversed(folders):
            if not (folder / MANIFEST).exists():
                continue
            if not (problem := _problem(folder)):
                return folder
            damage.append(problem)
    if damage:
        raise AgentError(f"{parent} holds no undamaged checkpoint: {damage[0]}")
    return None


def holds_checkpoints(parent: Path) -> bool:
    """Returns whether `parent` holds a checkpoint whose manifest was written, damaged or not."""
    return any((folder / MANIFEST).exists() for folder in _numbered(parent))


def _numbered(parent: Path) -> list[Path]:
    """The subfolders with a number as their name, oldest first."""
    if not parent.is_dir():
        return []
    return sorted((path for path in parent.iterdir() if _NUMBER.fullmatch(path.name) and path.is_dir()), key=_number)


def _number(path: Path) -> int:
    return int(path.name)


def _problem(folder: Path) -> str | None:
    """Says what is wrong with the checkpoint in `folder`; None if it is whole."""
    try:
        manifest, expected = folder / MANIFEST, "a checkpoint's manifest"
        entries: dict[str, FileEntry] = read_json(
            manifest, dict[str, FileEntry], expected, AgentError, _MAX_MANIFEST_BYTES
        )
        for name, entry in entries.items():
            path = folder / name
            if path.parent != folder:
                return f"{manifest} names the file {name!r}, which is not in this folder."
            if path.stat().st_size != entry.bytes:
                return f"{path} has {path.stat().st_size} bytes instead of {entry.bytes}."
            if _checksum(path) != entry.blake2b:
                return f"{path} has changed since it was written."
    except AgentError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}."
    return None


def _checksum(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Waits until the disk holds the file or folder, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
