"""Places and builds a straight flight of stairs between two storeys."""

from __future__ import annotations

import math

import numpy as np

from batchsim.scenes.homes.floor_plan.plan import RAIL_THICKNESS, Rect, Stairs, wall_frame, wall_length
from batchsim.scenes.homes.geometry.curves import tube
from batchsim.scenes.homes.geometry.polygon import triangulate
from batchsim.scenes.homes.geometry.shapes import LOW, Parts

SLAB = 0.25  # thickness of the floor between two storeys, metres
FLIGHT_WIDTH = 1.0
TREAD = 0.27
STEEPEST_RISE = 0.18  # of one step, metres
LANDING = 1.05  # length of floor kept free at both ends of the flight, metres
RAIL_HEIGHT = 0.9


def steps_for(rise: float) -> int:
    """Returns the number of risers for a height between floors, metres."""
    return math.ceil(rise / STEEPEST_RISE)


def flight_length(rise: float) -> float:
    """Returns the flight's length on the floor for a height between floors, metres; the last riser has no tread."""
    return (steps_for(rise) - 1) * TREAD


def place_stairs(rng: np.random.Generator, hall: Rect, rise: float, rooms: tuple[int, int]) -> Stairs:
    """Returns a flight along one long wall of a hall, with a landing at both ends."""
    side = (0 if hall.width > hall.depth else 1) + 2 * int(rng.integers(2))
    length, steps = flight_length(rise), steps_for(rise)
    slack = wall_length(hall, side) - length - 2 * LANDING
    start = -wall_length(hall, side) / 2 + LANDING + round(float(rng.uniform(0.0, max(slack, 0.0))), 2)
    upwards = 1 if rng.random() < 0.5 else -1
    low = start if upwards > 0 else start + length
    wall = wall_frame(hall, side)
    foot = wall.moved(low, FLIGHT_WIDTH / 2, 3 if upwards > 0 else 1)
    return Stairs(rooms, foot, -upwards, FLIGHT_WIDTH, TREAD, steps, rise)


def build_stairs(parts: Parts, stairs: Stairs, floor: float, ceiling: float) -> None:
    """Adds the flight and its rail, and the edges and rails of the opening above it."""
    local = Parts(parts.detail)
    _flight(local, stairs)
    _flight_rail(local, stairs)
    parts.take(local, (stairs.foot.x, floor, stairs.foot.z), stairs.foot.quarter)
    _opening_edges(parts, stairs.opening, floor + ceiling, floor + stairs.rise)
    for rect in stairs.rails:
        _level_rail(parts, rect, floor + stairs.rise)


def _flight(local: Parts, stairs: Stairs) -> None:
    """Adds a solid flight: risers, treads, the open side and the back, but no side at the wall."""
    half, tread, step = stairs.width / 2, stairs.tread, stairs.rise / stairs.steps
    count = stairs.steps - 1
    k = np.arange(count)
    if local.detail == LOW:
        lo = np.stack([np.full(count, -half), k * step, k * tread], 1)
        hi = np.stack([np.full(count, half), (k + 1) * step, (k + 1) * tread], 1)
        # Riser and tread of each step are the front and the top of a box; it looks towards -z.
        local.boxes(lo, hi, "wood", "stairs", skip="left right bottom front")
    else:
        lo = np.stack([np.full(count, -half), k * step, k * tread], 1)
        hi = np.stack([np.full(count, half), (k + 1) * step - 0.03, (k + 1) * tread], 1)
        local.boxes(lo, hi, "frame", "stairs", skip="left right bottom front top")
        for j in range(count):
            low, high = (-half, (j + 1) * step - 0.03, j * tread - 0.02), (half, (j + 1) * step, (j + 1) * tread)
            local.block(low, high, "wood", "stairs", 0.008, skip="front")
    outline = [(0.0, 0.0)]
    for j in range(count):
        outline += [(j * tread, (j + 1) * step), ((j + 1) * tread, (j + 1) * step)]
    outline.append((count * tread, 0.0))
    # Counter-clockwise in (z, y) faces -x.
    flat = np.array(triangulate(outline[::-1]))
    side = np.stack([np.full(flat.shape[:2], stairs.open_side * half), flat[..., 1], flat[..., 0]], -1)
    side = side if stairs.open_side < 0 else side[:, ::-1]
    local.add(side, side[..., [2, 1]] * (1.0, -1.0), "wall_hall", "stairs")
    low, high = (-half, 0.0, stairs.length - 0.01), (half, stairs.rise - SLAB, stairs.length)
    local.box(low, high, "wall_hall", "stairs", skip="left right bottom top back")


