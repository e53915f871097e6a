"""Places furniture in the rooms of a plan: against walls and around tables, never blocking a doorway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import ndimage

from batchsim.scenes.homes.floor_plan.plan import Frame, Piece, Plan, Rect, before_wall, wall_frame, wall_length
from batchsim.scenes.homes.furniture.arrangements import Group, Item, groups_for

CELL = 0.1  # of the occupancy check, metres
CLEARANCE = 0.27  # half the width of the passage kept free between doorways, metres
DOOR_ZONE = 0.9  # depth of the floor kept free in front of a doorway, metres
GAP = 0.02  # between furniture and wall, metres
MOST_COVERED = 0.45  # largest share of a room's floor under furniture
TRIES = 18


def furnish(plan: Plan, rng: np.random.Generator) -> Plan:
    """Returns the plan with furniture in every room."""
    pieces: list[Piece] = []
    for index, room in enumerate(plan.rooms):
        floor = _Floor(plan, index)
        for group in groups_for(room.kind, rng, room.rect.width, room.rect.depth):
            pieces += floor.place(group, rng)
        pieces += floor.hang(rng)
    return replace(plan, pieces=tuple(pieces))


class _Floor:
    """The floor of one room while it is being furnished."""

    def __init__(self, plan: Plan, index: int) -> None:
        self.index = index
        self.room, self.ceiling = plan.rooms[index], plan.ceiling
        self.tall: list[tuple[Rect, float]] = []
        self.rect = plan.rooms[index].rect
        self.taken: list[Rect] = []
        self.rugs: list[Rect] = []
        doors = plan.doors_of(index)
        self.openings = [(side, d.low, d.high) for side, d in doors]
        self.openings += [(w.side, w.low, w.high) for w in plan.windows if w.room == index]
        self.zones = [before_wall(self.rect, side, d.low, d.high, DOOR_ZONE) for side, d in doors]
        self.leaves = [d.leaf_rect(self.rect) for _, d in doors if d.opens_into(index)]
        self.panes = [
            (before_wall(self.rect, w.side, w.low, w.high, 0.05), w.sill) for w in plan.windows if w.room == index
        ]
        self.fixed: list[Rect] = []
        self.seat: Frame | None = None
        if plan.stairs and index in plan.stairs.rooms:
            above = index == plan.stairs.rooms[1]
            self.fixed += [plan.stairs.opening, *plan.stairs.rails] if above else [plan.stairs.rect]
            self.zones.append(plan.stairs.landing(above, DOOR_ZONE))
            self.tall += [(rect, self.ceiling) for rect in self.fixed]
        nx, nz = int(self.rect.width / CELL), int(self.rect.depth / CELL)
        self.xs = self.rect.x0 + (np.arange(nx) + 0.5) * self.rect.width / nx
        self.zs = self.rect.z0 + (np.arange(nz) + 0.5) * self.rect.depth / nz

    def place(self, group: Group, rng: np.random.Generator) -> list[Piece]:
        """Places a group, without its last items if it does not fit as a whole, and returns the pieces placed."""
        items = group.items
        while len(items) >= group.least:
            for anchor in self._anchors(items, group.where, rng):
                pieces = self._pieces(items, anchor, rng)
                if self._fits(pieces):
                    self._keep(pieces, anchor)
                    return pieces
            items = items[:-1]
        return []

    def _keep(self, pieces: list[Piece], anchor: Frame) -> None:
        self.taken += [p.footprint for p in pieces if _stands(p)]
        self.tall += [(p.footprint, p.base + p.height) for p in pieces]
        self.rugs += [p.footprint for p in pieces if p.kind == "rug"]
        if pieces[0].kind == "sofa":
            self.seat = anchor

    def hang(self, rng: np.random.Generator) -> list[Piece]:
        """Hangs pictures on free stretches of wall, and a lamp from the ceiling."""
        middle = Frame((self.rect.x0 + self.rect.x1) / 2, (self.rect.z0 + self.rect.z1) / 2, 0)
        size = round(float(rng.uniform(0.3, 0.45)), 2)
        lamp = Item("pendant", size, size, 0.45, 0.0, -size / 2, 0, self.ceiling - 0.45)
        pieces = self._pieces((lamp,), middle, rng)
        if any(pieces[0].footprint.overlaps(rect) for rect in self.fixed):
            pieces = []
        wanted = 0 if self.room.kind == "bath" else int(rng.integers(1, 4))
        for _ in range(3 * wanted):
            if len(pieces) > wanted:
                break
            pieces += self._picture(rng)
        return pieces

    def _picture(self, rng: np.random.Generator) -> list[Piece]:
        side = int(rng.integers(4))
        width, height = (round(float(rng.uniform(0.35, 0.9)), 2) for _ in range(2))
        height, base = min(height, 0.7), 1.3
        room = wall_length(self.rect, side) / 2 - width / 2 - 0.15
        item = Item("picture", width, 0.025, height, 0.0, 0.0, 0, base)
        if room <= 0:
            return []
        pieces = self._pieces((item,), wall_frame(self.rect, side).moved(round(rng.uniform(-room, room), 2), 0.0), rng)
        place = pieces[0].footprint.grown(0.1)
        low, high = (place.x0, place.x1) if side % 2 == 0 else (place.z0, place.z1)
        if any(s == side and a < high and low < b for s, a, b in self.openings):
            return []
        if any(place.overlaps(rect) and top > base - 0.05 for rect, top in self.tall):
            return []
        self.tall.append((pieces[0].footprint, base + height))
        return pieces

    def _anchors(self, items: tuple[Item, ...], where: str, rng: np.random.Generator) -> Iterator[Frame]:
        """Yields places to try for a group, in random order."""
        if where == "facing" and self.seat:
            across = wall_length(self.rect, self.seat.quarter + 1) - 2 * GAP
            for aside in rng.uniform(-0.5, 0.5, 6):
                yield self.seat.moved(round(float(aside), 2), round(across, 2), 2)
        left = min(i.right - i.width / 2 for i in items)
        right = max(i.right + i.width / 2 for i in items)
        far = max(i.out + i.depth for i in items)
        places = [(side, end) for side in range(4) for end in (0.0, 1.0)] if where == "corner" else []
        places = [places[k] for k in rng.permutation(len(places))]
        while len(places) < TRIES:
            places.append((int(rng.integers(4)), rng.random()))
        for side, share in places:
            length = wall_length(self.rect, side)
            low, high = -length / 2 - left + GAP, length / 2 - right - GAP
            out = rng.uniform(0.35, 0.65) * (wall_length(self.rect, side + 1) - far) if where == "middle" else GAP
            yield wall_frame(self.rect, side).moved(round(low + share * (high - low), 2), round(float(out), 2))

    def _pieces(self, items: tuple[Item, ...], anchor: Frame, rng: np.random.Generator) -> list[Piece]:
        looks = int(rng.integers(2**31))  # one for all, so that chairs match their table
        pieces = []
        for k, item in enumerate(items):
            frame = anchor.moved(item.right, item.out, item.quarter)
            seed = looks + k if item.kind == "counter" else looks
            pieces.append(Piece(item.kind, item.width, item.depth, item.height, frame, item.base, self.index, seed))
        return pieces

    def _fits(self, pieces: list[Piece]) -> bool:
        inside = self.rect.grown(-GAP / 2)
        rugs = [p.footprint for p in pieces if p.kind == "rug"]
        if not all(inside.contains(p.footprint) for p in pieces):
            return False
        if any(r.overlaps(other) for r in rugs for other in (*self.rugs, *self.leaves, *self.fixed)):
            return False
        if any(
            p.base + p.height > sill and p.footprint.grown(0.05).overlaps(pane)
            for p in pieces
            for pane, sill in self.panes
        ):
            return False
        standing = [p.footprint for p in pieces if _stands(p)]
        blocked = (*self.taken, *self.zones, *self.leaves, *self.fixed)
        if any(s.grown(0.03).overlaps(other) for s in standing for other in blocked):
            return False
        covered = sum(r.area for r in (*standing, *self.taken))
        return not standing or (covered <= MOST_COVERED * self.rect.area and self._connected([*self.taken, *standing]))

    def _connected(self, rects: list[Rect]) -> bool:
        """Returns whether one passage joins all doorways and reaches every spot where an agent fits."""
        wide = self._components(rects, CLEARANCE)
        starts = [wide[self._cell(zone)] for zone in self.zones]
        if 0 in starts or len(set(starts)) > 1:
            return False
        narrow = self._components(rects, 0.12)
        main = narrow[self._cell(self.zones[0])]
        return bool(((narrow > 0) & (narrow != main)).sum() * CELL**2 < 0.1)

    def _components(self, rects: list[Rect], margin: float) -> np.ndarray:
        free = np.ones((len(self.xs), len(self.zs)), bool)
        edge = int(margin / CELL)
        if edge:
            free[:edge], free[-edge:], free[:, :edge], free[:, -edge:] = False, False, False, False
        for rect in (*rects, *self.leaves, *self.fixed):
            x0, z0, x1, z1 = rect.grown(margin)
            i, j = np.searchsorted(self.xs, (x0, x1)), np.searchsorted(self.zs, (z0, z1))
            free[i[0] : i[1], j[0] : j[1]] = False
        return ndimage.label(free)[0]

    def _cell(self, zone: Rect) -> tuple[int, int]:
        x, z = (zone.x0 + zone.x1) / 2, (zone.z0 + zone.z1) / 2
        i, j = int(np.searchsorted(self.xs, x)), int(np.searchsorted(self.zs, z))
        return min(i, len(self.xs) - 1), min(j, len(self.zs) - 1)


def _stands(piece: Piece) -> bool:
    """Returns whether a piece takes up floor: it is no rug, does not hang, and is not on top of another."""
    return piece.kind != "rug" and piece.base == 0.0
