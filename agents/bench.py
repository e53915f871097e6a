"""`batchsim-bench`: how many frames a second this machine simulates and renders.

batchsim-bench render --num-envs 256 --sensors depth,rgb --scenes "homes:train?detail=high&count=8"
batchsim-bench step --num-envs 1024 --json
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from agents.benchmarks.options import BenchOptions
from agents.benchmarks.record import BenchRecord
from agents.benchmarks.render import bench_render
from agents.benchmarks.step import bench_step
from agents.command import run_command

MODES = {"render": bench_render, "step": bench_step}


@dataclass(frozen=True)
class BenchCommand:
    """Measure frames a second: the median of several runs, warm-up left out, the device finished at both ends."""

    mode: tyro.conf.Positional[Literal["render", "step"]]
    """render: the renderer alone. step: the whole environment under random actions."""
    num_envs: int = 256
    """Views or environments at once."""
    width: int = 64
    """Width of the pictures, pixels."""
    height: int = 64
    """Height of the pictures, pixels."""
    sensors: str = "depth"
    """Pictures wanted: depth, rgb, semantic, with commas between; "none" steps without any."""
    scenes: str = "homes:train?count=8"
    """Scenes: a set such as "homes:train?detail=high&count=8", a file or a folder."""
    renderer: Literal["auto", "raycast", "raster"] = "auto"
    """The renderer's backend; auto times both and takes the faster."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    steps: int | None = None
    """Steps of one run; as many as fill --seconds if not given."""
    seconds: float = 1.0
    """Length of one run where --steps is not given."""
    repeats: int = 5
    """Runs; the median counts, the range is shown."""
    seed: int = 0
    """Seed of views and actions."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    command = tyro.cli(BenchCommand, args=typed, prog="batchsim-bench")
    run_command("batchsim-bench", lambda: _main(command, shlex.join(["batchsim-bench", *typed])))


def _main(command: BenchCommand, typed: str) -> int:
    result = MODES[command.mode](_options(command, typed))
    if command.json:
        print(json.dumps(result.to_json()))
    else:
        _print_table(result)
    return 0


def _options(command: BenchCommand, typed: str) -> BenchOptions:
    names = [name.strip() for name in command.sensors.split(",") if name.strip()]
    shared = {name: getattr(command, name) for name in BenchOptions.__dataclass_fields__ if hasattr(command, name)}
    return BenchOptions(**shared | {"sensors": () if names == ["none"] else tuple(names), "command": typed})


def _print_table(result: BenchRecord) -> None:
    table = Table(show_header=False, title=f"batchsim-bench {result.mode}")
    low, high = result.fps_range
    pictures = ", ".join(result.sensors) or "no pictures"
    rows = {
        "frames a second": f"{result.fps:,.0f}  ({low:,.0f} to {high:,.0f} in {result.repeats} runs)",
        "at once": f"{result.num_envs} of {result.width} x {result.height}, {pictures}",
        "scenes": f"{result.num_scenes} of {result.scenes}, {result.triangles_mean:,.0f} triangles each",
        "renderer": f"{result.renderer or 'none'} on {result.gl_renderer or result.device}",
        "device": f"{result.device}: {result.machine}",
        "microseconds a frame": ", ".join(
            f"{stage} {time:,.1f}" for stage, time in result.us_per_frame.items() if time is not None
        ),
        "of an empty frame": "" if result.us_per_empty_frame is None else f"{result.us_per_empty_frame:,.1f}",
        "memory": f"{result.peak_memory_bytes / 2**20:,.0f} MiB",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    Console().print(table)


if __name__ == "__main__":
    main()