def _flight_rail(local: Parts, stairs: Stairs) -> None:
    """Adds a sloping rail on the open side from the second step up: a panel at low detail, else balusters."""
    tread, step = stairs.tread, stairs.rise / stairs.steps
    a, b = sorted((stairs.open_side * (stairs.width / 2 - 0.005), stairs.open_side * (stairs.width / 2 - 0.045)))
    z = np.array([tread, stairs.length])
    foot, top = z / tread * step, z / tread * step + step + RAIL_HEIGHT - 0.05
    if local.detail == LOW:
        sloped = Parts(local.detail)
        sloped.box((a, 0.0, z[0]), (b, 1.0, z[1]), "wood", "stairs", skip="bottom")
        corners = sloped.triangles[0]
        slope = (corners[..., 2] - z[0]) / (z[1] - z[0])
        low, high = foot[0] + slope * (foot[1] - foot[0]), top[0] + slope * (top[1] - top[0])
        corners = np.stack([corners[..., 0], low + corners[..., 1] * (high - low), corners[..., 2]], -1)
        local.add(corners, sloped.uvs[0], "wood", "stairs")
        return
    x = (a + b) / 2
    tube(local, [(x, top[0], z[0]), (x, top[1], z[1])], 0.024, "wood", "stairs", sides=(0, 8, 16)[local.detail])
    for j in range(1, stairs.steps - 1):
        for at in ((j + 0.3) * tread, (j + 0.8) * tread):
            high = at / tread * step + step + RAIL_HEIGHT - 0.06
            tube(local, [(x, (j + 1) * step, at), (x, high, at)], 0.012, "frame", "stairs")
    posts = ((z[0] + 0.03, 2 * step, top[0] + 0.1), (z[1] - 0.025, (stairs.steps - 1) * step, top[1] + 0.05))
    for at, low, high in posts:
        local.block((a, low, at - 0.025), (b, high, at + 0.025), "wood", "stairs", 0.006, skip="bottom")


def _opening_edges(parts: Parts, opening: Rect, low: float, high: float) -> None:
    """Adds the four faces of the floor's thickness around the opening; they face inwards."""
    hole = Parts(parts.detail)
    hole.box((opening.x0, low, opening.z0), (opening.x1, high, opening.z1), "frame", "floor", skip="top bottom")
    parts.add(hole.triangles[0][:, ::-1], hole.uvs[0][:, ::-1], "frame", "floor")


def _level_rail(parts: Parts, rect: Rect, floor: float) -> None:
    """Adds a rail on a strip of the upper floor."""
    low, high = (rect.x0, floor, rect.z0), (rect.x1, floor + RAIL_HEIGHT, rect.z1)
    if parts.detail == LOW:
        parts.box(low, high, "wood", "stairs", skip="bottom")
        return
    parts.block((low[0], high[1] - 0.045, low[2]), high, "wood", "stairs", 0.015)
    parts.block(low, (high[0], floor + 0.04, high[2]), "wood", "stairs", 0.006, skip="bottom")
    x, z = (rect.x0 + rect.x1) / 2, (rect.z0 + rect.z1) / 2
    length = max(rect.width, rect.depth)
    for t in np.linspace(-0.5, 0.5, max(2, round(length / 0.12)) + 1):
        inset = t * (length - RAIL_THICKNESS)
        foot = (x + inset, z) if rect.width > rect.depth else (x, z + inset)
        path = [(foot[0], floor + 0.04, foot[1]), (foot[0], floor + RAIL_HEIGHT - 0.045, foot[1])]
        tube(parts, path, 0.012, "frame", "stairs")
