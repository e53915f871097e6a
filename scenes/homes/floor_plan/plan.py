"""The floor plan of a home: rooms, doorways, windows, stairs and pieces of furniture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, overload

import numpy as np

LEAF_THICKNESS = 0.04  # of a door, metres
RAIL_THICKNESS = 0.05  # of a stair rail, metres
COVERED_STEPS = 2  # number of the lowest steps of a flight that the upper floor covers


class Rect(NamedTuple):
    """An axis-aligned rectangle on the floor, metres: x0 < x1 and z0 < z1."""

    x0: float
    z0: float
    x1: float
    z1: float

    @property
    def width(self) -> float:
        """Extent along x, metres."""
        return self.x1 - self.x0

    @property
    def depth(self) -> float:
        """Extent along z, metres."""
        return self.z1 - self.z0

    @property
    def area(self) -> float:
        """Area, square metres."""
        return self.width * self.depth

    def grown(self, margin: float) -> Rect:
        """Returns the rectangle widened by `margin` metres on all four sides."""
        return Rect(self.x0 - margin, self.z0 - margin, self.x1 + margin, self.z1 + margin)

    def overlaps(self, other: Rect) -> bool:
        """Returns whether the two share an area."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.z0 < other.z1 and other.z0 < self.z1

    def contains(self, other: Rect) -> bool:
        """Returns whether the other lies inside, borders included (to a micrometre)."""
        e = 1e-6
        return (
            self.x0 <= other.x0 + e and self.z0 <= other.z0 + e and other.x1 <= self.x1 + e and other.z1 <= self.z1 + e
        )


