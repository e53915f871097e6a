"""One episode on its map: where everybody walked, in its pixels, what they had in sight, how far they had come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.formatting import finite
from batchsim.agents.report.gallery.fog import FogMap, fog_of
from batchsim.agents.report.gallery.maps import MapImage
from batchsim.agents.report.gallery.progress import Steps, has_goal, progress
from batchsim.scenes import SceneError
from batchsim.scenes.maps.top_down import TopDownMap

# Metres, and pixels a metre for scenes without a map. Larger scenes are shown from the episode's surroundings only.
_WHOLE_SCENE = 16.0
_MARGIN = 1.5
_BARE_SCALE = 20.0
_ASPECT = 4 / 3
# Pixels.
_SMOOTHING = 0.5


View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Stage:
    """An episode's drawing, in pixels of its map (right, down).

    - `view`: left, top, width, height of the part to show; `card_view`: the same for the first run alone.
    - `points`: for each run float `[steps + 1, 2]`; `headings`: radians by step, empty if unknown.
    - `progress`: for each run what its task counts, by step, None if unknown; `counted`: what that is, in words.
    - `fogs`: for each run a image's data address (`batchsim.agents.report.gallery.fog`), empty if unknown; `fog_size`: in map pixels.
    - `shortest`: the shortest path as SVG path data, empty if unknown. `goal`: None for tasks without.
    - `panel`: the map's storeys are this many pixels wide; a step from one to another is not drawn.
    """

    view: View
    card_view: View
    points: list[np.ndarray]
    headings: list[list[float]]
    progress: list[Steps]
    counted: str
    fogs: list[str]
    fog_size: tuple[int, int]
    shortest: str
    goal: tuple[float, float] | None
    panel: float

    def thumbnail(self, map_id: int | None, number: int) -> str:
        """The first run as a still image, SVG; the fog's image in it is the element `fog-<number>`."""
        walked = self.points[0]
        left, top, width, height = self.card_view
        box = _view_text(self.card_view)
        # An inner svg cuts off the storeys beside the one shown.
        inner = f'<svg x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" viewBox="{box}">'
        r = 0.018 * max(width, height)
        parts = [
            "" if map_id is None else f'{inner}<use href="#map-{map_id}"/>{self._fog(number)}</svg>',
            f'<path class="shortest" d="{self.shortest}"/>',
            f'<path class="walked" d="{path_data(walked, self.panel)}"/>',
            *(f'<circle class="start" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>' for x, y in walked[:1].tolist()),
        ]
        if self.goal:
            parts.append(f'<circle class="goal" cx="{self.goal[0]:.1f}" cy="{self.goal[1]:.1f}" r="{1.2 * r:.1f}"/>')
        return f'<svg class="stage" viewBox="{box}" aria-hidden="true">{"".join(parts)}</svg>'

    def _fog(self, number: int) -> str:
        if not self.fogs[0]:
            return ""
        width, height = self.fog_size
        return (
            f'<image id="fog-{number}" class="fog" href="{self.fogs[0]}" width="{width}" height="{height}" '
            'preserveAspectRatio="none" filter="url(#unseen)"/>'
        )

    def data(self) -> dict:
        """The parts that all runs share, for the page's script."""
        return {
            "view": _view_text(self.view),
            "goal": self.goal and [finite(value) for value in self.goal],
            "shortest": self.shortest,
            "panel": finite(self.panel, 8),
            "counted": self.counted,
            "fogSize": self.fog_size,
        }


def _view_text(view: View) -> str:
    return " ".join(f"{value:.1f}" for value in view)


def stage_of(
    record: EpisodeRecord, runs: Sequence[EpisodeRecord], image: MapImage | None, fog_map: FogMap | None
) -> Stage:
    """Lay out `record` and the other agents' `runs` of the same episode; without a map only the paths are shown."""
    paths = [np.array(run.path, np.float64).reshape(-1, 3) for run in runs]
    goal = np.array(record.goal, np.float64)
    headings = [run.headings for run in runs]
    if image is None or fog_map is None:
        return _bare_stage(paths, headings, goal if has_goal(record) else None)
    plan = image.plan
    shortest = _shortest_path(image, paths[0], goal) if has_goal(record) else np.zeros((0, 2))
    on_map = [plan.to_pixel(path) for path in paths]
    goals = plan.to_pixel(goal[None][: has_goal(record)])
    counted, steps = progress(record, paths, image.scene)
    return Stage(
        view=view_of(plan, np.concatenate([shortest, *on_map, goals])),
        card_view=view_of(plan, np.concatenate([shortest, on_map[0], goals])),
        points=[points.round(1) for points in on_map],
        headings=headings,
        progress=steps,
        counted=counted,
        fogs=[fog_of(fog_map, run) for run in runs],
        fog_size=fog_map.size,
        shortest=path_data(shortest, plan.panel_width),
        goal=tuple(goals[0].tolist()) if len(goals) else None,
        panel=plan.panel_width,
    )


