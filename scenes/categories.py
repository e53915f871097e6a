"""Names of things that an agent can be sent to, and which semantic labels they stand for.

The first six are those of Habitat's ObjectNav challenges on HM3D, at the ids that they have there; the others are what
generated homes hold besides. A label of an imported file that is not in this table is a category of its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HM3D_CATEGORIES = ("chair", "bed", "plant", "toilet", "tv_monitor", "sofa")
CATEGORIES: tuple[str, ...] = (
    *HM3D_CATEGORIES,
    "table",
    "shelf",
    "wardrobe",
    "cabinet",
    "counter",
    "stove",
    "fridge",
    "sink",
    "bathtub",
    "nightstand",
)
"""The position of a name is its id in `objectgoal`."""

_ALIASES = {
    "screen": "tv_monitor",
    "tv": "tv_monitor",
    "tv monitor": "tv_monitor",
    "television": "tv_monitor",
    "monitor": "tv_monitor",
    "couch": "sofa",
    "potted plant": "plant",
    "armchair": "chair",
    "office chair": "chair",
    "refrigerator": "fridge",
    "bath tub": "bathtub",
    "bookshelf": "shelf",
    "night stand": "nightstand",
    "dining table": "table",
    "coffee table": "table",
    "desk": "table",
}
_NO_GOALS = frozenset(
    (
        *("nothing", "floor", "ceiling", "wall", "door", "window", "stairs", "book", "lamp", "rug", "image", "picture"),
        *("decoration", "floors", "walls", "doorframe", "window frame", "beam", "roof", "unknown", "misc", "void"),
    )
)


def category_of(label_name: str) -> str | None:
    """The category that objects of a label belong to; None for structure and small things."""
    name = _ALIASES.get(label_name, label_name)
    return None if name in _NO_GOALS else name


def category_name(label_name: str) -> str:
    """Returns the category of a label, or the label's own name if its objects are not goals by default."""
    return category_of(label_name) or label_name


def categories_of_labels(label_names: Sequence[str]) -> tuple[str | None, ...]:
    """`category_of` for each label."""
    return tuple(category_of(name) for name in label_names)


def category_table(scene_categories: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """`CATEGORIES`, then the other names that scenes bring, sorted: the position of a name is its id."""
    extra = {name for names in scene_categories for name in names} - set(CATEGORIES)
    return (*CATEGORIES, *sorted(extra))
