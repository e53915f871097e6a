"""Draws floor plans: divides a footprint into rooms, says what each is for, and joins them by doorways."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from scenes.homes.plan import Door, Plan, Rect, Room, Window, before_wall

SHORTEST_SIDE = 2.3  # of a room, metres between wall centres
SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT = 7.0, 12.0
ROOM_COUNTS = {2: 0.18, 3: 0.28, 4: 0.27, 5: 0.17, 6: 0.1}

# How gladly a room is passed through on the way to another: doors are chosen so that the sum is least.
DETOUR = {"hall": -1.5, "living": -0.4, "dining": 0.0, "kitchen": 0.2, "study": 0.7, "bedroom": 0.8, "bath": 2.5}


def draw_plan(rng: np.random.Generator) -> Plan:
    """An unfurnished plan of one storey."""
    count = int(rng.choice(list(ROOM_COUNTS), p=list(ROOM_COUNTS.values())))
    wall = round(float(rng.uniform(0.10, 0.15)), 2)
    ceiling = round(float(rng.uniform(2.5, 2.7)), 2)
    width, depth = _footprint(rng, count)
    with_hall = count >= 5 or (count == 4 and rng.random() < 0.5)
    cells, hall = _along_a_hall(rng, width, depth, count) if with_hall else (_halve(rng, width, depth, count), None)
    cells = _turned_about(rng, cells, width, depth)
    rects = [cell.grown(-wall / 2) for cell in cells]
    kinds = _uses(rng, rects, hall)
    rooms = tuple(Room(kind, rect) for kind, rect in zip(kinds, rects, strict=True))
    doors = _doors(rng, cells, rooms, wall)
    outside = _outside_walls(cells)
    entrance = _entrance(rng, rooms, outside)
    windows = _windows(rng, rooms, outside, entrance)
    return Plan(rooms, (*doors, entrance), windows, wall, ceiling)


def _footprint(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Width and depth, metres, for that many rooms."""
    area = 14.0 + count * rng.uniform(10.5, 14.0)
    width = np.clip(np.sqrt(area * rng.uniform(1.0, 1.6)), SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT)
    depth = np.clip(area / width, SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT)
    return _round(width), _round(depth)


def _round(value: float) -> float:
    """To whole centimetres, so that neighbours share exact coordinates."""
    return round(float(value), 2)


def _halve(rng: np.random.Generator, width: float, depth: float, count: int) -> list[Rect]:
    """Cut the largest room across, again and again."""
    cells = [Rect(0.0, 0.0, width, depth)]
    while len(cells) < count:
        cells.sort(key=lambda c: c.area * rng.uniform(0.8, 1.25))
        cells += _cut(cells.pop(), rng.uniform(0.36, 0.64))
    return cells


def _cut(cell: Rect, at: float) -> list[Rect]:
    """Two parts of a cell, cut across its longer side."""
    if cell.width >= cell.depth:
        middle = _round(cell.x0 + at * cell.width)
        return [cell._replace(x1=middle), cell._replace(x0=middle)]
    middle = _round(cell.z0 + at * cell.depth)
    return [cell._replace(z1=middle), cell._replace(z0=middle)]


