"""Files that name the objects of a scan: HM3D's .semantic.txt, Gibson's .scn, MP3D's .house, Replica's .json.

Each maps what tells objects apart in the semantic mesh, a colour or a number, to the object and its category.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.surfaces.text import decode_text
from batchsim.scenes.user_files import read_bytes, read_json

_HM3D_HEADER = "HM3D Semantic Annotations"
_MP3D_HEADER = "ASCII"
_HEX = re.compile(r"^(0x|#)?[0-9A-Fa-f]{1,6}$")


@dataclass
class Descriptor:
    """The objects of a scan.

    Attributes:
        categories: Category of each object by its number, in lower case.
        colors: Number of the object by its colour, 0xRRGGBB; empty if the mesh holds numbers.
        segments: Number of the object by the number of a segment of the mesh (MP3D).
        classes: Category by the number of a class (Replica, ReplicaCAD, HSSD), for objects with a `semantic_id`.
    """

    categories: dict[int, str] = field(default_factory=dict)
    colors: dict[int, int] = field(default_factory=dict)
    segments: dict[int, int] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)


class _Object(Struct):
    id: int
    class_: str = ""
    class_name: str = ""


class _Class(Struct):
    id: int
    name: str = ""


class _Described(Struct):
    objects: list[_Object] = []
    classes: list[_Class] = []


def read_descriptor(path: Path) -> Descriptor:
    """Reads a file that names objects, of any of the kinds above.

    Raises:
        SceneError: If it is of no known kind or damaged; the message names the line.
    """
    if path.suffix.lower() in (".json", ".scn"):
        return _from_json(path)
    lines = decode_text(read_bytes(path, "a semantic scene descriptor")).splitlines()
    header = lines[0].strip() if lines else ""
    if header.startswith(_HM3D_HEADER):
        return _from_hm3d(path, lines)
    if header.startswith(_MP3D_HEADER):
        return _from_mp3d(path, lines)
    raise SceneError(
        f"{path}: starts with {header[:40]!r}; expected {_HM3D_HEADER!r} (HM3D), 'ASCII 1.1' (MP3D) or JSON (Gibson, "
        "Replica)."
    )


def _from_hm3d(path: Path, lines: list[str]) -> Descriptor:
    """Lines are `1,3F5A9C,"ceiling lamp",0`: number, colour, category, region."""
    found = Descriptor()
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        fields = next(csv.reader([line], skipinitialspace=True))
        try:
            identity, color, category = int(fields[0]), fields[1].strip(), fields[2].strip().lower()
            if not _HEX.match(color):
                raise ValueError(color)
        except (IndexError, ValueError):
            raise SceneError(
                f"{path}: line {number} is {line[:60]!r}; expected a number, a hexadecimal colour, a category in "
                "quotes and a region."
            ) from None
        found.colors[int(color.lstrip("#"), 16)] = identity
        found.categories[identity] = category
    return found


def _from_mp3d(path: Path, lines: list[str]) -> Descriptor:
    """Lines start with their kind: C are categories, O are objects, E are segments of the mesh."""
    found = Descriptor()
    names: dict[int, str] = {}
    owners: dict[int, int] = {}
    for number, line in enumerate(lines[1:], 2):
        fields = line.split()
        try:
            match fields[:1]:
                case ["C"]:
                    name, group = fields[3].replace("#", " "), fields[5] if len(fields) > 5 else ""
                    names[int(fields[1])] = (group or name).replace("_", " ").lower()
                case ["O"]:
                    owners[int(fields[1])] = int(fields[3])
                case ["E"]:
                    found.segments[int(fields[3])] = int(fields[2])
        except (IndexError, ValueError):
            raise SceneError(f"{path}: line {number} is damaged: {line[:60]!r}.") from None
    found.categories = {identity: names.get(category, "") for identity, category in owners.items()}
    return found


def _from_json(path: Path) -> Descriptor:
    described: _Described = read_json(path, _Described, "a Habitat semantic scene descriptor")
    return Descriptor(
        {entry.id: (entry.class_ or entry.class_name).strip().lower() for entry in described.objects},
        classes={entry.id: entry.name.strip().lower() for entry in described.classes},
    )