def _bare_stage(paths: Sequence[np.ndarray], headings: list[list[float]], goal: np.ndarray | None) -> Stage:
    """For scenes that are not at hand: the paths seen from above on empty ground."""
    flat = [path[:, [0, 2]] for path in paths]
    goals = np.zeros((0, 2)) if goal is None else goal[None, [0, 2]]
    everything = np.concatenate([*flat, goals])
    low, high = everything.min(0) - _MARGIN, everything.max(0) + _MARGIN
    on_map = [(points - low) * _BARE_SCALE for points in flat]
    width, height = ((high - low) * _BARE_SCALE).tolist()
    return Stage(
        view=(0.0, 0.0, width, height),
        card_view=(0.0, 0.0, width, height),
        points=[points.round(1) for points in on_map],
        headings=headings,
        progress=[[None] * len(points) for points in on_map],
        counted="",
        fogs=[""] * len(paths),
        fog_size=(0, 0),
        shortest="",
        goal=tuple(((goals[0] - low) * _BARE_SCALE).tolist()) if len(goals) else None,
        panel=width,
    )


def _shortest_path(image: MapImage, walked: np.ndarray, goal: np.ndarray) -> np.ndarray:
    if not len(walked):
        return np.zeros((0, 2))
    try:
        return image.plan.to_pixel(image.scene.shortest_path(walked[0], goal))
    except SceneError:
        return np.zeros((0, 2))  # a start or goal off the walkable floor: nothing to draw


def view_of(plan: TopDownMap, points: np.ndarray) -> View:
    """What to show of a map: left, top, width, height in pixels.

    The storeys on which `points` float `[P, 2]`, pixels, lie; of large ones the surroundings of the points only.
    """
    height = len(plan.image)
    storeys = np.clip(points[:, 0] // plan.panel_width, 0, len(plan.levels) - 1)
    low = np.array([storeys.min() * plan.panel_width, 0])
    high = np.array([(storeys.max() + 1) * plan.panel_width, height])
    limit = _WHOLE_SCENE * plan.pixels_per_metre
    if max(plan.panel_width, height) > limit:
        near, far = points.min(0), points.max(0)
        size = np.maximum(far - near + 2 * _MARGIN * plan.pixels_per_metre, limit / 2)
        size = np.maximum(size, size[::-1] * [_ASPECT, 1 / _ASPECT])
        middle = (near + far) / 2
        low, high = np.maximum(middle - size / 2, low), np.minimum(middle + size / 2, high)
    return (*low.tolist(), *(high - low).tolist())


def path_data(points: np.ndarray, panel: float) -> str:
    """SVG path data through `points` [P, 2], simplified; the pen is lifted between storeys, `panel` pixels wide."""
    if not len(points):
        return ""
    storeys = points[:, 0] // panel
    strokes = np.split(points, np.flatnonzero(np.diff(storeys)) + 1)
    lines = (" ".join(f"{x:.1f},{y:.1f}" for x, y in simplify(stroke, _SMOOTHING).tolist()) for stroke in strokes)
    return "".join(f"M{line}" for line in lines)


def simplify(points: np.ndarray, tolerance: float) -> np.ndarray:
    """A polyline [P, 2] with fewer points, nowhere farther than `tolerance` from the old one (Douglas and Peucker)."""
    if len(points) < 3:
        return points
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        gaps = _distance_to_segment(points[first + 1 : last], points[first], points[last])
        if gaps.max() > tolerance:
            middle = first + 1 + int(gaps.argmax())
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return points[keep]


def _distance_to_segment(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = b - a
    share = np.clip((points - a) @ along / max(float(along @ along), 1e-12), 0, 1)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1)