def _along_a_hall(rng: np.random.Generator, width: float, depth: float, count: int) -> tuple[list[Rect], int]:
    """Rooms on both sides of a hall; often a large room closes its end. Returns the cells and which is the hall."""
    breadth = rng.uniform(1.4, 1.7)
    near = _round((depth - breadth) * rng.uniform(0.4, 0.6))
    far = _round(near + breadth)
    start, cells = 0.0, []
    if count >= 4 and width > 8.0 and rng.random() < 0.7:
        start = _round(width * rng.uniform(0.34, 0.42))
        cells.append(Rect(0.0, 0.0, start, depth))
    along = count - len(cells) - 1
    most = max(1, int((width - start) / SHORTEST_SIDE))
    first = min(most, (along + int(rng.integers(2))) // 2)
    for number, (z0, z1) in ((first, (0.0, near)), (min(most, along - first), (far, depth))):
        edges = [_round(start + (width - start) * share) for share in _shares(rng, max(1, number))]
        cells += [Rect(a, z0, b, z1) for a, b in pairwise(edges)]
    return [*cells, Rect(start, near, width, far)], len(cells)


def _shares(rng: np.random.Generator, number: int) -> np.ndarray:
    """`number + 1` ascending fractions from 0 to 1, unevenly apart."""
    parts = rng.uniform(0.8, 1.25, number)
    return np.concatenate([[0.0], np.cumsum(parts) / parts.sum()])


def _turned_about(rng: np.random.Generator, cells: list[Rect], width: float, depth: float) -> list[Rect]:
    """The same plan mirrored or turned at random, centred on the origin."""
    mirror_x, mirror_z, swap = rng.random(3) < 0.5
    dx, dz = _round(width / 2), _round(depth / 2)
    turned = []
    for x0, z0, x1, z1 in cells:
        x0, x1 = (_round(width - x1), _round(width - x0)) if mirror_x else (x0, x1)
        z0, z1 = (_round(depth - z1), _round(depth - z0)) if mirror_z else (z0, z1)
        x0, x1, z0, z1 = _round(x0 - dx), _round(x1 - dx), _round(z0 - dz), _round(z1 - dz)
        turned.append(Rect(z0, x0, z1, x1) if swap else Rect(x0, z0, x1, z1))
    return turned


def _uses(rng: np.random.Generator, rects: list[Rect], hall: int | None) -> list[str]:
    """What each room is for: the smallest is the bath, the largest the living room."""
    kinds = ["hall"] * len(rects)
    order = sorted((k for k in range(len(rects)) if k != hall), key=lambda k: rects[k].area)
    wanted = ["living", "bedroom", "kitchen", "bath", "bedroom", "study", "bedroom", "dining"][: len(order)]
    if "bath" not in wanted and rects[order[0]].area < 9.0 and len(order) > 2:
        wanted[wanted.index("kitchen")] = "bath"
    if "bath" in wanted:
        wanted.remove("bath")
        kinds[order.pop(0)] = "bath"
    kinds[order.pop()] = wanted.pop(0)
    for k, kind in zip(order, rng.permutation(wanted), strict=True):
        kinds[k] = str(kind)
    return kinds


def _shared_wall(a: Rect, b: Rect) -> tuple[int, float, float] | None:
    """The side of cell `a` that touches cell `b` and the stretch they share, or None."""
    x0, x1, z0, z1 = max(a.x0, b.x0), min(a.x1, b.x1), max(a.z0, b.z0), min(a.z1, b.z1)
    if x1 > x0 and z1 == z0:
        return (0 if z0 == a.z0 else 2), x0, x1
    if z1 > z0 and x1 == x0:
        return (3 if x0 == a.x0 else 1), z0, z1
    return None


def _doors(rng: np.random.Generator, cells: list[Rect], rooms: tuple[Room, ...], wall: float) -> list[Door]:
    """Doorways that join all rooms: a least spanning tree, seldom with one more."""
    edges = []
    for a in range(len(cells)):
        for b in range(a + 1, len(cells)):
            shared = _shared_wall(cells[a], cells[b])
            if shared and shared[2] - shared[1] > 1.1 + 0.3 + wall:
                cost = DETOUR[rooms[a].kind] + DETOUR[rooms[b].kind] + rng.uniform(0.0, 1.0)
                edges.append((cost, a, b, shared))
    group = list(range(len(cells)))
    doors, spare = [], []
    for edge in sorted(edges):
        _, a, b, shared = edge
        if group[a] == group[b]:
            spare.append(edge)
            continue
        group = [group[a] if g == group[b] else g for g in group]
        doors.append(_door(rng, rooms, a, b, shared, wall))
    for cost, a, b, shared in spare:
        if cost < 0.5 and rng.random() < 0.25:
            doors.append(_door(rng, rooms, a, b, shared, wall))
    return [_without_leaf_in_the_way(door, doors, rooms) for door in doors]


def _without_leaf_in_the_way(door: Door, doors: list[Door], rooms: tuple[Room, ...]) -> Door:
    """The door, stripped of its leaf if that would stand before another doorway or in a hall."""
    if door.leaf is None:
        return door
    index = door.rooms[door.leaf]
    rect = rooms[index].rect
    strip = door.leaf_rect(rect).grown(0.1)
    zones = [
        before_wall(rect, d.sides[k], d.low, d.high, 0.9)
        for d in doors
        for k in (0, 1)
        if d is not door and d.rooms[k] == index
    ]
    in_the_way = rooms[index].kind == "hall" or any(strip.overlaps(zone) for zone in zones)
    return replace(door, leaf=None) if in_the_way else door


def _door(
    rng: np.random.Generator,
    rooms: tuple[Room, ...],
    a: int,
    b: int,
    shared: tuple[int, float, float],
    wall: float,
) -> Door:
    """A doorway near one end of the shared wall, seldom in its middle."""
    side, low, high = shared
    width = _round(rng.uniform(0.9, 1.1))
    low, high = low + wall / 2 + 0.12, high - wall / 2 - 0.12 - width
    at = rng.choice([rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0), rng.uniform(0.0, 1.0)])
    start = _round(low + at * (high - low))
    kinds = rooms[a].kind, rooms[b].kind
    open_passage = "bath" not in kinds and "bedroom" not in kinds and rng.random() < 0.5
    into = int(kinds[0] == "hall" or (kinds[1] != "hall" and rng.random() < 0.5))
    middle_of_room = sum(rooms[(a, b)[into]].rect[side % 2 :: 2]) / 2
    hinge = "low" if start + width / 2 < middle_of_room else "high"
    height = _round(rng.uniform(2.05, 2.1))
    leaf = None if open_passage else into
    return Door((a, b), (side, (side + 2) % 4), start, _round(start + width), height, leaf, hinge)


