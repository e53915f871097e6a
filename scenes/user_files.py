"""Reads files that a user hands in: whatever is wrong with one becomes the project's error, with the file's name.

Parsers raise all kinds of exceptions on damaged input. `reading` turns each of them into one error; `read_json` also
checks the size of a JSON file, and the type of every value in it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from batchsim.scenes.errors import SceneError, first_line

T = TypeVar("T")

MAX_JSON_BYTES = 64 << 20


@contextmanager
def reading(path: Path | str, expected: str, error: type[Exception] = SceneError) -> Iterator[None]:
    """Turns every exception of the block, which reads `path`, into `error`.

    Args:
        path: The file or folder that is read; every message starts with it.
        expected: What it should be, with an article: "a baked scene".
        error: The exception to raise. One that the block raises itself passes through unchanged.

    Raises:
        error: If the block fails. The original exception is its cause.
    """
    try:
        yield
    except error:
        raise
    except FileNotFoundError as cause:
        raise error(f"{cause.filename or path} does not exist.") from cause
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror or first_line(cause)}.") from cause
    except MemoryError as cause:
        raise error(f"{path} cannot be read: it needs more memory than there is.") from cause
    except Exception as cause:
        raise error(f"{path} is not {expected}, or is damaged: {first_line(cause)}") from cause


def is_hidden(path: Path, folder: Path | None = None) -> bool:
    """Whether a file, or a folder between it and `folder`, has a name with a dot in front.

    Such as the files "._scan.glb" that macOS leaves beside others in archives and on network drives.
    """
    parts = (path.name,) if folder is None else path.relative_to(folder).parts
    return any(part.startswith(".") for part in parts)


def read_bytes(
    path: Path, expected: str, error: type[Exception] = SceneError, max_bytes: int = MAX_JSON_BYTES
) -> bytes:
    """Returns the content of `path`, a file of at most `max_bytes`; raises `error` as `reading` does."""
    with reading(path, expected, error), path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise error(f"{path} is larger than {max_bytes / 1e6:.3g} MB, and so is not {expected}.")
    return data


def read_json(
    path: Path,
    shape: type[T] | Any,
    expected: str,
    error: type[Exception] = SceneError,
    max_bytes: int = MAX_JSON_BYTES,
) -> T:
    """Returns the value in the JSON file `path`, of which every part has been checked against `shape`.

    Args:
        path: The file.
        shape: What the file holds: a dataclass, a `TypedDict`, `dict[str, int]`, ... Bounds are given by
            `Annotated[int, msgspec.Meta(ge=0)]`. JSON has no infinite numbers and no nan.
        expected: What the file should be, with an article.
        error: The exception to raise.
        max_bytes: The size above which a file is refused unread.

    Raises:
        error: If the file cannot be read, is too large, is no JSON, or if a value has another type.
    """
    data = read_bytes(path, expected, error, max_bytes)
    with reading(path, expected, error):
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=shape)
