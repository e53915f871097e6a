"""Builds the shell of a plan: floors, ceilings, walls with doorways and windows, door leaves."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import (
    Door,
    Frame,
    Plan,
    Rect,
    Room,
    Window,
    along_wall,
    wall_frame,
    wall_length,
)
from batchsim.scenes.homes.floor_plan.stairs import build_stairs
from batchsim.scenes.homes.geometry.polygon import Point, triangulate
from batchsim.scenes.homes.geometry.shapes import Parts
from batchsim.scenes.homes.structure import trim

WINDOW_DEPTH = 0.14


def build_shell(parts: Parts, plan: Plan) -> None:
    """Adds everything of a home except furniture. It is closed as seen from inside and has no outer faces."""
    for index, room in enumerate(plan.rooms):
        _floor_and_ceiling(parts, plan, index, room)
        for side in range(4):
            _wall(parts, plan, index, room, side)
            trim.skirting(parts, plan, index, side)
    for door in plan.doors:
        parts.begin_object()
        _doorway(parts, plan, door)
    for window in plan.windows:
        parts.begin_object()
        _window(parts, plan.rooms[window.room], window)
    if plan.stairs:
        parts.begin_object()
        build_stairs(parts, plan.stairs, plan.rooms[plan.stairs.rooms[0]].floor, plan.ceiling)
    parts.end_object()


def _on_wall(frame: Frame, floor: float, points: np.ndarray, recess: float | np.ndarray = 0.0) -> np.ndarray:
    """Returns world points `[.., 3]` of wall points `[.., 2]` (right, up), `recess` metres behind the wall's face."""
    x, z = frame.point(points[..., 0], -recess + 0.0 * points[..., 0])
    return np.stack([x, floor + points[..., 1], z], -1)


def _floor_and_ceiling(parts: Parts, plan: Plan, index: int, room: Room) -> None:
    hole, stairs = [], plan.stairs
    if stairs and index in stairs.rooms:
        x0, z0, x1, z1 = stairs.opening
        hole = [[(x0, z0), (x1, z0), (x1, z1), (x0, z1)]]
    above = stairs is not None and index == stairs.rooms[1]
    floor = np.array(triangulate(_floor_outline(plan, index, room.rect), hole if above else ()))
    _flat(parts, floor, room.floor, f"floor_{room.kind}", "floor")
    x0, z0, x1, z1 = room.rect
    top = np.array(triangulate([(x0, z0), (x1, z0), (x1, z1), (x0, z1)], () if above else hole))
    _flat(parts, top[:, ::-1], room.floor + plan.ceiling, "ceiling", "ceiling")


def _flat(parts: Parts, triangles: np.ndarray, height: float, surface: str, label: str) -> None:
    """Adds level triangles `[T, 3, 2]` (x, z). Counter-clockwise in x, z is clockwise from above: they are flipped."""
    flipped = triangles[:, ::-1]
    level = np.full(flipped.shape[:2], height)
    parts.add(np.stack([flipped[..., 0], level, flipped[..., 1]], -1), flipped, surface, label)


def _floor_outline(plan: Plan, index: int, rect: Rect) -> list[Point]:
    """Returns the room's outline with a vertex at every door jamb, so that floors meet without cracks."""
    outline: list[Point] = []
    corners = [(rect.x0, rect.z0), (rect.x1, rect.z0), (rect.x1, rect.z1), (rect.x0, rect.z1)]
    for side, corner in enumerate(corners):
        jambs = [(d.low, d.high) for s, d in plan.doors_of(index) if s == side]
        marks = sorted((m for pair in jambs for m in pair), reverse=side >= 2)
        outline.append(corner)
        outline += [(m, corner[1]) if side % 2 == 0 else (corner[0], m) for m in marks]
    return outline


