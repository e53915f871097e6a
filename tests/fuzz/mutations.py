"""Strategies that damage valid inputs: bytes, JSON documents, files of a folder."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ODD_NUMBERS = (0, -1, 1, 0.5, -0.0, 255, 256, 65_536, 2**31 - 1, 2**31, 2**32, 2**63, -(2**63) - 1, 10**18, 10**400)
ODD_FLOATS = (1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf"))
ODD_STRINGS = ("", " ", "x", "\ud800", "\0", "a\nb", "é", "../..", "/", "%s{}", "9" * 400, "x" * 5000, "nan", "[red]")
ODD_VALUES = (*ODD_NUMBERS, *ODD_FLOATS, *ODD_STRINGS, None, True, False, [], {}, [[]], [None], {"": 0}, [1e308] * 3)

Key = str | int


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Returns `content` with bytes flipped, cut out, repeated or inserted, or with its end missing."""
    data = bytearray(content)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 4)))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(1, 16))
        match draw(st.sampled_from(("flip", "flip", "flip", "truncate", "cut", "repeat", "insert", "fill"))):
            case "flip" if data:
                data[at] ^= draw(st.integers(1, 255))
            case "truncate":
                del data[at:]
            case "cut":
                del data[at : at + size]
            case "repeat":
                data[at:at] = data[at : at + size] * draw(st.integers(1, 8))
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "fill":
                data[at : at + size] = draw(st.sampled_from((b"\0", b"\xff", b"9", b"-"))) * len(data[at : at + size])
    return bytes(data)


def places(document: Any, before: tuple[Key, ...] = ()) -> Iterator[tuple[Key, ...]]:
    """Yields the keys that lead to every value inside `document`."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    for key, child in children:
        yield (*before, key)
        if isinstance(child, dict | list):
            yield from places(child, (*before, key))


@st.composite
def damaged_document(draw: st.DrawFn, document: Any) -> Any:
    """Returns the JSON value `document` with one to three values replaced, repeated or dropped."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        all_places = list(places(document))
        if not all_places:
            break
        *way, last = draw(st.sampled_from(all_places))
        parent = document
        for key in way:
            parent = parent[key]
        match draw(st.sampled_from(("replace", "replace", "drop", "nest"))):
            case "replace":
                parent[last] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
            case "drop":
                del parent[last]
            case "nest":
                parent[last] = [copy.deepcopy(parent[last])] * 3
    return document


def damaged_json(document: Any) -> st.SearchStrategy[bytes]:
    """Returns the text of a damaged `document`; half of the time as it is, else with its bytes damaged as well."""
    whole = damaged_document(document).map(lambda value: json.dumps(value).encode())
    return whole | whole.flatmap(damaged_bytes)


@st.composite
def damaged_file(draw: st.DrawFn, files: dict[str, bytes]) -> dict[str, bytes]:
    """Returns the contents of a folder with one file damaged, emptied or missing; JSON files also value by value."""
    name = draw(st.sampled_from(sorted(files)))
    rest = {other: content for other, content in files.items() if other != name}
    kinds = ["bytes", "bytes", "bytes", "missing"] + ["json"] * (6 if name.endswith((".json", ".gltf")) else 0)
    match draw(st.sampled_from(kinds)):
        case "missing":
            return rest
        case "json":
            return rest | {name: draw(damaged_json(json.loads(files[name])))}
        case _:
            return rest | {name: draw(damaged_bytes(files[name]))}


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the files below `folder` by relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_contents(folder: Path, files: dict[str, bytes]) -> None:
    """Makes `files` the only ones below `folder`."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
