"""Lists the furniture that each kind of room should have, and arranges pieces in groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Item(NamedTuple):
    """A piece in its group: `right` and `out` are metres from the group's anchor, `quarter` counts quarter turns."""

    kind: str
    width: float
    depth: float
    height: float
    right: float = 0.0
    out: float = 0.0
    quarter: int = 0
    base: float = 0.0


class Group(NamedTuple):
    """Items that are placed together, and where: "wall", "corner", "middle", or "facing" the sofa.

    If space is short, the last items are left out; a group with fewer than `least` items is dropped.
    """

    items: tuple[Item, ...]
    where: str = "wall"
    least: int = 1


def groups_for(kind: str, rng: np.random.Generator, width: float, depth: float) -> list[Group]:
    """Returns what a room of that kind and size (metres) should hold, most important first."""
    return WISHES[kind](rng, width * depth)


def _cm(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 2)


def single(
    rng: np.random.Generator,
    kind: str,
    width: tuple[float, float],
    depth: tuple[float, float],
    height: tuple[float, float],
    where: str = "wall",
) -> Group:
    """Returns one piece by itself, its size drawn from the given ranges in metres."""
    return Group((Item(kind, _cm(rng, *width), _cm(rng, *depth), _cm(rng, *height)),), where)


def wardrobe(rng: np.random.Generator) -> Group:
    """Returns a wardrobe of one to three doors."""
    return Group((Item("wardrobe", float(rng.choice([1.0, 1.5, 1.8])), 0.6, _cm(rng, 1.95, 2.2)),), "corner")


def shelf(rng: np.random.Generator) -> Group:
    """Returns a bookshelf."""
    return single(rng, "shelf", (0.7, 1.2), (0.28, 0.34), (1.6, 2.1))


def plant(rng: np.random.Generator) -> Group:
    """Returns a potted plant in a corner."""
    size = _cm(rng, 0.35, 0.5)
    return Group((Item("plant", size, size, _cm(rng, 0.9, 1.6)),), "corner")


def floor_lamp(rng: np.random.Generator) -> Group:
    """Returns a standing lamp."""
    return Group((Item("lamp", 0.36, 0.36, _cm(rng, 1.5, 1.7)),), "corner")


def bed(rng: np.random.Generator, wide: bool) -> Group:
    """Returns a bed with its head to the wall and nightstands beside it."""
    width, length = (_cm(rng, 1.5, 1.7), 2.1) if wide else (_cm(rng, 0.95, 1.15), 2.05)
    items = [Item("bed", width, length, _cm(rng, 0.9, 1.05))]
    sides = (-1, 1) if wide else (int(rng.choice([-1, 1])),)
    stand = _cm(rng, 0.4, 0.5)
    items += [Item("nightstand", stand, 0.4, 0.5, s * (width / 2 + stand / 2 + 0.03)) for s in sides]
    return Group(tuple(items), "wall" if wide else "corner")


def desk(rng: np.random.Generator) -> Group:
    """Returns a desk against the wall and a chair pulled out from it."""
    width, depth = _cm(rng, 1.1, 1.5), _cm(rng, 0.6, 0.7)
    chair = Item("chair", 0.46, 0.5, 0.9, 0.0, depth + 0.42, 2)
    return Group((Item("desk", width, depth, 0.74), chair))