def _wall(parts: Parts, plan: Plan, index: int, room: Room, side: int) -> None:
    half, top = wall_length(room.rect, side) / 2, plan.ceiling
    gaps = sorted((*along_wall(room.rect, side, d.low, d.high), d.height) for s, d in plan.doors_of(index) if s == side)
    outline: list[Point] = [(-half, 0.0)]
    for left, right, height in gaps:
        outline += [(left, 0.0), (left, height), (right, height), (right, 0.0)]
    outline += [(half, 0.0), (half, top), (-half, top)]
    holes = []
    for w in plan.windows:
        if (w.room, w.side) == (index, side):
            left, right = along_wall(room.rect, side, w.low, w.high)
            holes.append([(left, w.sill), (right, w.sill), (right, w.head), (left, w.head)])
    flat = np.array(triangulate(outline, holes))
    frame = wall_frame(room.rect, side)
    parts.add(_on_wall(frame, room.floor, flat), flat * (1.0, -1.0), f"wall_{room.kind}", "wall")


def _doorway(parts: Parts, plan: Plan, door: Door) -> None:
    """Adds the inside of the opening, from one room's wall face to the other's, and a closed door at the entrance."""
    room = plan.rooms[door.rooms[0]]
    frame = wall_frame(room.rect, door.sides[0])
    left, right = along_wall(room.rect, door.sides[0], door.low, door.high)
    deep, top = (plan.wall, door.height)
    opening = np.array([(left, 0.0), (right, 0.0), (right, top), (left, top)])
    _reveal(parts, frame, room.floor, opening, deep, "frame", "door", skip_sill=True)
    _threshold(parts, frame, room, (left, right), deep)
    for end, index in enumerate(door.rooms):
        if index >= 0:
            trim.casing(parts, plan, door, end)
    if door.rooms[1] < 0:
        shut = _on_wall(frame, room.floor, opening[[[0, 1, 2], [0, 2, 3]]], deep)
        parts.add(shut, opening[[[0, 1, 2], [0, 2, 3]]], "door", "door")
        trim.front_door(parts, room, door, deep)
    elif door.leaf is not None:
        trim.leaf(parts, plan.rooms[door.rooms[door.leaf]], door)


def _reveal(
    parts: Parts,
    frame: Frame,
    floor: float,
    opening: np.ndarray,
    deep: float,
    surface: str,
    label: str,
    skip_sill: bool = False,
) -> None:
    """Adds the four inner sides of an opening `[4, 2]` (counter-clockwise from its lower left), `deep` metres deep."""
    front, back = _on_wall(frame, floor, opening), _on_wall(frame, floor, opening, deep)
    for k in range(1 if skip_sill else 0, 4):
        n = (k + 1) % 4
        quad = np.stack([front[k], back[k], back[n], front[n]])
        length = np.abs(opening[n] - opening[k]).sum()
        uv = np.array([(0.0, 0.0), (deep, 0.0), (deep, length), (0.0, length)])
        order = [[0, 3, 2], [0, 2, 1]]
        parts.add(quad[order], uv[order], surface, label)


def _threshold(parts: Parts, frame: Frame, room: Room, span: tuple[float, float], deep: float) -> None:
    left, right = span
    local = np.array([(left, 0.0), (right, 0.0), (right, -deep), (left, -deep)])
    x, z = frame.point(local[:, 0], local[:, 1])
    quad = np.stack([x, np.full(4, room.floor), z], -1)
    order = [[0, 1, 2], [0, 2, 3]]
    parts.add(quad[order], local[order], "threshold", "floor")


def _window(parts: Parts, room: Room, window: Window) -> None:
    """Adds a pane set back into the wall."""
    frame = wall_frame(room.rect, window.side)
    left, right = along_wall(room.rect, window.side, window.low, window.high)
    opening = np.array([(left, window.sill), (right, window.sill), (right, window.head), (left, window.head)])
    _reveal(parts, frame, room.floor, opening, WINDOW_DEPTH, "frame", "window")
    order = [[0, 1, 2], [0, 2, 3]]
    view = np.array([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
    parts.add(_on_wall(frame, room.floor, opening[order], WINDOW_DEPTH), view[order], "glass", "window")
    trim.window_frame(parts, room, window, WINDOW_DEPTH)
