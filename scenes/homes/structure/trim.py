"""Adds trim to a shell at higher detail: skirting boards, door casings, panelled doors, window frames, blinds."""

from __future__ import annotations

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import (
    LEAF_THICKNESS,
    Door,
    Plan,
    Room,
    Window,
    along_wall,
    wall_frame,
    wall_length,
)
from batchsim.scenes.homes.geometry.curves import sheet, tube
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

SKIRTING = (0.08, 0.012)  # height and thickness, metres
CASING = (0.07, 0.014)  # width and thickness, metres
GLAZING = 0.05  # width of a window's frame, metres


def skirting(parts: Parts, plan: Plan, index: int, side: int) -> None:
    """Adds a board along the foot of a wall, from door to door. Nothing at low detail."""
    if parts.detail == LOW:
        return
    room = plan.rooms[index]
    height, thick = SKIRTING
    # Boards of every second wall are shorter by their thickness, so that none overlap in the corners.
    half = wall_length(room.rect, side) / 2 - (thick if side % 2 else 0.0)
    gaps = sorted(along_wall(room.rect, side, d.low, d.high) for s, d in plan.doors_of(index) if s == side)
    edges = [-half, *(x for a, b in gaps for x in (a - CASING[0], b + CASING[0])), half]
    local = Parts(parts.detail)
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        if right - left > 0.01:
            local.block((left, 0.0, 0.0), (right, height, thick), "frame", "wall", 0.005, skip="bottom back")
    frame = wall_frame(room.rect, side)
    parts.take(local, (frame.x, room.floor, frame.z), frame.quarter)


def casing(parts: Parts, plan: Plan, door: Door, end: int) -> None:
    """Adds the boards around a doorway on the wall of one of its two rooms. Nothing at low detail."""
    if parts.detail == LOW:
        return
    room, side = plan.rooms[door.rooms[end]], door.sides[end]
    left, right = along_wall(room.rect, side, door.low, door.high)
    (width, thick), top = CASING, door.height
    local = Parts(parts.detail)
    for a in (left - width, right):
        local.block((a, 0.0, 0.0), (a + width, top, thick), "frame", "door", 0.005, skip="bottom back")
    low, high = (left - width, top, 0.0), (right + width, top + width, thick)
    local.block(low, high, "frame", "door", 0.005, skip="back")
    frame = wall_frame(room.rect, side)
    parts.take(local, (frame.x, room.floor, frame.z), frame.quarter)


def leaf(parts: Parts, room: Room, door: Door) -> None:
    """Adds the open door leaf at a right angle to its wall: panels between stiles and rails, a handle on both faces."""
    side = door.sides[door.leaf or 0]
    start = door.low - LEAF_THICKNESS if door.hinge == "low" else door.high
    left, right = along_wall(room.rect, side, start, start + LEAF_THICKNESS)
    length, height = door.high - door.low, door.height - 0.02
    local = Parts(parts.detail)
    if parts.detail == LOW:
        local.box((left, 0.0, 0.0), (right, height, length), "door", "door", skip="bottom back")
    else:
        _panelled(local, left, right, length, height)
    frame = wall_frame(room.rect, side)
    parts.take(local, (frame.x, room.floor, frame.z), frame.quarter)


def _panelled(local: Parts, left: float, right: float, length: float, height: float) -> None:
    """Adds a door that stands along z between x = left and x = right."""
    stile, near = 0.11, 0.016
    thin = 0.009
    core_lo, core_hi = (left + thin, 0.05, near + 0.05), (right - thin, height - 0.05, length - 0.05)
    local.box(core_lo, core_hi, "door", "door", skip="top bottom back front")
    for z in (near, length - stile):
        local.block((left, 0.01, z), (right, height, z + stile), "door", "door", 0.005)
    for low, high in ((0.01, 0.2), (0.95, 1.07), (height - 0.12, height)):
        lo, hi = (left, low, near + stile), (right, high, length - stile)
        local.block(lo, hi, "door", "door", 0.005, skip="back front")
    for x, way in ((left, -1), (right, 1)):
        z = length - 0.06
        path = [(x, 1.02, z), (x + way * 0.035, 1.02, z), (x + way * 0.035, 1.02, z - 0.11)]
        tube(local, np.array(path), 0.009, "metal", "door")


def front_door(parts: Parts, room: Room, door: Door, deep: float) -> None:
    """Adds relief and handle of the shut front door, whose plane lies `deep` metres behind the wall's face."""
    if parts.detail == LOW:
        return
    left, right = along_wall(room.rect, door.sides[0], door.low, door.high)
    local, z = Parts(parts.detail), -deep
    for a, b in ((left, left + 0.12), (right - 0.12, right)):
        local.block((a, 0.0, z), (b, door.height, z + 0.02), "door", "door", 0.006, skip="bottom top back")
    for low, high in ((0.0, 0.2), (0.85, 1.0), (1.55, 1.66), (door.height - 0.12, door.height)):
        lo, hi = (left + 0.12, low, z), (right - 0.12, high, z + 0.02)
        local.block(lo, hi, "door", "door", 0.006, skip="left right back")
    path = [(left + 0.06, 1.02, z + 0.02), (left + 0.06, 1.02, z + 0.06), (left + 0.18, 1.02, z + 0.06)]
    tube(local, np.array(path), 0.01, "metal", "door")
    frame = wall_frame(room.rect, door.sides[0])
    parts.take(local, (frame.x, room.floor, frame.z), frame.quarter)


def window_frame(parts: Parts, room: Room, window: Window, deep: float) -> None:
    """Adds frame, mullions, sill and sometimes a blind; the pane is `deep` metres behind the wall's face."""
    if parts.detail == LOW:
        return
    left, right = along_wall(room.rect, window.side, window.low, window.high)
    low, high, g, z = window.sill, window.head, GLAZING, -deep
    local = Parts(parts.detail)
    for a, b in ((left, left + g), (right - g, right)):
        local.block((a, low, z), (b, high, z + 0.05), "frame", "window", 0.008, skip="top bottom back")
    for a, b in ((low, low + g), (high - g, high)):
        lo, hi = (left + g, a, z), (right - g, b, z + 0.05)
        local.block(lo, hi, "frame", "window", 0.008, skip="left right back")
    sashes = max(1, round((right - left) / 0.75))
    for x in np.linspace(left, right, sashes + 1)[1:-1]:
        lo, hi = (x - 0.03, low + g, z), (x + 0.03, high - g, z + 0.04)
        local.block(lo, hi, "frame", "window", 0.008, skip="top bottom back")
    lo, hi = (left - 0.04, low - 0.03, 0.0), (right + 0.04, low + 0.001, 0.02)
    local.block(lo, hi, "frame", "window", 0.008, skip="back")
    if round(window.low * 100) % 3 == 0:
        _blind(local, left, right, high, 0.3 * (high - low))
    frame = wall_frame(room.rect, window.side)
    parts.take(local, (frame.x, room.floor, frame.z), frame.quarter)


def _blind(local: Parts, left: float, right: float, top: float, drop: float) -> None:
    """Adds a pleated blind in the upper part of a window's recess."""
    folds = (0, 10, 40)[local.detail]
    y = np.linspace(top - 0.002, top - drop, folds + 1)
    z = -0.03 + 0.012 * np.sin(np.linspace(0.0, 5 * 2 * np.pi, folds + 1) + 0.7)
    x = np.linspace(left + 0.01, right - 0.01, 3)
    points = np.stack(np.broadcast_arrays(x[None, :], y[:, None], z[:, None]), -1)
    sheet(local, points, "linen", "window")
