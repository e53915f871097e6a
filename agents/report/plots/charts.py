"""Layout of charts that the template draws as SVG: lines over frames, and means with intervals over bins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchsim.agents.report.formatting import finite, series, short_number, signed

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 24


@dataclass(frozen=True)
class Line:
    """One curve: its name, its values (None leaves a gap), and the index of its colour."""

    name: str
    values: Sequence[float | None]
    color: int = 0


@dataclass(frozen=True)
class Dots:
    """Means with intervals, `(low, mean, high)` for each bin; None for empty bins."""

    name: str
    values: Sequence[tuple[float, float, float] | None]
    color: int = 0


@dataclass(frozen=True)
class Point:
    """A mean with its interval `(low, mean, high)` at `x`, and the index of its colour."""

    name: str
    x: float
    y: tuple[float, float, float]
    color: int = 0


@dataclass(frozen=True)
class Tick:
    """An axis label at `place`, a coordinate of the chart; `anchor` is SVG's text-anchor."""

    place: str
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class LegendEntry:
    """A coloured square with a name, or the value alone if the name is empty."""

    name: str
    series: str
    value: str = ""


@dataclass(frozen=True)
class Curve:
    """SVG path data of one line."""

    series: str
    path: str
    is_faint: bool = False


@dataclass(frozen=True)
class Dot:
    """A mean with its interval, in coordinates of the chart."""

    series: str
    title: str
    x: str
    low: str
    mean: str
    high: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: Its title.
        legend: Its legend.
        x_ticks: Labels of the x axis.
        y_ticks: Labels of the y axis, each with a grid line.
        curves: Lines.
        dots: Means with intervals.
        data: What the page's script needs to show values under the pointer; None for a static chart.
    """

    title: str
    legend: tuple[LegendEntry, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    dots: tuple[Dot, ...] = ()
    data: Mapping[str, Any] | None = None


def line_chart(title: str, x: Sequence[float], lines: Sequence[Line], floor: float | None = None) -> Chart:
    """Lay out `lines` over rising `x`; the y axis extends down to `floor` if it is given."""
    known = [value for line in lines for value in line.values if value is not None]
    y_ticks = nice_ticks(min(known) if floor is None else min(floor, *known), max(known))
    axes = _Axes((min(x), max(x)), (y_ticks[0], y_ticks[-1]))
    names = [line.name if len(lines) > 1 else "" for line in lines]
    return Chart(
        title=title,
        legend=tuple(
            LegendEntry(name, series(line.color), _last(line.values)) for name, line in zip(names, lines, strict=True)
        ),
        x_ticks=axes.x_ticks(nice_ticks(min(x), max(x), 4, inside=True)),
        y_ticks=axes.y_ticks(y_ticks),
        curves=tuple(Curve(series(line.color), axes.path(x, line.values)) for line in lines),
        data={
            "x": [finite(value, 6) for value in x],
            "lines": [{"name": line.name, "y": [_short(value) for value in line.values]} for line in lines],
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "width": WIDTH,
        },
    )


def dot_chart(title: str, bins: Sequence[str], groups: Sequence[Dots], unit_interval: bool = True) -> Chart:
    """Lay out `groups` side by side in each of the `bins`; the y axis is [0, 1] or fits the values."""
    known = [value for group in groups for triple in group.values if triple for value in triple]
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if unit_interval else nice_ticks(min(known, default=0), max(known, default=1))
    axes = _Axes((-0.5, len(bins) - 0.5), (y_ticks[0], y_ticks[-1]))
    curves, dots = [], []
    for g, group in enumerate(groups):
        shift = 0.5 * ((g + 0.5) / len(groups) - 0.5)
        places = [i + shift for i in range(len(bins))]
        means = [triple[1] if triple else None for triple in group.values]
        curves.append(Curve(series(group.color), axes.path(places, means), is_faint=True))
        dots += [
            axes.dot(place, triple, group, bin_name)
            for place, triple, bin_name in zip(places, group.values, bins, strict=True)
            if triple
        ]
    return Chart(
        title=title,
        legend=tuple(LegendEntry(group.name, series(group.color)) for group in groups),
        x_ticks=tuple(Tick(f"{axes.x(i):.1f}", label) for i, label in enumerate(bins)),
        y_ticks=axes.y_ticks(y_ticks),
        curves=tuple(curves),
        dots=tuple(dots),
    )


def scatter_chart(
    title: str, points: Sequence[Point], joined: Sequence[int], x_text: Callable[[float], str], unit_interval: bool
) -> Chart:
    """Lay out `points`, and a line through those with the indices `joined`; `x_text` names places on the x axis."""
    known = [value for point in points for value in point.y]
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if unit_interval else nice_ticks(min(known), max(known))
    left, right = min(point.x for point in points), max(point.x for point in points)
    margin = 0.08 * (right - left) or 0.5
    axes = _Axes((left - margin, right + margin), (y_ticks[0], y_ticks[-1]))
    line = sorted((points[k] for k in joined), key=lambda point: point.x)
    path = axes.path([point.x for point in line], [point.y[1] for point in line])
    ends = dict.fromkeys((left, (left + right) / 2, right))
    return Chart(
        title=title,
        legend=tuple(LegendEntry(point.name, series(point.color)) for point in points),
        x_ticks=tuple(Tick(f"{axes.x(x):.1f}", x_text(x)) for x in ends),
        y_ticks=axes.y_ticks(y_ticks),
        curves=(Curve("", path, is_faint=True),),
        dots=tuple(axes.dot(p.x, p.y, Dots(p.name, (), p.color), x_text(p.x)) for p in points),
    )


@dataclass(frozen=True)
class _Axes:
    """The ranges of both axes, and the coordinates of values in the chart."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(self, x: Sequence[float], y: Sequence[float | None]) -> str:
        """Path data; a missing value interrupts the line."""
        steps, command = [], "M"
        for place, value in zip(x, y, strict=True):
            if value is None:
                command = "M"
                continue
            steps.append(f"{command}{self.x(place):.1f} {self.y(value):.1f}")
            command = "L"
        # The round line cap draws a single point as a dot.
        return "".join(steps) + ("h0" if len(steps) == 1 else "")

    def y_ticks(self, ticks: Sequence[float]) -> tuple[Tick, ...]:
        decimals = _decimals(ticks)
        return tuple(Tick(f"{self.y(tick):.1f}", _tick_text(tick, decimals), "end") for tick in ticks)

    def x_ticks(self, ticks: Sequence[float]) -> tuple[Tick, ...]:
        def anchor(tick: float) -> str:
            return "end" if self.x(tick) > WIDTH - RIGHT - 12 else "middle"

        return tuple(Tick(f"{self.x(tick):.1f}", short_number(tick), anchor(tick)) for tick in ticks)

    def dot(self, place: float, triple: tuple[float, float, float], group: Dots, bin_name: str) -> Dot:
        low, mean, high = (f"{self.y(value):.1f}" for value in triple)
        title = f"{group.name}, {bin_name}: {triple[1]:.3f} ({triple[0]:.3f} to {triple[2]:.3f})"
        return Dot(series(group.color), title, f"{self.x(place):.1f}", low, mean, high)


