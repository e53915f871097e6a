"""Generates floor plans: divides a footprint into rooms, gives each a kind, and joins them by doorways."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from batchsim.scenes.homes.floor_plan.doorways import join_rooms
from batchsim.scenes.homes.floor_plan.plan import Door, Plan, Rect, Room, Window
from batchsim.scenes.homes.floor_plan.stairs import FLIGHT_WIDTH, SLAB, flight_length, place_stairs

SHORTEST_SIDE = 2.5  # of a room, metres between wall centres
SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT = 7.0, 15.0
ROOM_COUNTS = {2: 0.18, 3: 0.28, 4: 0.25, 5: 0.13, 6: 0.06, 7: 0.03, 8: 0.02, 9: 0.02, 10: 0.01, 11: 0.01, 12: 0.01}

# Kinds of rooms, the most needed first.
ONE_STOREY = (
    "living",
    "bedroom",
    "kitchen",
    "bath",
    "bedroom",
    "study",
    "bedroom",
    "dining",
    "bath",
    "bedroom",
    "study",
)
GROUND_FLOOR = ("living", "kitchen", "dining", "bath", "study", "bedroom")
UPPER_FLOOR = ("bedroom", "bedroom", "bath", "study", "bedroom", "bedroom")


def draw_plan(rng: np.random.Generator, storeys: int) -> Plan:
    """Returns an unfurnished plan with one or two storeys."""
    wall = round(float(rng.uniform(0.10, 0.15)), 2)
    ceiling = round(float(rng.uniform(2.5, 2.7)), 2)
    draw = _one_storey if storeys == 1 else _two_storeys
    plan = draw(rng, wall, ceiling)
    while not _is_joined(plan):
        plan = draw(rng, wall, ceiling)
    return plan


def _is_joined(plan: Plan) -> bool:
    """Returns whether doorways and stairs join all rooms. A wall too short for a door may prevent it."""
    reached, waiting = {0}, [0]
    steps = [door.rooms for door in plan.doors] + ([plan.stairs.rooms] if plan.stairs else [])
    while waiting:
        room = waiting.pop()
        beyond = {b for pair in steps for a, b in (pair, pair[::-1]) if a == room and b >= 0} - reached
        reached |= beyond
        waiting += beyond
    return len(reached) == len(plan.rooms)


def _one_storey(rng: np.random.Generator, wall: float, ceiling: float) -> Plan:
    count = int(rng.choice(list(ROOM_COUNTS), p=list(ROOM_COUNTS.values())))
    width, depth = _footprint(rng, count)
    if count >= 5 or (count == 4 and rng.random() < 0.5):
        cells, hall = _along_a_hall(rng, width, depth, count, rng.uniform(1.4, 1.7))
    else:
        cells, hall = _halve(rng, width, depth, count), None
    cells = _turned_about(rng, cells, width, depth)
    rects = [cell.grown(-wall / 2) for cell in cells]
    kinds = _uses(rng, rects, hall, ONE_STOREY)
    rooms = tuple(Room(kind, rect) for kind, rect in zip(kinds, rects, strict=True))
    doors = join_rooms(rng, cells, rooms, wall)
    return _with_windows(rng, cells, Plan(rooms, tuple(doors), (), wall, ceiling))


def _two_storeys(rng: np.random.Generator, wall: float, ceiling: float) -> Plan:
    """Returns a plan with the same walls on both storeys and a flight of stairs along one wall of the hall."""
    breadth = wall + FLIGHT_WIDTH + rng.uniform(1.1, 1.3)
    rise = ceiling + SLAB
    width = _round(flight_length(rise) + rng.uniform(2.9, 3.6))
    with_end_room = rng.random() < 0.5
    count = 6 if with_end_room else 5
    width, depth = (_round(width / 0.64) if with_end_room else max(width, 7.0)), _round(rng.uniform(8.2, 9.6))
    cells, hall = _along_a_hall(rng, width, depth, count, breadth, with_end_room)
    cells = _turned_about(rng, cells, width, depth)
    rects = [cell.grown(-wall / 2) for cell in cells]
    stairs = place_stairs(rng, rects[hall], rise, (hall, len(cells) + hall))
    storeys = []
    for storey, uses in enumerate((GROUND_FLOOR, UPPER_FLOOR)):
        kinds = _uses(rng, rects, hall, uses)
        storeys.append([Room(k, r, storey * rise, storey) for k, r in zip(kinds, rects, strict=True)])
    doors = join_rooms(rng, cells, tuple(storeys[0]), wall, (hall, stairs.rect))
    above = join_rooms(rng, cells, tuple(storeys[1]), wall, (hall, stairs.opening))
    shift = len(cells)
    doors += [replace(d, rooms=(d.rooms[0] + shift, d.rooms[1] + shift)) for d in above]
    plan = Plan((*storeys[0], *storeys[1]), tuple(doors), (), wall, ceiling, stairs=stairs)
    return _with_windows(rng, [*cells, *cells], plan)


def _with_windows(rng: np.random.Generator, cells: list[Rect], plan: Plan) -> Plan:
    outside = _outside_walls(cells)
    entrance = _entrance(rng, plan.rooms, outside)
    windows = _windows(rng, plan.rooms, outside, entrance)
    return replace(plan, doors=(*plan.doors, entrance), windows=windows)


def _footprint(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Returns width and depth, metres, for that many rooms."""
    area = 12.0 + count * rng.uniform(9.5, 12.5)
    width = np.clip(np.sqrt(area * rng.uniform(1.0, 1.6)), SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT)
    depth = np.clip(area / width, SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT)
    return _round(width), _round(depth)


