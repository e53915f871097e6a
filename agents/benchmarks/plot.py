"""Plots the cost of a frame along an axis of a sweep, with one line for each combination of the other axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from batchsim.agents.benchmarks.sweep import Cell, Sweep

AXIS_WORDS = {
    "num_envs": "environments at once, N",
    "triangles": "triangles of a scene",
    "resolution": "side of the square images, pixels",
    "num_resident_scenes": "resident scenes, K",
    "rollout_steps": "steps of a rollout",
}
_LEAST_SPAN = 8.0  # ratio of the highest to the lowest cost on an axis, at least
_MOST_LETTERS = 50  # of tick labels that fit side by side
_COLORS = ("#1f5fa8", "#c4572b", "#2c8a57", "#7a4fa3", "#8a6d1a", "#3b8ea5", "#a83a64", "#555555")


def plot_sweeps(sweeps: Sequence[Sweep], path: Path) -> None:
    """Plot each sweep in a panel of its own; the suffix of `path` sets the format. Failed cells are left out."""
    columns = min(2, len(sweeps))
    rows = math.ceil(len(sweeps) / columns)
    with matplotlib.rc_context({"font.size": 10, "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.0 * columns, 3.9 * rows), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for sweep, panel in zip(sweeps, panels, strict=False):
            _draw(panel, sweep)
        for panel in panels[len(sweeps) :]:
            panel.set_axis_off()
        figure.savefig(path, dpi=110)


def main_axis(sweep: Sweep) -> str:
    """Return the axis to plot along: the longest with numeric values, otherwise the longest."""
    numbers = [name for name in sweep.axes if _are_numbers(sweep.axes[name])]
    return max(numbers or sweep.axes, key=lambda name: len(sweep.axes[name]))


def lines(sweep: Sweep) -> dict[str, list[tuple[float | str, Cell]]]:
    """Return (position on the main axis, cell) pairs by the values on the other axes, without failed cells."""
    along = main_axis(sweep)
    measured = _are_numbers(sweep.axes[along])
    found: dict[str, list[tuple[float | str, Cell]]] = {}
    for cell in sweep.cells:
        if cell.record is None:
            continue
        words = [_in_words(name, value, sweep) for name, value in cell.values.items() if name != along]
        place = _place(along, cell) if measured else cell.values[along]
        found.setdefault(", ".join(words), []).append((place, cell))
    return found


def _place(axis: str, cell: Cell) -> float:
    """Return a cell's position on a numeric axis; for triangles the measured number, not the requested one."""
    assert cell.record is not None
    return cell.record["triangles_mean"] if axis == "triangles" else float(cell.values[axis])


def _in_words(name: str, value: str, sweep: Sweep) -> str:
    others = [axis for axis in sweep.axes if axis != main_axis(sweep)]
    # The values of a single, non-numeric axis need no name.
    return value if len(others) == 1 and not _are_numbers(sweep.axes[name]) else f"{name.replace('_', ' ')} {value}"


def _are_numbers(values: Sequence[str]) -> bool:
    return all(value.replace(".", "", 1).isdigit() for value in values)


def _draw(panel: Axes, sweep: Sweep) -> None:
    along = main_axis(sweep)
    ends = []
    for color, (name, points) in zip(_COLORS * len(sweep.cells), lines(sweep).items(), strict=False):
        places = [place for place, _ in points]
        records = [cell.record for _, cell in points if cell.record is not None]
        costs = [1e6 / record["fps"] for record in records]
        low, high = ([1e6 / record["fps_range"][side] for record in records] for side in (1, 0))
        if _are_numbers(sweep.axes[along]):
            numbers = [float(place) for place in places]
            panel.plot(numbers, costs, "o-", color=color, linewidth=2, markersize=4)
            panel.fill_between(numbers, low, high, color=color, alpha=0.15, linewidth=0)
        else:  # categories: no line between points
            panel.plot(places, costs, "o", color=color, markersize=6)
            panel.vlines(places, low, high, color=color, alpha=0.4, linewidth=3)
        ends.append((costs[-1], places[-1], name, color))
    panel.set_title(sweep.title, loc="left", fontweight="bold")
    panel.set_xlabel(AXIS_WORDS.get(along, along.replace("_", " ")))
    panel.set_ylabel("µs per frame")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", which="major", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    _scale(panel, sorted({place for points in lines(sweep).values() for place, _ in points}, key=_as_number))
    _label_ends(panel, ends)


def _as_number(place: float | str) -> float:
    return place if isinstance(place, float) else 0.0


def _scale(panel: Axes, places: list) -> None:
    """Use logarithmic axes with plain numbers as ticks, on the x axis at the measured values."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    wider = max(1.0, (_LEAST_SPAN * low / high) ** 0.5)  # otherwise noise looks like growth
    low, high = low / wider, high * wider
    panel.set_ylim(low, high)
    ticks = [m * 10**e for e in range(-3, 9) for m in (1, 2, 5) if low <= m * 10**e <= high]
    panel.yaxis.set_major_locator(FixedLocator(ticks))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if places and all(isinstance(place, float) and place > 0 for place in places):
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(places))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    elif sum(len(str(place)) for place in places) > _MOST_LETTERS:
        for label in panel.get_xticklabels():
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 10 * size or (value >= size and unit == "M"):
            return f"{value / size:.3g}{unit}"
    return f"{value:.4g}"


def _label_ends(panel: Axes, ends: list[tuple[float, float | str, str, str]]) -> None:
    """Write each line's name at its right end, moved apart where they would overlap."""
    low, high = (math.log(limit) for limit in panel.get_ylim())
    gap = 0.075 * (high - low)
    height = -math.inf
    for cost, place, name, color in sorted(ends):
        height = max(math.log(cost), height + gap)
        panel.annotate(
            name,
            (place, math.exp(height)),
            xytext=(7, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
