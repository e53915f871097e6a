"""Small known worlds: one room, four rooms and a maze, with Miniworld's dimensions.

They serve first steps, tests whose results can be computed by hand, and comparison with other simulators.
Labels, materials and textures are those of empty rooms: floor, ceiling and wall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABEL_ID
from batchsim.scenes.mesh import Material, Mesh

WALL_HEIGHT = 2.74
_TEXTURE_SIZE = 128
_SURFACES = ("floor", "ceiling", "wall")
_METRES_PER_TEXTURE = {"floor": 1.0, "ceiling": 2.0, "wall": 1.0}


@dataclass(frozen=True)
class _Room:
    """A rectangle of floor from `low` to `high`, each (x, z)."""

    low: tuple[float, float]
    high: tuple[float, float]
    height: float = WALL_HEIGHT


@dataclass(frozen=True)
class _Passage(_Room):
    """A rectangle that joins two rooms: open at both ends along `axis` (0 = x, 1 = z)."""

    axis: int = 0


def build_world(name: str) -> Mesh:
    """Builds the world "one-room", "four-rooms" or "maze"; the same arrays every time.

    - one-room: empty, 10 x 10 m around the origin.
    - four-rooms: 6 x 6 m rooms at x, z in [-7, -1] and [1, 7], joined in a ring by passages 2 m wide and 2.2 m high.
    - maze: 8 x 8 rooms of 3 x 3 m, 0.25 m apart, joined by a random spanning tree of openings as wide as the rooms.

    Raises:
        SceneError: For another name.
    """
    if name not in _WORLDS:
        raise SceneError(f"There is no world {name!r}; expected one of {', '.join(map(repr, _WORLDS))}.")
    return _WORLDS[name]()


def _one_room() -> Mesh:
    return _build([_Room((-5, -5), (5, 5))], [])


def _four_rooms() -> Mesh:
    rooms = [_Room((x, z), (x + 6, z + 6)) for x in (-7, 1) for z in (-7, 1)]
    across = [_Passage((-1, z), (1, z + 2), 2.2, axis=0) for z in (-5, 3)]
    along = [_Passage((x, -1), (x + 2, 1), 2.2, axis=1) for x in (-5, 3)]
    return _build(rooms, across + along)


def _maze(side: int = 8, room: float = 3.0, gap: float = 0.25, seed: int = 0) -> Mesh:
    def rectangle(row: int, column: int) -> _Room:
        x, z = column * (room + gap), row * (room + gap)
        return _Room((x, z), (x + room, z + room))

    passages = []
    for (row, column), (next_row, next_column) in _spanning_tree(side, np.random.default_rng(seed)):
        first = rectangle(min(row, next_row), min(column, next_column))
        if row == next_row:
            low, high = (first.high[0], first.low[1]), (first.high[0] + gap, first.high[1])
            passages.append(_Passage(low, high, axis=0))
        else:
            low, high = (first.low[0], first.high[1]), (first.high[0], first.high[1] + gap)
            passages.append(_Passage(low, high, axis=1))
    return _build([rectangle(row, column) for row in range(side) for column in range(side)], passages)


def _spanning_tree(side: int, rng: np.random.Generator) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Returns the pairs of joined cells of a `side` x `side` grid, by a randomised depth-first search."""
    seen, trail, joined = {(0, 0)}, [(0, 0)], []
    while trail:
        row, column = trail[-1]
        steps = [(row + dr, column + dc) for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        open_steps = [s for s in steps if s not in seen and 0 <= s[0] < side and 0 <= s[1] < side]
        if not open_steps:
            trail.pop()
            continue
        step = open_steps[rng.integers(len(open_steps))]
        joined.append(((row, column), step))
        seen.add(step)
        trail.append(step)
    return joined


class _Quads:
    """Collects rectangles and builds a `Mesh` of them."""

    def __init__(self) -> None:
        self.corners: list[list[tuple[float, float, float]]] = []
        self.surfaces: list[int] = []
        self.uvs: list[list[tuple[float, float]]] = []

    def add(self, surface: str, corners: list[tuple[float, float, float]], uvs: list[tuple[float, float]]) -> None:
        """Adds a rectangle: four corners, counter-clockwise as seen from inside the room; `uvs` in metres."""
        self.corners.append(corners)
        self.surfaces.append(_SURFACES.index(surface))
        metres = _METRES_PER_TEXTURE[surface]
        self.uvs.append([(u / metres, v / metres) for u, v in uvs])

    def mesh(self) -> Mesh:
        halves = [[0, 1, 2], [0, 2, 3]]
        surfaces = np.repeat(self.surfaces, 2)
        return Mesh(
            np.array(self.corners)[:, halves].reshape(-1, 3, 3),
            np.array(self.uvs)[:, halves].reshape(-1, 3, 2),
            surfaces,
            np.array([LABEL_ID[name] for name in _SURFACES])[surfaces],
            tuple(Material(name, texture=i) for i, name in enumerate(_SURFACES)),
            tuple(_TEXTURES[name](np.random.default_rng(i)) for i, name in enumerate(_SURFACES)),
        )


def _build(rooms: Iterable[_Room], passages: list[_Passage]) -> Mesh:
    """Builds rooms and passages without cracks: neighbouring surfaces share every corner."""
    quads = _Quads()
    for room in rooms:
        _add_room(quads, room, passages)
    for passage in passages:
        _add_room(quads, passage, [], open_axis=passage.axis)
    return quads.mesh()


def _add_room(quads: _Quads, room: _Room, passages: list[_Passage], open_axis: int | None = None) -> None:
    openings = [(side, passage) for side in _SIDES for passage in passages if _meets(room, side, passage)]
    cuts = [{room.low[axis], room.high[axis]} for axis in (0, 1)]
    for (axis, _), passage in openings:
        cuts[1 - axis] |= {passage.low[1 - axis], passage.high[1 - axis]}
    levels = sorted({0.0, room.height} | {passage.height for _, passage in openings})
    xs, zs = sorted(cuts[0]), sorted(cuts[1])
    for x0, x1 in pairwise(xs):
        for z0, z1 in pairwise(zs):
            _add_floor_and_ceiling(quads, x0, x1, z0, z1, room.height)
    for axis, end in _SIDES:
        if axis == open_axis:
            continue
        doors = [passage for side, passage in openings if side == (axis, end)]
        for low, high in pairwise((zs, xs)[axis]):
            for bottom, top in pairwise(levels):
                if not any(_inside(door, 1 - axis, low, high) and top <= door.height for door in doors):
                    _add_wall(quads, room, axis, end, (low, high), (bottom, top))


_SIDES = ((0, "low"), (0, "high"), (1, "low"), (1, "high"))


def _meets(room: _Room, side: tuple[int, str], passage: _Passage) -> bool:
    """Returns whether `passage` ends at that side of `room`."""
    axis, end = side
    touching = getattr(room, end)[axis] == getattr(passage, "high" if end == "low" else "low")[axis]
    return passage.axis == axis and touching and _inside(room, 1 - axis, passage.low[1 - axis], passage.high[1 - axis])


def _inside(outer: _Room, axis: int, low: float, high: float) -> bool:
    return outer.low[axis] <= low and high <= outer.high[axis]


def _add_floor_and_ceiling(quads: _Quads, x0: float, x1: float, z0: float, z1: float, height: float) -> None:
    ring = [(x0, z1), (x1, z1), (x1, z0), (x0, z0)]
    quads.add("floor", [(x, 0.0, z) for x, z in ring], ring)
    ring.reverse()
    quads.add("ceiling", [(x, height, z) for x, z in ring], ring)


def _add_wall(
    quads: _Quads, room: _Room, axis: int, end: str, span: tuple[float, float], rise: tuple[float, float]
) -> None:
    """Adds the part of one wall of `room` along `span`, from `rise[0]` to `rise[1]` metres high, facing inwards."""
    at = getattr(room, end)[axis]
    # With the room on the left, z increases along the wall at high x, and x decreases along the one at high z.
    first, last = span if (axis, end) in ((0, "high"), (1, "low")) else span[::-1]
    (p, q) = ((at, first), (at, last)) if axis == 0 else ((first, at), (last, at))
    bottom, top = rise
    corners = [(p[0], bottom, p[1]), (q[0], bottom, q[1]), (q[0], top, q[1]), (p[0], top, p[1])]
    flip = 1 if last > first else -1
    quads.add(
        "wall", corners, [(flip * s, -y) for s, y in ((first, bottom), (last, bottom), (last, top), (first, top))]
    )


def _cloud(rng: np.random.Generator, roughness: float) -> np.ndarray:
    """Returns tileable noise: float `[size, size]`, mean 0, standard deviation 1; `roughness` 0 is smooth, 1 white."""
    size = _TEXTURE_SIZE
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / np.maximum(frequency, 1) ** (2 * (1 - roughness))
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (size, size))
    return noise / noise.std()


