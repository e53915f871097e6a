"""Joins the rooms of a storey by doorways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import Door, Rect, Room, before_wall

# Cost of passing through a room on the way to another; doors minimise the sum.
DETOUR = {"hall": -1.5, "living": -0.4, "dining": 0.0, "kitchen": 0.2, "study": 0.7, "bedroom": 0.8, "bath": 2.5}


def _shared_wall(a: Rect, b: Rect) -> tuple[int, float, float] | None:
    """Returns the side of cell `a` that touches cell `b` and the stretch they share, or None."""
    x0, x1, z0, z1 = max(a.x0, b.x0), min(a.x1, b.x1), max(a.z0, b.z0), min(a.z1, b.z1)
    if x1 > x0 and z1 == z0:
        return (0 if z0 == a.z0 else 2), x0, x1
    if z1 > z0 and x1 == x0:
        return (3 if x0 == a.x0 else 1), z0, z1
    return None


def _without(shared: tuple[int, float, float], own: bool, taken: Rect, room: Rect) -> tuple[int, float, float]:
    """Returns the longest part of a shared wall that is not in front of a `taken` part of the floor."""
    side, low, high = shared
    side_of_room = side if own else (side + 2) % 4
    if not before_wall(room, side_of_room, low, high, 0.5).overlaps(taken):
        return shared
    a, b = (taken.x0, taken.x1) if side % 2 == 0 else (taken.z0, taken.z1)
    below, above = (low, min(high, a)), (max(low, b), high)
    return (side, *max(below, above, key=lambda stretch: stretch[1] - stretch[0]))


def join_rooms(
    rng: np.random.Generator,
    cells: list[Rect],
    rooms: tuple[Room, ...],
    wall: float,
    taken: tuple[int, Rect] | None = None,
) -> list[Door]:
    """Returns doorways that join all rooms of a storey: a minimum spanning tree, sometimes with one more.

    `cells` are the rooms including half of their walls. `taken` is a room and a part of its floor, along one of its
    walls, that no doorway may open onto.
    """
    edges = []
    for a in range(len(cells)):
        for b in range(a + 1, len(cells)):
            shared = _shared_wall(cells[a], cells[b])
            if shared and taken and taken[0] in (a, b):
                shared = _without(shared, a == taken[0], taken[1], rooms[taken[0]].rect)
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
    """Returns the door without its leaf if that would block another doorway or stand in a hall."""
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
    """Returns a doorway in the shared wall, usually near one of its ends."""
    side, low, high = shared
    width = _cm(rng.uniform(0.9, 1.1))
    low, high = low + wall / 2 + 0.12, high - wall / 2 - 0.12 - width
    at = rng.choice([rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0), rng.uniform(0.0, 1.0)])
    start = _cm(low + at * (high - low))
    kinds = rooms[a].kind, rooms[b].kind
    open_passage = "bath" not in kinds and "bedroom" not in kinds and rng.random() < 0.5
    into = int(kinds[0] == "hall" or (kinds[1] != "hall" and rng.random() < 0.5))
    middle_of_room = sum(rooms[(a, b)[into]].rect[side % 2 :: 2]) / 2
    hinge = "low" if start + width / 2 < middle_of_room else "high"
    height = _cm(rng.uniform(2.05, 2.1))
    leaf = None if open_passage else into
    return Door((a, b), (side, (side + 2) % 4), start, _cm(start + width), height, leaf, hinge)


def _cm(value: float) -> float:
    """Rounds to whole centimetres, so that neighbours share exact coordinates."""
    return round(float(value), 2)
