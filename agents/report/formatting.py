"""Numbers and names as a reader wants them: short, rounded alike, safe to put into HTML."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NOTHING = "–"


@dataclass(frozen=True)
class MeasureStyle:
    """How a measure is shown.

    `better`: 1 where more is better, -1 where less is, 0 where neither. `percent` shows a share as a percentage;
    `unit` follows the number; measures with `share` lie in [0, 1]; those with `count` are whole in each episode.
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
        """`value` rounded, with its unit, or a dash where there is none (NaN, infinite)."""
        if not math.isfinite(value):
            return NOTHING
        if self.percent:
            return f"{100 * value:.1f}%"
        return f"{signed(value, self.decimals)}{self.unit}"

    def one(self, value: float) -> str:
        """As `text`, for a single episode, where counts are whole."""
        return f"{value:.0f}" if self.count and math.isfinite(value) else self.text(value)

    def range_text(self, low: float, high: float) -> str:
        """An interval without units, such as "74.5 to 86.0"."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return NOTHING
        if self.percent:
            return f"{100 * low:.1f} to {100 * high:.1f}"
        return f"{signed(low, self.decimals)} to {signed(high, self.decimals)}"


STYLES: dict[str, MeasureStyle] = {
    "success": MeasureStyle("Success", "Share of episodes in which the agent stopped at the goal", 1, True, share=True),
    "spl": MeasureStyle("SPL", "Success weighted by shortest path / path walked", 1, decimals=3, share=True),
    "soft_spl": MeasureStyle("SoftSPL", "As SPL, with progress made instead of success", 1, decimals=3, share=True),
    "distance_to_goal": MeasureStyle("Distance left", "Walking distance to the goal at the end", -1, unit=" m"),
    "collisions": MeasureStyle("Collisions", "Steps in which the agent touched something", -1, decimals=1, count=True),
    "episode_length": MeasureStyle("Steps", "Actions until the end of the episode", decimals=1, count=True),
    "reward": MeasureStyle("Reward", "Sum of an episode's rewards", 1),
    "path_length": MeasureStyle("Path", "Length of the path walked", unit=" m"),
    "distance_from_start": MeasureStyle("Distance", "Walking distance from the start at the end", 1, unit=" m"),
    "max_distance": MeasureStyle("Farthest", "The longest walking distance from the start", 1, unit=" m"),
    "flee_ratio": MeasureStyle(
        "Of the farthest", "Distance at the end as a share of the farthest that one can walk", 1, True, share=True
    ),
    "explored_share": MeasureStyle("Explored", "Share of the floor's 1 m cells visited", 1, True, share=True),
    "cells_visited": MeasureStyle("Cells", "1 m cells of floor visited", 1, decimals=1, count=True),
}


def style_of(measure: str) -> MeasureStyle:
    """How `measure` is shown; a task's own, of which nothing is known, under its name."""
    title = measure.replace("_", " ")
    return STYLES.get(measure) or MeasureStyle(title[:1].upper() + title[1:], f"The task's measure {measure}")


def signed(value: float, decimals: int) -> str:
    """Rounded, with a true minus sign, and no minus before a zero."""
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
    """Two units at most: "41 s", "9 min 12 s", "2 h 14 min", "3 d 4 h"."""
    if not math.isfinite(seconds):
        return NOTHING
    seconds = round(seconds)
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {large}" + (f" {rest} {small}" if rest else "")
    return f"{seconds} s"


def series(color: int) -> str:
    """The style sheet's class for the `color`-th of several agents or curves; there are six, then they repeat."""
    return f"series-{color % 6}"


def escape(text: object) -> str:
    """Safe in HTML, in text and in quoted attributes."""
    return html.escape(str(text), quote=True)


def finite(value: Any, digits: int = 4) -> float | None:
    """`value` with `digits` significant digits, or None where it is missing, not a number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def as_changes(values: Iterable[float | None], per_unit: int) -> list[int | None]:
    """`values` in units of 1 / `per_unit`, rounded, each but the first as its change since the known one before.

    Walks repeat themselves: written like this they take a third of the characters. None stays None.
    """
    changes: list[int | None] = []
    before = 0
    for value in values:
        whole = None if value is None else round(float(value) * per_unit)
        changes.append(None if whole is None else whole - before)
        before = before if whole is None else whole
    return changes


def as_json(data: Any) -> str:
    """Compact JSON that may stand inside a script element; not-finite numbers must have been taken out before."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