def _paint(color: tuple[int, int, int], shade: np.ndarray) -> np.ndarray:
    return np.clip(np.array(color) * shade[..., None], 0, 255).astype(np.uint8)


def _floor_texture(rng: np.random.Generator) -> np.ndarray:
    """Tiles of half a metre in two shades, with dark joints."""
    row, column = np.indices((_TEXTURE_SIZE, _TEXTURE_SIZE))
    half = _TEXTURE_SIZE // 2
    checks = 1 + 0.12 * np.where((row // half + column // half) % 2, 1, -1)
    joints = np.where(np.minimum(row % half, column % half) < 2, 0.55, 1.0)
    return _paint((150, 140, 125), checks * joints * (1 + 0.06 * _cloud(rng, 0.4)))


def _ceiling_texture(rng: np.random.Generator) -> np.ndarray:
    """Plaster."""
    return _paint((215, 213, 205), 1 + 0.05 * _cloud(rng, 0.6))


def _wall_texture(rng: np.random.Generator) -> np.ndarray:
    """Bricks of 25 x 12.5 cm, each course shifted by half a brick, each brick of its own shade."""
    row, column = np.indices((_TEXTURE_SIZE, _TEXTURE_SIZE))
    course = row // 16
    shifted = (column + 16 * (course % 2)) % _TEXTURE_SIZE
    shade = 1 + 0.12 * rng.standard_normal((8, 4))[course, shifted // 32]
    brick = _paint((165, 88, 66), shade * (1 + 0.06 * _cloud(rng, 0.5)))
    mortar = _paint((190, 184, 172), 1 + 0.04 * _cloud(rng, 0.6))
    joint = (row % 16 < 2) | (shifted % 32 < 2)
    return np.where(joint[..., None], mortar, brick)


_TEXTURES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "floor": _floor_texture,
    "ceiling": _ceiling_texture,
    "wall": _wall_texture,
}

_WORLDS: dict[str, Callable[[], Mesh]] = {"one-room": _one_room, "four-rooms": _four_rooms, "maze": _maze}