def _round(value: float) -> float:
    """Rounds to whole centimetres, so that neighbours share exact coordinates."""
    return round(float(value), 2)


def _halve(rng: np.random.Generator, width: float, depth: float, count: int) -> list[Rect]:
    """Divides a rectangle into rooms by repeatedly cutting the largest one."""
    cells = [Rect(0.0, 0.0, width, depth)]
    while len(cells) < count:
        cells.sort(key=lambda c: c.area * rng.uniform(0.8, 1.25))
        cells += _cut(cells.pop(), rng.uniform(0.36, 0.64))
    return cells


def _cut(cell: Rect, at: float) -> list[Rect]:
    """Returns the two parts of a cell cut across its longer side."""
    if cell.width >= cell.depth:
        middle = _round(cell.x0 + at * cell.width)
        return [cell._replace(x1=middle), cell._replace(x0=middle)]
    middle = _round(cell.z0 + at * cell.depth)
    return [cell._replace(z1=middle), cell._replace(z0=middle)]


def _along_a_hall(
    rng: np.random.Generator, width: float, depth: float, count: int, breadth: float, end_room: bool | None = None
) -> tuple[list[Rect], int]:
    """Divides a rectangle into a hall with rooms on both sides, often with a large room at its end.

    Returns the cells and the index of the hall.
    """
    near = _round((depth - breadth) * rng.uniform(0.42, 0.58))
    far = _round(near + breadth)
    if end_room is None:
        end_room = count >= 4 and width > 8.0 and rng.random() < 0.7
    start, cells = 0.0, []
    if end_room:
        start = _round(width * (rng.uniform(0.34, 0.42) if count < 7 else rng.uniform(0.25, 0.32)))
        cells.append(Rect(0.0, 0.0, start, depth))
    along = count - len(cells) - 1
    most = max(1, int((width - start) / SHORTEST_SIDE))
    first = min(most, (along + int(rng.integers(2))) // 2)
    for number, (z0, z1) in ((first, (0.0, near)), (min(most, along - first), (far, depth))):
        edges = [_round(start + (width - start) * share) for share in _shares(rng, max(1, number))]
        cells += [Rect(a, z0, b, z1) for a, b in pairwise(edges)]
    return [*cells, Rect(start, near, width, far)], len(cells)


def _shares(rng: np.random.Generator, number: int) -> np.ndarray:
    """Returns `number + 1` ascending fractions from 0 to 1, unevenly spaced."""
    parts = rng.uniform(0.8, 1.25, number)
    return np.concatenate([[0.0], np.cumsum(parts) / parts.sum()])


def _turned_about(rng: np.random.Generator, cells: list[Rect], width: float, depth: float) -> list[Rect]:
    """Returns the same plan, mirrored or turned at random and centred on the origin."""
    mirror_x, mirror_z, swap = rng.random(3) < 0.5
    dx, dz = _round(width / 2), _round(depth / 2)
    turned = []
    for x0, z0, x1, z1 in cells:
        x0, x1 = (_round(width - x1), _round(width - x0)) if mirror_x else (x0, x1)
        z0, z1 = (_round(depth - z1), _round(depth - z0)) if mirror_z else (z0, z1)
        x0, x1, z0, z1 = _round(x0 - dx), _round(x1 - dx), _round(z0 - dz), _round(z1 - dz)
        turned.append(Rect(z0, x0, z1, x1) if swap else Rect(x0, z0, x1, z1))
    return turned


def _uses(rng: np.random.Generator, rects: list[Rect], hall: int | None, uses: tuple[str, ...]) -> list[str]:
    """Returns the kind of each room: the smallest are baths, the largest has the first of the uses."""
    kinds = ["hall"] * len(rects)
    order = sorted((k for k in range(len(rects)) if k != hall), key=lambda k: rects[k].area)
    wanted = list(uses[: len(order)])
    if "bath" not in wanted and rects[order[0]].area < 9.0 and "kitchen" in wanted:
        wanted[wanted.index("kitchen")] = "bath"
    while "bath" in wanted:
        wanted.remove("bath")
        kinds[order.pop(0)] = "bath"
    kinds[order.pop()] = wanted.pop(0)
    for k, kind in zip(order, rng.permutation(wanted), strict=True):
        kinds[k] = str(kind)
    return kinds


def _outside_walls(cells: list[Rect]) -> list[tuple[int, int]]:
    """Returns (room, side) of every wall on the outline."""
    outline = (
        min(c.z0 for c in cells),
        max(c.x1 for c in cells),
        max(c.z1 for c in cells),
        min(c.x0 for c in cells),
    )
    return [(k, s) for k, c in enumerate(cells) for s in range(4) if (c.z0, c.x1, c.z1, c.x0)[s] == outline[s]]


def _entrance(rng: np.random.Generator, rooms: tuple[Room, ...], outside: list[tuple[int, int]]) -> Door:
    """Returns the closed front door: of the hall if there is one, else of the living room."""
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
    """Returns one window for most outside walls, high and small in a bath."""
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
            sill = {"bath": 1.3, "kitchen": 1.05}.get(rooms[k].kind, float(rng.choice([0.45, 0.9, 0.9])))
            windows.append(Window(k, side, start, _round(start + width), sill, 2.1))
    return tuple(windows)
