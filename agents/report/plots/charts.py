"""Charts as inline SVG: lines over frames, and means with intervals over bins. Colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchsim.agents.report.formatting import as_json, escape, finite, series, short_number, signed

_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 10, 24


@dataclass(frozen=True)
class Line:
    """One curve: its name, its values (None leaves a gap), and the number of its colour."""

    name: str
    values: Sequence[float | None]
    color: int = 0


@dataclass(frozen=True)
class Dots:
    """Means with intervals, one for each bin: `[low, mean, high]`, None where a bin is empty."""

    name: str
    values: Sequence[tuple[float, float, float] | None]
    color: int = 0


def line_chart(title: str, x: Sequence[float], lines: Sequence[Line], floor: float | None = None) -> str:
    """A figure element of `lines` over `x`, which rises; the y axis reaches down to `floor` if one is given."""
    known = [value for line in lines for value in line.values if value is not None]
    y_ticks = nice_ticks(min(known) if floor is None else min(floor, *known), max(known))
    frame = _Frame((min(x), max(x)), (y_ticks[0], y_ticks[-1]))
    parts = [frame.grid(y_ticks), frame.x_axis(nice_ticks(min(x), max(x), 4, inside=True))]
    for line in lines:
        parts.append(f'<path class="line {series(line.color)}" d="{frame.path(x, line.values)}"/>')
    parts.append(f'<line class="cursor" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" hidden=""/>')
    data = {
        "x": [finite(value, 6) for value in x],
        "lines": [{"name": line.name, "y": [_short(value) for value in line.values]} for line in lines],
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "width": _WIDTH,
    }
    names = [line.name if len(lines) > 1 else "" for line in lines]
    legend = "".join(
        _legend_entry(name, line.color, _last(line.values)) for name, line in zip(names, lines, strict=True)
    )
    return _figure(title, legend, "".join(parts), f' data-chart="{escape(as_json(data))}"')


def dot_chart(title: str, bins: Sequence[str], groups: Sequence[Dots], unit_interval: bool = True) -> str:
    """A figure element of the `groups` side by side in each of the `bins`; the y axis is [0, 1] or fits the values."""
    known = [value for group in groups for triple in group.values if triple for value in triple]
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if unit_interval else nice_ticks(min(known, default=0), max(known, default=1))
    frame = _Frame((-0.5, len(bins) - 0.5), (y_ticks[0], y_ticks[-1]))
    parts = [frame.grid(y_ticks)]
    for i, label in enumerate(bins):
        parts.append(f'<text class="tick" text-anchor="middle" x="{frame.x(i):.1f}" y="{_HEIGHT - 8}">{label}</text>')
    for g, group in enumerate(groups):
        shift = 0.5 * ((g + 0.5) / len(groups) - 0.5)
        places = [i + shift for i in range(len(bins))]
        means = [triple and triple[1] for triple in group.values]
        parts.append(f'<path class="line faint {series(group.color)}" d="{frame.path(places, means)}"/>')
        parts += [
            frame.dot(place, triple, group, bin_name)
            for place, triple, bin_name in zip(places, group.values, bins, strict=True)
            if triple
        ]
    legend = "".join(_legend_entry(group.name, group.color) for group in groups)
    return _figure(title, legend, "".join(parts))


@dataclass(frozen=True)
class _Frame:
    """The axes: which numbers the edges of the plot stand for."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, x: Sequence[float], y: Sequence[float | None]) -> str:
        """Path data; a missing value lifts the pen."""
        steps, pen = [], "M"
        for place, value in zip(x, y, strict=True):
            if value is None:
                pen = "M"
                continue
            steps.append(f"{pen}{self.x(place):.1f} {self.y(value):.1f}")
            pen = "L"
        # A lone point shows as a dot, thanks to the round line cap.
        return "".join(steps) + ("h0" if len(steps) == 1 else "")

    def grid(self, ticks: Sequence[float]) -> str:
        decimals = _decimals(ticks)
        return "".join(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{self.y(t):.1f}" y2="{self.y(t):.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{_LEFT - 6}" y="{self.y(t) + 3.5:.1f}">'
            f"{_tick_text(t, decimals)}</text>"
            for t in ticks
        )

    def x_axis(self, ticks: Sequence[float]) -> str:
        def anchor(tick: float) -> str:
            return "end" if self.x(tick) > _WIDTH - _RIGHT - 12 else "middle"

        return "".join(
            f'<text class="tick" text-anchor="{anchor(t)}" x="{self.x(t):.1f}" y="{_HEIGHT - 8}">'
            f"{short_number(t)}</text>"
            for t in ticks
        )

    def dot(self, place: float, triple: tuple[float, float, float], group: Dots, bin_name: str) -> str:
        low, mean, high = (self.y(value) for value in triple)
        x = f"{self.x(place):.1f}"
        told = f"{group.name}, {bin_name}: {triple[1]:.3f} ({triple[0]:.3f} to {triple[2]:.3f})"
        return (
            f'<g class="dot {series(group.color)}"><title>{escape(told)}</title>'
            f'<line x1="{x}" x2="{x}" y1="{low:.1f}" y2="{high:.1f}"/><circle cx="{x}" cy="{mean:.1f}" r="3.5"/></g>'
        )


def nice_ticks(low: float, high: float, count: int = 4, inside: bool = False) -> list[float]:
    """About `count` round numbers that enclose [low, high], or lie in it if `inside`; two at the least."""
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


def _legend_entry(name: str, color: int, value: str = "") -> str:
    """A coloured square with a name; without a name the value alone."""
    shown = f'<output class="value">{escape(value)}</output>' if value else ""
    named = f"<i></i>{escape(name)} " if name else ""
    return f'<span class="key {series(color)}">{named}{shown}</span>'


def _figure(title: str, legend: str, drawing: str, extra: str = "") -> str:
    return (
        f'<figure class="chart"{extra}><figcaption><b>{escape(title)}</b><span class="legend">{legend}</span>'
        f'</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{drawing}</svg>'
        "</figure>"
    )
