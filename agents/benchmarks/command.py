"""The command line of `batchsim-bench`: one dataclass for each mode."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from batchsim.agents.benchmarks.options import BenchOptions
from batchsim.agents.benchmarks.record import BenchRecord
from batchsim.agents.benchmarks.workloads.render import bench_render
from batchsim.agents.benchmarks.workloads.step import bench_step
from batchsim.agents.benchmarks.workloads.train import TrainBenchOptions, bench_train
from batchsim.agents.config import TrainConfig
from batchsim.agents.presets import preset
from batchsim.process.arguments import parse_arguments


@dataclass(frozen=True, kw_only=True)
class _Output:
    """Options of repetition and output."""

    seconds: float = 1.0
    """Length of one run in seconds, unless the number of steps is given."""
    repeats: int = 5
    """Number of runs. The median is reported, with the range."""
    limits: bool = True
    """Also measure the limits of the machine: rays, memory bandwidth, matrix products."""
    json: bool = False
    """Print one JSON object on stdout and nothing else; a list for a sweep."""
    sweep: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Measure several values of an option: num_envs=64,256,1024. Flags take on,off. A plus sign in a value stands for a
    comma: sensors=depth,depth+rgb. Repeat the option to measure all combinations."""
    out: Path = Path("sweep")
    """Folder that a sweep writes sweep.csv, sweep.json and sweep.png to."""


@dataclass(frozen=True, kw_only=True)
class _SimulationBench(_Output):
    """Options that rendering and stepping share."""

    num_envs: int = 256
    """Number of views or environments in a batch."""
    width: int = 64
    """Image width in pixels."""
    height: int = 64
    """Image height in pixels."""
    resolution: int | None = None
    """Sets both width and height."""
    sensors: str = "depth"
    """Image sensors, separated by commas: depth, rgb, semantic; or none."""
    scenes: str = "homes:train?count=8"
    """Scenes: a set such as homes:train?detail=high&count=8, a file or a folder."""
    detail: str | None = None
    """Overrides the detail of a set of homes: low, medium or high."""
    triangles: int | None = None
    """Subdivide each scene to about this many triangles. Images stay the same."""
    renderer: Literal["auto", "raycast", "raster"] = "auto"
    """Rendering backend. auto times both and uses the faster."""
    device: str = "auto"
    """Device: auto, cpu, cuda or cuda:N."""
    steps: int | None = None
    """Steps of one run (default: as many as fill --seconds)."""
    seed: int = 0
    """Seed of the views and actions."""

    def options(self, typed: str) -> BenchOptions:
        """Return the options as the benchmarks take them; `typed` is the command line to record."""
        names = [name.strip() for name in self.sensors.split(",") if name.strip()]
        shared: dict[str, Any] = {
            name: getattr(self, name) for name in BenchOptions.__dataclass_fields__ if hasattr(self, name)
        }
        shared |= {"sensors": () if names == ["none"] else tuple(names), "command": typed}
        if self.resolution is not None:
            shared |= {"width": self.resolution, "height": self.resolution}
        if self.detail is not None:
            shared["scenes"] = with_detail(self.scenes, self.detail)
        return BenchOptions(**shared)


@dataclass(frozen=True, kw_only=True)
class RenderBench(_SimulationBench):
    """Measures the renderer alone: views from eye height all over the scenes."""

    def measure(self, typed: str) -> BenchRecord:
        """Run the benchmark; `typed` is the command line to record."""
        return bench_render(self.options(typed))


@dataclass(frozen=True, kw_only=True)
class StepBench(_SimulationBench):
    """Measures the whole environment under random actions."""

    task: str = "pointnav"
    """Task of the environments, as in batchsim-train."""
    num_resident_scenes: int | None = None
    """Scenes in memory at a time; the others are swapped in (default: all, or 32 if there are more than 128)."""
    simulator_cuda_graph: bool = True
    """Replay the simulator's step (without rendering) as a CUDA graph. No effect on a CPU."""
    compile_simulator: bool = False
    """Compile the simulator's step (without rendering) with torch.compile."""
    reuse_buffers: bool = True
    """Let each step overwrite the images of the one before, as batchsim-train does; off: return new tensors."""

    def measure(self, typed: str) -> BenchRecord:
        """Run the benchmark; `typed` is the command line to record."""
        return bench_step(self.options(typed))


@dataclass(frozen=True, kw_only=True)
class TrainBench(_Output):
    """Measures training end to end, rollouts and updates, with the options of batchsim-train."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    preset: str = "quickstart"
    """Preset that provides the defaults."""
    speed_ups: bool = False
    """Also measure with each performance option toggled alone: on becomes off, off becomes on."""
    passes: int = 2
    """Passes of --speed-ups over all configurations; every second one in reverse order, against drift."""
    iterations: int | None = None
    """Iterations (rollout and update) of one run (default: as many as fill --seconds)."""

    def measure(self, typed: str) -> BenchRecord:
        """Run the benchmark; `typed` is the command line to record."""
        return bench_train(
            TrainBenchOptions(self.config, self.limits, self.iterations, self.seconds, self.repeats, typed)
        )

    def changes(self) -> dict[str, str]:
        """Return the toggled value of each performance option, as written in a sweep."""
        options = self.config.flat()
        changed = {name: "off" if options[name] else "on" for name in SWITCHES}
        reduced = self.config.precision != "float32"
        return changed | {"precision": "float32" if reduced else "bfloat16"}


SWITCHES = (
    "compile_policy",
    "compile_update",
    "policy_cuda_graph",
    "simulator_cuda_graph",
    "compile_simulator",
    "channels_last",
    "fused_optimizer",
    "double_buffering",
)
"""Flags of training that affect speed only."""

BenchCommand = RenderBench | StepBench | TrainBench


def parse(typed: Sequence[str]) -> BenchCommand:
    """Parse the command line; raise `OptionError` if it is invalid."""
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # A missing value is reported by the second parser.
    chooser.add_argument("--preset", nargs="?", default="quickstart", const="quickstart")
    chosen, _ = chooser.parse_known_args(list(typed))
    train = TrainBench(config=preset(chosen.preset), preset=chosen.preset)
    modes = (
        Annotated[RenderBench, tyro.conf.subcommand("render", prefix_name=False)]
        | Annotated[StepBench, tyro.conf.subcommand("step", prefix_name=False)]
        | Annotated[TrainBench, tyro.conf.subcommand("train", default=train, prefix_name=False)]
    )
    return parse_arguments(
        modes,
        typed,
        "batchsim-bench",
        description="Measure frames per second: the median of several runs after warm-up, with the device "
        "synchronized at both ends.",
    )


def with_detail(scenes: str, detail: str) -> str:
    """Replace the detail of a set of homes, as in "homes:train?detail=low&count=8"."""
    name, _, query = scenes.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("detail=")]
    return f"{name}?{'&'.join([f'detail={detail}', *kept])}"