def dining(rng: np.random.Generator, seats: int) -> Group:
    """Returns a table with chairs on its long sides, facing it."""
    width = 0.72 * max(1, seats // 2) + _cm(rng, 0.1, 0.25)
    depth = _cm(rng, 0.75, 0.9)
    items = [Item("table", width, depth, 0.75)]
    for k in range(seats // 2):
        right = (k - (seats // 2 - 1) / 2) * 0.7
        items.append(Item("chair", 0.44, 0.48, 0.9, right, -0.32))
        items.append(Item("chair", 0.44, 0.48, 0.9, right, depth + 0.32, 2))
    return Group(tuple(items), "middle")


def sofa_corner(rng: np.random.Generator) -> Group:
    """Returns a sofa with a low table before it on a rug, sometimes with an armchair beside the table."""
    width, depth = float(rng.choice([1.6, 1.9, 2.2])), _cm(rng, 0.85, 0.95)
    table = _cm(rng, 0.8, 1.1)
    items = [
        Item("sofa", width, depth, 0.8),
        Item("low_table", table, 0.55, 0.42, 0.0, depth + 0.4),
        Item("rug", width, 1.5, 0.01, 0.0, depth - 0.3),
    ]
    if rng.random() < 0.5:
        side = int(rng.choice([-1, 1]))
        items.append(Item("armchair", 0.8, 0.8, 0.8, side * (table / 2 + 1.15), depth + 0.7, 1 if side > 0 else 3))
    return Group(tuple(items))


def media(rng: np.random.Generator) -> Group:
    """Returns a low board with a screen on it."""
    width = _cm(rng, 1.2, 1.8)
    screen = min(width - 0.2, 1.25)
    return Group(
        (Item("media_board", width, 0.4, 0.48), Item("screen", screen, 0.16, 0.78, 0.0, 0.12, 0, 0.48)), "facing", 2
    )


def kitchen_row(rng: np.random.Generator, area: float) -> Group:
    """Returns a fridge, base units, sink and stove side by side along a wall, with hanging cabinets above."""
    units = [Item("fridge", 0.6, 0.62, _cm(rng, 1.7, 1.95), 0.3)]
    middle = ["counter", "sink_unit", "stove", "counter"] if area > 8.0 else ["sink_unit", "stove"]
    left = 0.62
    for kind in middle:
        units.append(Item(kind, 0.6, 0.6, 0.9, left + 0.3))
        left += 0.6
    run = left - 0.62
    units.append(Item("hanging_cabinet", run, 0.34, 0.65, 0.62 + run / 2, 0.0, 0, 1.42))
    sign = float(rng.choice([-1.0, 1.0]))
    return Group(tuple(u._replace(right=sign * (u.right - left / 2)) for u in units), "corner", 3)


def _living(rng: np.random.Generator, area: float) -> list[Group]:
    groups = [sofa_corner(rng), media(rng), shelf(rng)]
    if area > 20.0:
        groups.append(dining(rng, 4))
    if area > 26.0:
        groups += [desk(rng), shelf(rng)]
    cabinet = single(rng, "sideboard", (1.0, 1.5), (0.4, 0.45), (0.8, 0.95))
    return [*groups, plant(rng), cabinet, floor_lamp(rng)]


def _bedroom(rng: np.random.Generator, area: float) -> list[Group]:
    groups = [bed(rng, area > 9.5), wardrobe(rng)]
    if area > 12.0:
        groups.append(
            desk(rng) if rng.random() < 0.6 else single(rng, "armchair", (0.75, 0.85), (0.75, 0.85), (0.75, 0.85))
        )
    if area > 10.0:
        groups.append(single(rng, "dresser", (0.8, 1.2), (0.42, 0.48), (0.75, 1.0)))
    return [*groups, plant(rng), Group((Item("rug", _cm(rng, 1.2, 1.6), 0.9, 0.01),), "middle")]


def _kitchen(rng: np.random.Generator, area: float) -> list[Group]:
    groups = [kitchen_row(rng, area)]
    if area > 8.0:
        groups.append(dining(rng, 4 if area > 11.0 else 2))
    return [*groups, single(rng, "sideboard", (0.8, 1.2), (0.4, 0.45), (0.85, 0.95)), plant(rng)]


def _bath(rng: np.random.Generator, area: float) -> list[Group]:
    tub = Group((Item("bathtub", _cm(rng, 1.5, 1.7), 0.72, 0.56),), "corner")
    toilet = Group((Item("toilet", 0.38, 0.68, 0.8),))
    basin = single(rng, "basin", (0.6, 0.9), (0.45, 0.5), (0.85, 0.85))
    cabinet = single(rng, "tall_cabinet", (0.4, 0.5), (0.35, 0.4), (1.5, 1.8))
    return [tub, toilet, basin, cabinet] if area > 5.0 else [toilet, basin, tub]


def _study(rng: np.random.Generator, area: float) -> list[Group]:
    groups = [desk(rng), shelf(rng), shelf(rng)]
    if area > 9.0:
        groups.append(single(rng, "armchair", (0.75, 0.85), (0.75, 0.85), (0.75, 0.85), "corner"))
    return [*groups, floor_lamp(rng), plant(rng), Group((Item("rug", 1.6, 1.1, 0.01),), "middle")]


def _dining(rng: np.random.Generator, area: float) -> list[Group]:
    return [
        dining(rng, 6 if area > 12.0 else 4),
        single(rng, "sideboard", (1.2, 1.6), (0.42, 0.48), (0.8, 0.95)),
        shelf(rng),
        plant(rng),
    ]


def _hall(rng: np.random.Generator, area: float) -> list[Group]:
    groups = [single(rng, "shoe_cabinet", (0.6, 0.9), (0.2, 0.28), (0.8, 1.0))]
    return groups if area < 6.0 else [*groups, Group((Item("rug", 1.8, 0.7, 0.01),), "middle")]


WISHES: dict[str, Callable[[np.random.Generator, float], list[Group]]] = {
    "living": _living,
    "bedroom": _bedroom,
    "kitchen": _kitchen,
    "bath": _bath,
    "study": _study,
    "dining": _dining,
    "hall": _hall,
}
