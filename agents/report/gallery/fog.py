"""Fog of war: which parts of a map the agent has seen, and since which step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.gallery.maps import MapImage
from batchsim.agents.report.images import data_uri, grey_png
from batchsim.scenes import Scene

# Metres. Sight reaches into walls by their thickness, so that seen walls are clear of fog too.
_CELL = 0.1
_WALL = 0.25
_ANGLE = np.radians(0.6)
NEVER = 255


@dataclass(frozen=True)
class AgentView:
    """The agent's camera: horizontal field of view in degrees, height above the floor and range in metres."""

    hfov: float = 90.0
    eye_height: float = 1.25
    reach: float = 10.0


class FogMap:
    """Computes what is seen on one map; obstacles at the height of the eyes block the view."""

    def __init__(self, image: MapImage, view: AgentView) -> None:
        self._plan = image.plan
        self._agent_view = view
        self._pixels = max(1, round(_CELL * self._plan.pixels_per_metre))  # of a cell's side
        height, width, _ = self._plan.image.shape
        self.shape = (-(-height // self._pixels), -(-width // self._pixels))
        self._blocked = np.zeros(self.shape, bool)
        for number, level in enumerate(self._plan.levels):
            self._block(section(image.scene, float(level) + view.eye_height), number)
        cell = self._pixels / self._plan.pixels_per_metre
        # Rays in all directions, in cells. Steps of one cell cannot pass through a closed row of blocked cells.
        steps = np.arange(round(view.reach / cell)) + 0.5
        angles = np.arange(0, 2 * np.pi - 1e-9, _ANGLE)
        self._right = (-np.sin(angles)[:, None] * steps).astype(np.float32)
        self._down = (-np.cos(angles)[:, None] * steps).astype(np.float32)
        self._through = max(1, round(_WALL / cell))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the fog image in map pixels; the last row and column may exceed the map."""
        return self.shape[1] * self._pixels, self.shape[0] * self._pixels

    def _block(self, segments: np.ndarray, number: int) -> None:
        """Mark the cells of storey `number` under `segments` `[S, 2, 2]`, (x, z) in metres."""
        ends = (segments - self._plan.origin) * self._plan.pixels_per_metre
        ends[..., 0] += number * self._plan.panel_width
        ends /= self._pixels
        # Dense enough that hardly any crossed cell is missed.
        counts = np.ceil(8 * np.abs(ends[:, 1] - ends[:, 0]).max(1)).astype(int) + 1
        owner = np.repeat(np.arange(len(ends)), counts)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        share = (place / np.maximum(counts[owner] - 1, 1))[:, None]
        column, row = np.floor(ends[owner, 0] + share * (ends[owner, 1] - ends[owner, 0])).astype(int).T
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        self._blocked[row[inside], column[inside]] = True

    def first_seen(self, path: np.ndarray, headings: np.ndarray) -> np.ndarray:
        """The step in which each cell was first seen.

        Args:
            path: Positions float `[P, 3]`, metres.
            headings: Headings float `[P]`, radians.

        Returns:
            Steps, int32 `[h, w]`; -1 for cells that were never seen.
        """
        seen = np.full(self.shape[0] * self.shape[1], -1, np.int32)
        places = self._plan.to_pixel(path) / self._pixels
        storeys = self._plan.storey(np.asarray(path)[:, 1])
        turns = np.round(np.asarray(headings) / _ANGLE).astype(int)
        half = round(np.radians(self._agent_view.hfov) / 2 / _ANGLE)
        before = None
        cast = np.zeros(len(self._right), bool)  # the rays already cast from the current place
        for step, (place, storey, turn) in enumerate(zip(places, storeys, turns, strict=True)):
            if (here := tuple(place)) != before:
                before = here
                cast[:] = False
            rays = np.arange(turn - half, turn + half + 1) % len(cast)
            rays = rays[~cast[rays]]
            if len(rays):
                cast[rays] = True
                cells = self._visible_cells(place, int(storey), rays)
                seen[cells[seen[cells] < 0]] = step
        return seen.reshape(self.shape)

    def share_seen(self, path: np.ndarray, headings: np.ndarray, point: np.ndarray, radius: float) -> float:
        """Returns how much of what can be seen from `point` within `radius` was ever in the agent's view, in [0, 1].

        Args:
            path: Positions float `[P, 3]`, metres.
            headings: Headings float `[P]`, radians.
            point: The point `[3]`, metres.
            radius: Metres.
        """
        place = self._plan.to_pixel(point) / self._pixels
        around = self._visible_cells(place, int(self._plan.storey(np.asarray(point)[1])), np.arange(len(self._right)))
        down, right = np.divmod(around, self.shape[1])
        gap = np.hypot(right + 0.5 - place[0], down + 0.5 - place[1])
        around = np.unique(around[gap * self._pixels <= radius * self._plan.pixels_per_metre])
        return float((self.first_seen(path, headings).reshape(-1)[around] >= 0).mean()) if len(around) else 1.0

    def _visible_cells(self, place: np.ndarray, storey: int, rays: np.ndarray) -> np.ndarray:
        """Flat indices of the cells that these rays from `place` (column, row, in cells) reach."""
        # Truncation equals the floor for positive numbers; negative ones are clipped to the first cell in any case.
        column = (self._right[rays] + place[0]).astype(np.int32)
        row = (self._down[rays] + place[1]).astype(np.int32)
        left = storey * self._plan.panel_width / self._pixels
        right = min((storey + 1) * self._plan.panel_width / self._pixels, self.shape[1]) - 1
        np.clip(column, int(left), int(right), out=column)
        np.clip(row, 0, self.shape[0] - 1, out=row)
        cells = row * self.shape[1] + column
        blocked = self._blocked.reshape(-1)[cells]
        end = np.where(blocked.any(1), blocked.argmax(1) + self._through, cells.shape[1])
        return cells[np.arange(cells.shape[1]) < end[:, None]]


def section(scene: Scene, height: float) -> np.ndarray:
    """Intersect the scene with the plane y = `height`: segments float64 `[S, 2, 2]`, (x, z) of both ends."""
    above = scene.triangles[..., 1] > height
    crossing = above.any(1) & ~above.all(1)
    corners, above = scene.triangles[crossing].astype(np.float64), above[crossing]
    # One corner is alone on its side of the plane; both edges from it cross the plane.
    alone = np.where(above.sum(1) == 1, above.argmax(1), above.argmin(1))
    which = np.arange(len(corners))
    tip = corners[which, alone]
    ends = []
    for k in (1, 2):
        other = corners[which, (alone + k) % 3]
        share = (height - tip[:, 1]) / (other[:, 1] - tip[:, 1])
        ends.append((tip + share[:, None] * (other - tip))[:, [0, 2]])
    return np.stack(ends, 1)


def fog_of(fog_map: FogMap, record: EpisodeRecord) -> str:
    """The fog of an episode as the data URI of a grey PNG; empty for a record without headings.

    A cell first seen in step s of n has the value floor(254 s / n); a cell never seen has the value `NEVER`.
    """
    if len(record.headings) != len(record.path) or not record.path:
        return ""
    first = fog_map.first_seen(np.array(record.path), np.array(record.headings))
    last = max(len(record.path) - 1, 1)
    return data_uri(grey_png(np.where(first < 0, NEVER, first * (NEVER - 1) // last).astype(np.uint8)))
