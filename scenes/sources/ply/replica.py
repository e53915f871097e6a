"""Classes of the objects in a Replica scan: `info_semantic.json` beside the .ply, or in its folder `habitat`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.user_files import read_json

_NAMES = ("info_semantic.json", "habitat/info_semantic.json")


class _Object(Struct):
    id: int
    class_name: str = ""


class _Info(Struct):
    objects: list[_Object] = []
    classes: list[Any] = []


def object_classes(files: SourceFiles) -> dict[int, str]:
    """Returns the class of each object by its id; empty if there is no such file."""
    for name in _NAMES:
        found = files.search(name)
        if found is not None:
            info: _Info = read_json(found, _Info, "a Replica info_semantic.json")
            return {entry.id: entry.class_name.strip().lower() for entry in info.objects}
    return {}
