"""Labels from the names that files give to nodes, objects, groups and materials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from batchsim.scenes.labels import LABELS

# Names that programs give when a person gave none.
_GENERIC = frozenset(
    (
        *("gltf", "node", "mesh", "geometry", "object", "group", "obj", "root", "rootnode", "world", "scene"),
        *("polygon", "shape", "material", "mat", "default", "defaultmaterial", "none", "cube", "plane", "sphere"),
        *("primitive", "instance", "body", "part", "component", "entity", "wire", "surface", "texture"),
    )
)


def label_of(names: Iterable[str], path: Path) -> str:
    """Returns the label that the first telling one of `names` gives, or "nothing".

    Case, numbering and the name of the file are ignored: "Chair.003" is "chair".
    """
    return next(filter(None, (_meaning(name, path) for name in names)), LABELS[0])


def _meaning(name: str, path: Path) -> str:
    """What a name says, or "" if nothing."""
    name = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", name).split())
    if name == path.name or name.removesuffix(path.suffix) == path.stem:
        return ""
    words = re.sub(r"[\W_]*\d+$", "", re.sub(r"[\W_]*\d+$", "", name)).strip(" ._-").lower()
    return "" if words in _GENERIC or not re.search(r"[^\W\d_]", words) else words
