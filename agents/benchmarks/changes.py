"""What each of some changes is worth: a measurement as it is, and one with each change made alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, harmonic_mean

from batchsim.agents.benchmarks.sweep import Cell, Sweep, run_cell, typed
from batchsim.agents.errors import AgentError

AS_IT_IS = "as it is"
_PEAKS = ("peak_memory_bytes", "peak_host_bytes", "peak_torch_bytes")


def run_changes(
    mode: str, arguments: Sequence[str], changes: Mapping[str, str], passes: int = 2, command: str = ""
) -> Sweep:
    """Measure as it is, and with each of `changes` (value by option) made alone; progress goes to stderr.

    All are measured one after the other, in each of `passes` once, and in every second pass in the opposite order:
    where a machine slows down all the while, or recovers, that is the same for all. What fails is not tried again.
    Raises `AgentError` for less than one pass.
    """
    if passes < 1:
        raise AgentError(f"passes is {passes}; expected at least 1.")
    options = {AS_IT_IS: []} | {f"{name}={value}": typed(name, value) for name, value in changes.items()}
    found: dict[str, list[Cell]] = {change: [] for change in options}
    for number in range(passes):
        for change, words in options.items() if number % 2 == 0 else reversed(options.items()):
            if all(cell.record is not None for cell in found[change]):
                found[change].append(run_cell(mode, [*arguments, *words], {"change": change}))
    return Sweep({"change": tuple(options)}, [_joined(cells) for cells in found.values()], command)


def ratios(sweep: Sweep) -> list[float | None]:
    """For each cell of what `run_changes` gave: how many times as fast as without a change; None where unknown."""
    speeds = [cell.record and cell.record["fps"] for cell in sweep.cells]
    return [speed and speeds[0] and speed / speeds[0] for speed in speeds]


def _joined(cells: Sequence[Cell]) -> Cell:
    """One cell out of several measurements of the same: the mean cost of a frame, and the range of all."""
    last = cells[-1]
    if last.record is None or len(cells) == 1:
        return last
    records = [cell.record for cell in cells]
    lows, highs = zip(*(record["fps_range"] for record in records), strict=True)
    joined = {
        "fps": harmonic_mean([record["fps"] for record in records]),
        "fps_range": [min(lows), max(highs)],
        "us_per_frame": {s: _mean([r["us_per_frame"][s] for r in records]) for s in last.record["us_per_frame"]},
        "repeats": sum(record["repeats"] for record in records),
        **{name: last.record[name] and max(record[name] for record in records) for name in _PEAKS},
    }
    return Cell(last.values, last.record | joined)


def _mean(costs: Sequence[float | None]) -> float | None:
    return None if costs[0] is None else fmean(costs)
