"""A grid of measurements: every combination of several options' values, each measured in its own process.

Separate processes give each cell its own memory peak, and keep one cell's failure (too many views for the driver, too
little memory) from ending the others.
"""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchsim.agents.errors import AgentError

_LIMIT = 600.0  # seconds per cell


@dataclass(frozen=True)
class Cell:
    """One combination of `values` by axis, with its `record`, or with the reason of its `failure`."""

    values: dict[str, str]
    record: dict[str, Any] | None = None
    failure: str = ""


@dataclass
class Sweep:
    """The axes of the grid, its cells in order, the command that measured them, and the plot's title."""

    axes: dict[str, tuple[str, ...]]
    cells: list[Cell] = field(default_factory=list)
    command: str = ""
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the sweep as plain dicts and lists."""
        cells = [{"values": c.values, "record": c.record, "failure": c.failure} for c in self.cells]
        axes = {name: list(values) for name, values in self.axes.items()}
        return {"title": self.title, "axes": axes, "cells": cells, "command": self.command}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Sweep:
        """Restore what `to_json` returned."""
        axes = {name: tuple(values) for name, values in data["axes"].items()}
        return Sweep(axes, [Cell(**cell) for cell in data["cells"]], data["command"], data["title"])


def parse_axes(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parse `["num_envs=64,256", "detail=low,high"]` into values by option.

    Raises:
        AgentError: A text has another form, or an option is given twice.
    """
    axes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        found = tuple(value.strip() for value in values.split(",") if value.strip())
        if not equals or not name or not found:
            raise AgentError(f"--sweep {text}: expected an option and its values, such as num_envs=64,256,1024.")
        if name in axes:
            raise AgentError(f"--sweep {name} is given twice; put all of its values into one.")
        axes[name] = found
    return axes


def run_sweep(mode: str, arguments: Sequence[str], axes: Mapping[str, Sequence[str]], command: str = "") -> Sweep:
    """Measure every cell with `batchsim-bench MODE ARGUMENTS --AXIS VALUE ...`. Progress goes to stderr."""
    sweep = Sweep({name: tuple(values) for name, values in axes.items()}, command=command)
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        options = [part for name, value in values.items() for part in typed(name, value)]
        sweep.cells.append(run_cell(mode, [*arguments, *options], values))
    return sweep


def typed(name: str, value: str) -> list[str]:
    """Return the option as typed. "on" and "off" set a flag; a plus sign stands for a comma, as in depth+rgb."""
    option = name.replace("_", "-")
    if value in ("on", "off"):
        return [f"--{option}" if value == "on" else f"--no-{option}"]
    return [f"--{option}", value.replace("+", ",")]


def run_cell(mode: str, arguments: Sequence[str], values: dict[str, str]) -> Cell:
    """Measure one cell. Progress goes to stderr."""
    cell = _measure(mode, arguments, values)
    words = ", ".join(f"{name}={value}" for name, value in values.items())
    said = f"{cell.record['fps']:,.0f} frames/s" if cell.record else f"failed: {cell.failure}"
    print(f"{words}: {said}" if words else said, file=sys.stderr, flush=True)
    return cell


def _measure(mode: str, arguments: Sequence[str], values: dict[str, str]) -> Cell:
    command = [sys.executable, "-m", "batchsim.agents.bench", mode, *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Cell(values, failure=f"took longer than {_LIMIT:.0f} s")
    if done.returncode:
        return Cell(values, failure="".join(done.stderr.strip().splitlines()[-1:]) or f"exit code {done.returncode}")
    return Cell(values, json.loads(done.stdout))


_COLUMNS = ("fps", "fps_low", "fps_high", "us_per_frame", "triangles_mean", "num_scenes", "renderer", "rays_per_second")
_MEMORY = ("peak_host_bytes", "peak_torch_bytes", "peak_memory_bytes")


def save_sweep(sweep: Sweep, stem: Path) -> None:
    """Write `sweep` to `stem`.csv and `stem`.json."""
    write_csv(sweep, stem.with_suffix(".csv"))
    stem.with_suffix(".json").write_text(json.dumps(sweep.to_json(), indent=1), encoding="utf-8")


def write_csv(sweep: Sweep, path: Path) -> None:
    """Write a row for each cell: its axes, its figures, and the error if it failed."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [*sweep.axes, *_COLUMNS, *_MEMORY, "failure"])
        rows.writeheader()
        for cell in sweep.cells:
            rows.writerow(cell.values | _figures(cell.record) | {"failure": cell.failure})


def _figures(record: dict[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {}
    low, high = record["fps_range"]
    found = {"fps_low": low, "fps_high": high, "us_per_frame": 1e6 / record["fps"]}
    return {name: record[name] for name in (*_COLUMNS, *_MEMORY) if name not in found} | found
