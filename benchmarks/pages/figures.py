"""Measures all of batchsim's own figures on this machine, draws the plots and rewrites docs/benchmarks.md.

    python -m benchmarks.pages.figures                     everything; takes twenty minutes on a CPU with two cores
    python -m benchmarks.pages.figures --only sweeps       how cost scales
    python -m benchmarks.pages.figures --only changes      the effect of each performance option of training
    python -m benchmarks.pages.figures --seconds 0.05 --repeats 1 --out try --page ""    a dry run

The machine should be idle. Scenes that are not in the cache are baked first, which takes minutes.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from batchsim.agents.benchmarks.changes import run_changes
from batchsim.agents.benchmarks.command import TrainBench, parse
from batchsim.agents.benchmarks.plot import plot_sweeps
from batchsim.agents.benchmarks.record import today
from batchsim.agents.benchmarks.sweep import parse_axes, run_cell, run_sweep, save_sweep
from batchsim.agents.cli import run_command
from batchsim.render.opengl.devices import choose_device
from benchmarks.pages.page import write_page

_HOMES = "homes:train?count=8"
_ONE_HOME = "homes:train/0"


@dataclass(frozen=True)
class FiguresCommand:
    """Measure the figures of the benchmark page and rewrite the page."""

    only: Literal["all", "tables", "sweeps", "changes"] = "all"
    """tables: single measurements. sweeps: how cost scales. changes: the effect of each performance option."""
    out: Path = Path("docs/benchmarks")
    """Folder for JSON, CSV and plots."""
    page: str = "docs/benchmarks.md"
    """Page to rewrite from all JSON in that folder; empty for none."""
    device: str = "auto"
    """Device: auto, cpu, cuda or cuda:N."""
    seconds: float = 0.5
    """Length of one run of a sweep in seconds; single measurements take twice that."""
    repeats: int = 3
    """Runs of each cell of a sweep; single measurements take two more."""


@dataclass(frozen=True)
class _Grid:
    """A sweep: the title of its plot, the mode, shared options, and the axes on a CPU and on a GPU."""

    name: str
    title: str
    mode: str
    shared: tuple[str, ...]
    cpu: tuple[str, ...]
    cuda: tuple[str, ...]


_SENSORS = "sensors=depth,rgb"
GRIDS = (
    _Grid(
        "num_envs",
        "A step, by the number of environments",
        "step",
        ("--scenes", _HOMES),
        ("num_envs=1,16,64,256,1024,4096", _SENSORS),
        ("num_envs=1,16,256,1024,4096,8192", _SENSORS),
    ),
    _Grid(
        "num_views",
        "Rendering, by the number of views",
        "render",
        ("--scenes", _HOMES),
        ("num_envs=1,16,64,256,1024,4096", _SENSORS),
        ("num_envs=1,16,256,1024,4096,8192", _SENSORS),
    ),
    _Grid(
        "resolution",
        "Rendering, by resolution",
        "render",
        ("--scenes", _HOMES, "--num-envs", "64"),
        ("resolution=32,64,128,256", _SENSORS),
        ("resolution=32,64,128,256", _SENSORS),
    ),
    _Grid(
        "triangles",
        "Rendering, by triangles (same images)",
        "render",
        ("--scenes", _ONE_HOME, "--num-envs", "64"),
        ("triangles=1000,10000,100000,1000000", "renderer=raycast,raster"),
        ("triangles=1000,10000,100000,1000000", "renderer=raycast,raster"),
    ),
    _Grid(
        "resident",
        "A step, by resident scenes out of 64",
        "step",
        ("--scenes", "homes:train?count=64", "--num-envs", "256"),
        ("num_resident_scenes=2,8,32,64",),
        ("num_resident_scenes=2,8,32,64", _SENSORS),
    ),
)

_DETAILS = {"low": 16, "medium": 4, "high": 1}
TABLES: dict[str, tuple[str, ...]] = {
    f"{mode}-{detail}-{sensor}": (mode, "--scenes", f"homes:train?detail={detail}&count={count}", "--sensors", sensor)
    for mode in ("render", "step")
    for detail, count in _DETAILS.items()
    for sensor in ("depth", "rgb")
    if mode == "render" or detail == "low"
}
"""Single measurements of the renderer and of the whole environment, by file name."""

TRAINING: dict[str, dict[str, tuple[str, ...]]] = {"cpu": {"train-quickstart": ("--preset", "quickstart")}, "cuda": {}}
TRAINING["cuda"] = TRAINING["cpu"] | {f"train-{p}": ("--preset", p) for p in ("pointnav-depth", "pointnav-rgb")}
"""Single measurements of training, by the kind of device."""


def take_sweeps(command: FiguresCommand, kind: str, label: str) -> None:
    """Measure all `GRIDS`; write JSON and CSV of each, and one plot of all."""
    drawn = []
    for grid in GRIDS:
        shared = (*grid.shared, "--device", command.device, "--seconds", str(command.seconds))
        shared = (*shared, "--repeats", str(command.repeats), "--no-limits")
        axes = grid.cuda if kind == "cuda" else grid.cpu
        typed = ["batchsim-bench", grid.mode, *shared, *(part for axis in axes for part in ("--sweep", axis))]
        print(grid.title, file=sys.stderr)
        sweep = run_sweep(grid.mode, shared, parse_axes(axes), shlex.join(typed))
        sweep.title = grid.title
        save_sweep(sweep, command.out / f"{label}-sweep-{grid.name}")
        drawn.append(sweep)
    plot_sweeps(drawn, command.out / f"{label}-growth.png")


def take_tables(command: FiguresCommand, kind: str, label: str) -> None:
    """Measure `TABLES` and training; write one JSON file each."""
    often = ("--seconds", str(2 * command.seconds), "--repeats", str(command.repeats + 2))
    work: dict[str, tuple[str, ...]] = {name: (*typed, "--device", command.device) for name, typed in TABLES.items()}
    work |= {name: ("train", *typed) for name, typed in TRAINING[kind].items()}
    for name, (mode, *typed) in work.items():
        arguments = (*typed, *often)
        cell = run_cell(mode, arguments, {"file": name})
        if cell.record is not None:
            record = cell.record | {"command": shlex.join(["batchsim-bench", mode, *arguments])}
            (command.out / f"{label}-{name}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def take_changes(command: FiguresCommand, kind: str, label: str) -> None:
    """Measure the effect of each performance option for the presets in `TRAINING`; write JSON and CSV."""
    for name, chosen in TRAINING[kind].items():
        often = ("--seconds", str(2 * command.seconds), "--repeats", str(command.repeats), "--no-limits")
        typed = ("train", *chosen, "--device", command.device, *often)
        speed_ups = parse([*typed, "--speed-ups"])
        assert isinstance(speed_ups, TrainBench)
        line = shlex.join(["batchsim-bench", *typed, "--speed-ups"])
        sweep = run_changes("train", typed[1:], speed_ups.changes(), speed_ups.passes, line)
        sweep.title = name
        save_sweep(sweep, command.out / f"{label}-changes-{name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments` (default: those of the process)."""
    command = tyro.cli(FiguresCommand, args=arguments, prog="python -m benchmarks.pages.figures")
    run_command("figures", lambda: _main(command))


def _main(command: FiguresCommand) -> int:
    begin = time.monotonic()
    kind = choose_device(command.device).type
    label = f"{today()}-{kind}"
    command.out.mkdir(parents=True, exist_ok=True)
    if command.only in ("all", "tables"):
        take_tables(command, kind, label)
    if command.only in ("all", "sweeps"):
        take_sweeps(command, kind, label)
    if command.only in ("all", "changes"):
        take_changes(command, kind, label)
    if command.page:
        write_page(Path(command.page), sorted(command.out.glob("*.json")))
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    main()
