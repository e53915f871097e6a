"""Formats numbers and measures for the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NOTHING = "–"


@dataclass(frozen=True)
class MeasureStyle:
    """How a measure is shown.

    Attributes:
        title: Its name.
        explanation: What it measures, for tooltips.
        better: 1 if more is better, -1 if less is better, 0 if neither.
        percent: Whether to show it as a percentage.
        decimals: Decimal places.
        unit: The unit that follows the number.
        share: Whether its values lie in [0, 1].
        count: Whether its values are whole numbers in each episode.
    """

    title: str
    explanation: str
    better: int = 0
    percent: bool = False
    decimals: int = 2
    unit: str = ""
    share: bool = False
    count: bool = False

    def text(self, value: float) -> str:
        """`value` rounded, with its unit; a dash if it is not finite."""
        if not math.isfinite(value):
            return NOTHING
        if self.percent:
            return f"{100 * value:.1f}%"
        return f"{signed(value, self.decimals)}{self.unit}"

    def one(self, value: float) -> str:
        """As `text`, for a single episode, in which counts are whole numbers."""
        return f"{value:.0f}" if self.count and math.isfinite(value) else self.text(value)

    def range_text(self, low: float, high: float) -> str:
        """An interval without unit, such as "74.5 to 86.0"."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return NOTHING
        if self.percent:
            return f"{100 * low:.1f} to {100 * high:.1f}"
        return f"{signed(low, self.decimals)} to {signed(high, self.decimals)}"


STYLES: dict[str, MeasureStyle] = {
    "success": MeasureStyle("Success", "Share of episodes in which the agent stopped at the goal", 1, True, share=True),
    "spl": MeasureStyle("SPL", "Success weighted by shortest path / path walked", 1, decimals=3, share=True),
    "soft_spl": MeasureStyle(
        "SoftSPL", "As SPL, with progress towards the goal instead of success", 1, decimals=3, share=True
    ),
    "progress": MeasureStyle("Progress", "Share of the goals that were found", 1, True, share=True),
    "ppl": MeasureStyle(
        "PPL", "Progress weighted by shortest path / path walked, up to the last goal found", 1, decimals=3, share=True
    ),
    "distance_to_goal": MeasureStyle("Distance to goal", "Geodesic distance to the goal at the end", -1, unit=" m"),
    "collisions": MeasureStyle("Collisions", "Steps in which the agent hit an obstacle", -1, decimals=1, count=True),
    "episode_length": MeasureStyle("Steps", "Actions until the end of the episode", decimals=1, count=True),
    "reward": MeasureStyle("Return", "Sum of an episode's rewards", 1),
    "search_steps": MeasureStyle(
        "Search steps", "Simulator steps of the tree search in an episode", 0, decimals=0, count=True
    ),
    "path_length": MeasureStyle("Path length", "Length of the path taken", unit=" m"),
    "distance_from_start": MeasureStyle("Distance", "Geodesic distance from the start at the end", 1, unit=" m"),
    "max_distance": MeasureStyle("Farthest", "Largest geodesic distance from the start", 1, unit=" m"),
    "flee_ratio": MeasureStyle(
        "Flee ratio", "Final distance from the start as a share of the largest possible one", 1, True, share=True
    ),
    "explored_share": MeasureStyle("Explored", "Share of the floor's 1 m cells visited", 1, True, share=True),
    "cells_visited": MeasureStyle("Cells", "1 m cells of floor visited", 1, decimals=1, count=True),
}


def style_of(measure: str) -> MeasureStyle:
    """How `measure` is shown; unknown measures of a user's task are shown under their own names."""
    title = measure.replace("_", " ")
    return STYLES.get(measure) or MeasureStyle(title[:1].upper() + title[1:], f"The measure {measure} of the task")


def signed(value: float, decimals: int) -> str:
    """`value` rounded, with a typographic minus sign, and without a sign if it rounds to zero."""
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def short_number(value: float) -> str:
    """Three significant digits with k, M or G: 3,276,800 is "3.28M"."""
    if not math.isfinite(value):
        return NOTHING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,600 rounds to 1M, not to 1000k.
        if abs(value) >= 0.9995 * size:
            return f"{_three_digits(value / size)}{letter}"
    return _three_digits(value)


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """A duration in at most two units: "41 s", "9 min 12 s", "2 h 14 min", "3 d 4 h"."""
    if not math.isfinite(seconds):
        return NOTHING
    seconds = round(seconds)
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {large}" + (f" {rest} {small}" if rest else "")
    return f"{seconds} s"


def series(color: int) -> str:
    """The CSS class of the agent or curve with this index; six colours repeat."""
    return f"series-{color % 6}"


def finite(value: Any, digits: int = 4) -> float | None:
    """`value` with `digits` significant digits; None if it is missing, not a number or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def as_changes(values: Iterable[float | None], per_unit: int) -> list[int | None]:
    """Delta-encode `values`, rounded to multiples of 1 / `per_unit`, which takes a third of the characters.

    Each whole number but the first is the difference to the last known value before it. None stays None.
    """
    changes: list[int | None] = []
    before = 0
    for value in values:
        whole = None if value is None else round(float(value) * per_unit)
        changes.append(None if whole is None else whole - before)
        before = before if whole is None else whole
    return changes