def _outside_walls(cells: list[Rect]) -> list[tuple[int, int]]:
    """(room, side) of every wall that lies on the outline."""
    outline = (
        min(c.z0 for c in cells),
        max(c.x1 for c in cells),
        max(c.z1 for c in cells),
        min(c.x0 for c in cells),
    )
    return [(k, s) for k, c in enumerate(cells) for s in range(4) if (c.z0, c.x1, c.z1, c.x0)[s] == outline[s]]


def _entrance(rng: np.random.Generator, rooms: tuple[Room, ...], outside: list[tuple[int, int]]) -> Door:
    """The closed front door: into the hall if there is one, else into the living room."""
    kinds = [room.kind for room in rooms]
    home = kinds.index("hall") if "hall" in kinds else kinds.index("living")
    sides = [s for k, s in outside if k == home]
    side = int(rng.choice(sides))
    low, high = _extent(rooms[home].rect, side)
    start = _round(rng.uniform(low + 0.12, high - 0.12 - 0.95))
    return Door((home, -1), (side, -1), start, _round(start + 0.95), 2.05)


def _extent(rect: Rect, side: int) -> tuple[float, float]:
    return (rect.x0, rect.x1) if side % 2 == 0 else (rect.z0, rect.z1)


def _windows(
    rng: np.random.Generator, rooms: tuple[Room, ...], outside: list[tuple[int, int]], entrance: Door
) -> tuple[Window, ...]:
    """One window in most outside walls, high and small in a bath."""
    windows = []
    for k, side in outside:
        low, high = _extent(rooms[k].rect, side)
        bath = rooms[k].kind == "bath"
        width = _round(min(rng.uniform(0.6, 0.8) if bath else rng.uniform(1.1, 1.8), high - low - 0.6))
        middle = (low + high) / 2 + rng.uniform(-0.5, 0.5) * max(0.0, high - low - width - 0.6)
        taken = (k, side) == (entrance.rooms[0], entrance.sides[0])
        wanted = rng.random() < 0.75
        if wanted and not taken and width >= 0.5:
            start = _round(middle - width / 2)
            sill = 1.3 if bath else _round(rng.choice([0.45, 0.9, 0.9]))
            windows.append(Window(k, side, start, _round(start + width), sill, 2.1))
    return tuple(windows)
