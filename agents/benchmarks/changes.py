"""Ablations: measures a configuration unchanged, and with each of several options changed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, harmonic_mean

from batchsim.agents.benchmarks.sweep import Cell, Sweep, run_cell, typed
from batchsim.agents.errors import AgentError

UNCHANGED = "unchanged"
_PEAKS = ("peak_memory_bytes", "peak_host_bytes", "peak_torch_bytes")


def run_changes(
    mode: str, arguments: Sequence[str], changes: Mapping[str, str], passes: int = 2, command: str = ""
) -> Sweep:
    """Measure a configuration unchanged, and with each of `changes` made alone. Progress goes to stderr.

    Every pass measures each configuration once. Every second pass runs in reverse order, so that a drift of the
    machine's speed affects all of them alike. A configuration that failed is not measured again.

    Args:
        mode: The subcommand of `batchsim-bench`.
        arguments: Options that all measurements share.
        changes: New value by option.
        passes: How often each configuration is measured; at least 1.
        command: The command line to record.

    Raises:
        AgentError: `passes` is less than 1.
    """
    if passes < 1:
        raise AgentError(f"passes is {passes}; expected at least 1.")
    options: dict[str, list[str]] = {UNCHANGED: []} | {
        f"{name}={value}": typed(name, value) for name, value in changes.items()
    }
    found: dict[str, list[Cell]] = {change: [] for change in options}
    for number in range(passes):
        for change, words in options.items() if number % 2 == 0 else reversed(options.items()):
            if all(cell.record is not None for cell in found[change]):
                found[change].append(run_cell(mode, [*arguments, *words], {"change": change}))
    return Sweep({"change": tuple(options)}, [_joined(cells) for cells in found.values()], command)


def ratios(sweep: Sweep) -> list[float | None]:
    """Return each cell's speed relative to the unchanged configuration; None where it is unknown."""
    speeds: list[float | None] = [None if cell.record is None else cell.record["fps"] for cell in sweep.cells]
    unchanged = speeds[0]
    return [None if speed is None or unchanged is None else speed / unchanged for speed in speeds]


def _joined(cells: Sequence[Cell]) -> Cell:
    """Combine repeated measurements of one configuration: the mean cost of a frame and the range over all."""
    last = cells[-1]
    if last.record is None or len(cells) == 1:
        return last
    records = [cell.record for cell in cells if cell.record is not None]
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
    return None if costs[0] is None else fmean(cost for cost in costs if cost is not None)
