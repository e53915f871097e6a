"""What each of some changes is worth: a measurement as it is, and one with each change made alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.benchmarks.sweep import Cell, Sweep, run_cell, typed

AS_IT_IS = "as it is"
_PEAKS = ("peak_memory_bytes", "peak_host_bytes", "peak_torch_bytes")


def run_changes(mode: str, arguments: Sequence[str], changes: Mapping[str, str], command: str = "") -> Sweep:
    """Measure as it is, and with each of `changes` (value by option) made alone; progress goes to stderr.

    All are measured one after the other and once more in the opposite order: where a machine slows down all the while,
    or recovers, that is the same for all. What fails is not tried again.
    """
    options = {AS_IT_IS: []} | {f"{name}={value}": typed(name, value) for name, value in changes.items()}

    def measure(change: str) -> Cell:
        return run_cell(mode, [*arguments, *options[change]], {"change": change})

    there = {change: measure(change) for change in options}
    back = {change: measure(change) for change in reversed(options) if there[change].record is not None}
    cells = [_both(there[change], back.get(change, there[change])) for change in options]
    return Sweep({"change": tuple(options)}, cells, command)


def ratios(sweep: Sweep) -> list[float | None]:
    """For each cell of what `run_changes` gave: how many times as fast as without a change; None where unknown."""
    speeds = [cell.record and cell.record["fps"] for cell in sweep.cells]
    return [speed and speeds[0] and speed / speeds[0] for speed in speeds]


def _both(there: Cell, back: Cell) -> Cell:
    """One cell out of two measurements of the same: the mean cost of a frame, and the range of both."""
    if there.record is None or back.record is None:
        return back
    a, b = there.record, back.record
    lows, highs = zip(a["fps_range"], b["fps_range"], strict=True)
    joined = {
        "fps": 2 / (1 / a["fps"] + 1 / b["fps"]),
        "fps_range": [min(lows), max(highs)],
        "us_per_frame": {stage: _mean(cost, b["us_per_frame"][stage]) for stage, cost in a["us_per_frame"].items()},
        "repeats": a["repeats"] + b["repeats"],
        **{name: a[name] and max(a[name], b[name]) for name in _PEAKS},
    }
    return Cell(there.values, a | joined)


def _mean(a: Any, b: Any) -> float | None:
    return None if a is None else (a + b) / 2