def nice_ticks(low: float, high: float, count: int = 4, inside: bool = False) -> list[float]:
    """About `count` round numbers, at least two, that enclose [low, high], or lie in it if `inside`."""
    if not high > low:
        pad = abs(low) * 0.1 or 0.5
        low, high = (low, low + 1) if inside else (low - pad, high + pad)
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(m for m in (1, 2, 2.5, 5, 10) if m * size >= rough * 0.999)
    if inside:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{k * step:.10g}") for k in range(first, last + 1)]


def _decimals(ticks: Sequence[float]) -> int:
    return next((d for d in range(6) if all(abs(t - round(t, d)) < 1e-9 for t in ticks)), 6)


def _tick_text(value: float, decimals: int) -> str:
    if abs(value) >= 1000:
        return short_number(value)
    if decimals > 3:
        return "0" if value == 0 else f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-").replace("-", "−")
    return signed(value, decimals)


def _last(values: Sequence[float | None]) -> str:
    last = next((value for value in reversed(values) if value is not None), None)
    return "" if last is None else _value_text(last)


def _value_text(value: float) -> str:
    return short_number(value) if abs(value) >= 1000 else f"{value:.3g}".replace("e-0", "e-").replace("-", "−")


def _short(value: float | None) -> float | None:
    return None if value is None else finite(value, 3 if abs(value) < 1000 else 4)