class Frame(NamedTuple):
    """A place on the floor with a direction: local z points into the room, local x to the right along the wall.

    `quarter` counts quarter turns to the right: 0 faces +z, 1 faces -x, 2 faces -z, 3 faces +x.
    """

    x: float
    z: float
    quarter: int

    @overload
    def point(self, right: float, out: float) -> tuple[float, float]: ...
    @overload
    def point(self, right: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def point(self, right, out):
        """Returns the world (x, z) of a local point, or of arrays of them."""
        cos, sin = ((1, 0), (0, -1), (-1, 0), (0, 1))[self.quarter]
        return self.x + right * cos + out * sin, self.z - right * sin + out * cos

    def rect(self, left: float, near: float, right: float, far: float) -> Rect:
        """Returns the world rectangle of a local one."""
        (xa, za), (xb, zb) = self.point(left, near), self.point(right, far)
        return Rect(min(xa, xb), min(za, zb), max(xa, xb), max(za, zb))

    def moved(self, right: float, out: float, quarter: int = 0) -> Frame:
        """Returns the frame at a local point, turned by further quarter turns."""
        x, z = self.point(right, out)
        return Frame(x, z, (self.quarter + quarter) % 4)


def wall_frame(rect: Rect, side: int) -> Frame:
    """Returns the frame in the middle of one wall of a room; sides 0 to 3 lie at z0, x1, z1, x0."""
    x, z = (rect.x0 + rect.x1) / 2, (rect.z0 + rect.z1) / 2
    return (Frame(x, rect.z0, 0), Frame(rect.x1, z, 1), Frame(x, rect.z1, 2), Frame(rect.x0, z, 3))[side]


def wall_length(rect: Rect, side: int) -> float:
    """Returns the length in metres of a room's wall on that side."""
    return rect.width if side % 2 == 0 else rect.depth


def along_wall(rect: Rect, side: int, low: float, high: float) -> tuple[float, float]:
    """Converts a world extent along a wall to local x of its wall frame, left to right."""
    frame = wall_frame(rect, side)
    middle = frame.x if side % 2 == 0 else frame.z
    return (low - middle, high - middle) if side in (0, 1) else (middle - high, middle - low)


def before_wall(rect: Rect, side: int, low: float, high: float, depth: float) -> Rect:
    """Returns the floor in front of a stretch of a room's wall, `depth` metres deep."""
    frame = wall_frame(rect, side)
    x, z = frame.point(0.0, depth)
    if side % 2 == 0:
        return Rect(low, min(frame.z, z), high, max(frame.z, z))
    return Rect(min(frame.x, x), low, max(frame.x, x), high)


@dataclass(frozen=True)
class Room:
    """A rectangular room.

    - `kind`: "living", "kitchen", "bedroom", "bath", "study", "dining" or "hall".
    - `rect`: the floor inside the walls.
    - `floor`: height of the floor, metres; `storey` counts from 0.
    """

    kind: str
    rect: Rect
    floor: float = 0.0
    storey: int = 0


@dataclass(frozen=True)
class Door:
    """A doorway between two rooms, or the closed entrance (`rooms[1]` is -1).

    - `rooms`: indices of the rooms it joins; `sides`: the wall of each in which it lies.
    - `low`, `high`: its extent along the wall, world coordinates (x for sides 0 and 2, else z).
    - `height`: of the opening, below the lintel.
    - `leaf`: the room into which the open door leaf points (0 or 1, an index into `rooms`), or None for no leaf.
    - `hinge`: "low" or "high", the jamb that the leaf hangs on.
    """

    rooms: tuple[int, int]
    sides: tuple[int, int]
    low: float
    high: float
    height: float
    leaf: int | None = None
    hinge: str = "low"

    def leaf_rect(self, rect: Rect) -> Rect:
        """Returns the strip of floor under the open leaf in the room `rect`, beside the opening."""
        start = self.low - LEAF_THICKNESS if self.hinge == "low" else self.high
        return before_wall(rect, self.sides[self.leaf or 0], start, start + LEAF_THICKNESS, self.high - self.low)

    def opens_into(self, room: int) -> bool:
        """Returns whether its leaf opens into that room."""
        return self.leaf is not None and self.rooms[self.leaf] == room


@dataclass(frozen=True)
class Window:
    """A window in an outside wall: extent along the wall (world coordinates), sill and head above the floor, metres."""

    room: int
    side: int
    low: float
    high: float
    sill: float
    head: float


@dataclass(frozen=True)
class Stairs:
    """A straight flight between two storeys.

    - `rooms`: indices of the rooms below and above.
    - `foot`: the middle of the lowest riser; local z runs up the flight.
    - `open_side`: -1 or 1, the local x direction of the side that is not at a wall.
    - `width`, `tread`: of the flight and of one step; `steps`: number of risers; `rise`: from floor to floor. Metres.
    """

    rooms: tuple[int, int]
    foot: Frame
    open_side: int
    width: float
    tread: float
    steps: int
    rise: float

    @property
    def length(self) -> float:
        """Floor length of the flight, metres; the last riser ends on the upper floor."""
        return (self.steps - 1) * self.tread

    @property
    def rect(self) -> Rect:
        """The floor under the flight."""
        return self.foot.rect(-self.width / 2, 0.0, self.width / 2, self.length)

    @property
    def opening(self) -> Rect:
        """The hole in the floor above: 2 cm clear of the wall, 1 cm wider than the flight on its open side."""
        edges = sorted((self.open_side * (self.width / 2 + 0.01), -self.open_side * (self.width / 2 - 0.02)))
        return self.foot.rect(edges[0], COVERED_STEPS * self.tread, edges[1], self.length)

    @property
    def rails(self) -> tuple[Rect, Rect]:
        """The strips of the upper floor under rails: beside the opening, and across it above the foot."""
        near, side = COVERED_STEPS * self.tread, self.open_side * (self.width / 2 + 0.01)
        a, b = sorted((side, side + self.open_side * RAIL_THICKNESS))
        left, right = sorted((side - self.open_side * 0.001, -self.open_side * (self.width / 2 - 0.001)))
        return (
            self.foot.rect(a, near - RAIL_THICKNESS, b, self.length),
            self.foot.rect(left, near - RAIL_THICKNESS, right, near),
        )

    def landing(self, upper: bool, depth: float) -> Rect:
        """Returns the floor in front of the lowest step or behind the highest one."""
        near = self.length if upper else -depth
        return self.foot.rect(-self.width / 2, near, self.width / 2, near + depth)


@dataclass(frozen=True)
class Piece:
    """A piece of furniture: its kind, size and place, and the seed of its looks.

    Its body fills local x in [-width/2, width/2], z in [0, depth], y in [0, height], above `base`.
    """

    kind: str
    width: float
    depth: float
    height: float
    frame: Frame
    base: float = 0.0
    room: int = 0
    seed: int = 0

    @property
    def footprint(self) -> Rect:
        """The floor it covers."""
        return self.frame.rect(-self.width / 2, 0.0, self.width / 2, self.depth)


@dataclass(frozen=True)
class Plan:
    """The plan of a whole home. `wall` is the thickness of walls, `ceiling` the height of rooms, metres."""

    rooms: tuple[Room, ...]
    doors: tuple[Door, ...]
    windows: tuple[Window, ...]
    wall: float
    ceiling: float
    pieces: tuple[Piece, ...] = field(default=())
    stairs: Stairs | None = None

    def doors_of(self, room: int) -> list[tuple[int, Door]]:
        """Returns the doorways of a room, each with the side of the room it lies in."""
        return [(d.sides[k], d) for d in self.doors for k in (0, 1) if d.rooms[k] == room]
