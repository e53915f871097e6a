"""Draws one episode on its map: the paths of all agents, what they saw, and their progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.formatting import finite
from batchsim.agents.report.gallery.fog import FogMap, fog_of
from batchsim.agents.report.gallery.goal_distances import GoalDistances
from batchsim.agents.report.gallery.maps import MapImage
from batchsim.agents.report.gallery.progress import Steps, progress
from batchsim.scenes.maps.top_down import TopDownMap

# Metres; of larger scenes only the surroundings of the episode are shown.
_WHOLE_SCENE = 16.0
_MARGIN = 1.5
_BARE_SCALE = 20.0  # pixels per metre without a map
_ASPECT = 4 / 3
_SMOOTHING = 0.5  # pixels

View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Thumbnail:
    """The first run as a still SVG image.

    Attributes:
        view: The part of the map that is shown, as left, top, width, height.
        walked: The path taken, as SVG path data.
        start: The start, if there is a path.
        goal: The goal, for tasks with one.
        radius: The radius of the start's mark.
    """

    view: tuple[str, str, str, str]
    walked: str
    start: tuple[str, str] | None
    goal: tuple[str, str] | None
    radius: float


@dataclass(frozen=True)
class EpisodeDrawing:
    """An episode drawn on its map, in map pixels (right, down).

    Attributes:
        view: The part of the map that shows all runs, as left, top, width, height.
        card_view: The part of the map that shows the first run.
        points: For each run its path, float `[steps + 1, 2]`.
        headings: For each run its headings in radians; empty if unknown.
        progress: For each run the task's measure of progress at each step; None if unknown.
        counted: What `progress` counts, in words that follow a number.
        fogs: For each run the data URI of its fog (`batchsim.agents.report.gallery.fog`); empty if unknown.
        fog_size: Width and height of the fog.
        shortest: The shortest path as SVG path data; empty if unknown.
        goal: The goal; None for tasks without one.
        panel: The width of each storey's panel. Paths are interrupted between storeys.
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

    def thumbnail(self) -> Thumbnail:
        """The first run as a still image."""
        walked = self.points[0]
        left, top, width, height = self.card_view
        return Thumbnail(
            view=(f"{left:.1f}", f"{top:.1f}", f"{width:.1f}", f"{height:.1f}"),
            walked=path_data(walked, self.panel),
            start=_text(walked[0]) if len(walked) else None,
            goal=_text(self.goal) if self.goal else None,
            radius=0.018 * max(width, height),
        )

    def data(self) -> dict[str, Any]:
        """What the page's script needs of all runs together."""
        return {
            "view": " ".join(f"{value:.1f}" for value in self.view),
            "goal": self.goal and [finite(value) for value in self.goal],
            "shortest": self.shortest,
            "panel": finite(self.panel, 8),
            "counted": self.counted,
            "fogSize": self.fog_size,
        }


def _text(point: Sequence[float] | np.ndarray) -> tuple[str, str]:
    return f"{point[0]:.1f}", f"{point[1]:.1f}"


def draw_episode(
    record: EpisodeRecord, runs: Sequence[EpisodeRecord], image: MapImage | None, fog_map: FogMap | None
) -> EpisodeDrawing:
    """Draw the `runs` of one episode, `record` and other agents'; without a map only the paths are drawn."""
    paths = [np.array(run.path, np.float64).reshape(-1, 3) for run in runs]
    goal = np.array(record.goal, np.float64)
    headings = [run.headings for run in runs]
    if image is None or fog_map is None:
        return _draw_without_map(paths, headings, goal if record.has_goal else None)
    plan = image.plan
    to_goal = GoalDistances(image.scene, goal) if record.has_goal else None
    shortest = plan.to_pixel(to_goal.path_from(paths[0][0])) if to_goal and len(paths[0]) else np.zeros((0, 2))
    on_map = [plan.to_pixel(path) for path in paths]
    goals = plan.to_pixel(goal[None][: record.has_goal])
    counted, steps = progress(record, paths, image.scene, to_goal)
    return EpisodeDrawing(
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


def _draw_without_map(
    paths: Sequence[np.ndarray], headings: list[list[float]], goal: np.ndarray | None
) -> EpisodeDrawing:
    """Draw the paths alone, for scenes that are not available."""
    flat = [path[:, [0, 2]] for path in paths]
    goals = np.zeros((0, 2)) if goal is None else goal[None, [0, 2]]
    everything = np.concatenate([*flat, goals])
    low, high = everything.min(0) - _MARGIN, everything.max(0) + _MARGIN
    on_map = [(points - low) * _BARE_SCALE for points in flat]
    width, height = ((high - low) * _BARE_SCALE).tolist()
    return EpisodeDrawing(
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


def view_of(plan: TopDownMap, points: np.ndarray) -> View:
    """The part of a map to show: left, top, width, height in pixels.

    It contains the storeys of `points`, float `[P, 2]` in pixels; of large storeys only the surroundings of the points.
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
    """SVG path data through `points` `[P, 2]`, simplified, and interrupted between storeys of `panel` pixels."""
    if not len(points):
        return ""
    storeys = points[:, 0] // panel
    strokes = np.split(points, np.flatnonzero(np.diff(storeys)) + 1)
    lines = (" ".join(f"{x:.1f},{y:.1f}" for x, y in simplify(stroke, _SMOOTHING).tolist()) for stroke in strokes)
    return "".join(f"M{line}" for line in lines)


def simplify(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Simplify a polyline `[P, 2]` to within `tolerance` of the original (Douglas and Peucker)."""
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
