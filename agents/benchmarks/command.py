"""What `batchsim-bench` takes on its command line: one dataclass for each mode."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from batchsim.agents.benchmarks.options import BenchOptions
from batchsim.agents.benchmarks.record import BenchRecord
from batchsim.agents.benchmarks.workloads.render import bench_render
from batchsim.agents.benchmarks.workloads.step import bench_step
from batchsim.agents.benchmarks.workloads.train import TrainBenchOptions, bench_train
from batchsim.agents.config import TrainConfig, preset


@dataclass(frozen=True, kw_only=True)
class _Output:
    """How often to measure and what to print."""

    seconds: float = 1.0
    """Length of one run, where the number of steps is not given."""
    repeats: int = 5
    """Runs; the median counts, the range is shown."""
    limits: bool = True
    """Measure beside it what the machine can do at most: rays, copies, matrix products."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there; a list for a sweep."""
    sweep: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """An option and its values, such as num_envs=64,256,1024 (a switch's are on,off; a plus sign stands for a comma in
    a value); given again, all combinations are measured."""
    out: Path = Path("sweep")
    """Folder for a sweep's sweep.csv, sweep.json and sweep.png."""


@dataclass(frozen=True, kw_only=True)
class _SimulationBench(_Output):
    """What rendering and stepping share."""

    num_envs: int = 256
    """Views or environments at once."""
    width: int = 64
    """Width of the images, pixels."""
    height: int = 64
    """Height of the images, pixels."""
    resolution: int | None = None
    """Width and height in one."""
    sensors: str = "depth"
    """Images wanted: depth, rgb, semantic, with commas between; "none" steps without any."""
    scenes: str = "homes:train?count=8"
    """Scenes: a set such as "homes:train?detail=high&count=8", a file or a folder."""
    detail: str | None = None
    """Detail of a set of homes: low, medium or high, in place of what --scenes says."""
    triangles: int | None = None
    """Cut the scenes into about that many triangles each; the images stay the same."""
    renderer: Literal["auto", "raycast", "raster"] = "auto"
    """The renderer's backend; auto times both and takes the faster."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    steps: int | None = None
    """Steps of one run; as many as fill --seconds if not given."""
    seed: int = 0
    """Seed of views and actions."""

    def options(self, typed: str) -> BenchOptions:
        """The same for the measurement."""
        names = [name.strip() for name in self.sensors.split(",") if name.strip()]
        shared = {name: getattr(self, name) for name in BenchOptions.__dataclass_fields__ if hasattr(self, name)}
        shared |= {"sensors": () if names == ["none"] else tuple(names), "command": typed}
        if self.resolution is not None:
            shared |= {"width": self.resolution, "height": self.resolution}
        if self.detail is not None:
            shared["scenes"] = with_detail(self.scenes, self.detail)
        return BenchOptions(**shared)


@dataclass(frozen=True, kw_only=True)
class RenderBench(_SimulationBench):
    """The renderer alone: views from eye height all over the scenes."""

    def measure(self, typed: str) -> BenchRecord:
        """Measure it."""
        return bench_render(self.options(typed))


@dataclass(frozen=True, kw_only=True)
class StepBench(_SimulationBench):
    """The whole environment under random actions."""

    num_resident_scenes: int | None = None
    """How many scenes are in memory at once while the others take turns; all up to 128 if not given, 32 of more."""
    simulator_cuda_graph: bool = True
    """Replay what the simulator does beside drawing as one CUDA graph; of no effect on a CPU."""
    compile_simulator: bool = False
    """Compile what the simulator does beside drawing by torch.compile."""

    def measure(self, typed: str) -> BenchRecord:
        """Measure it."""
        return bench_step(self.options(typed))


@dataclass(frozen=True, kw_only=True)
class TrainBench(_Output):
    """Training from end to end: experience collected and learned from, with the options of batchsim-train."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    preset: str = "quickstart"
    """Which set of defaults to begin from."""
    speed_ups: bool = False
    """Measure with each speed-up changed too, alone: what is on is switched off, and the other way round."""
    passes: int = 2
    """How often --speed-ups measures all of them; every second time in the opposite order, against drift."""
    iterations: int | None = None
    """Rollouts and updates of one run; as many as fill --seconds if not given."""

    def measure(self, typed: str) -> BenchRecord:
        """Measure it."""
        return bench_train(
            TrainBenchOptions(self.config, self.limits, self.iterations, self.seconds, self.repeats, typed)
        )

    def changes(self) -> dict[str, str]:
        """For each speed-up the value that it does not have, by option, as typed in a sweep."""
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
"""Options of training that change nothing but speed."""

BenchCommand = RenderBench | StepBench | TrainBench


def parse(typed: Sequence[str]) -> BenchCommand:
    """The command that was typed; ends the program where it cannot be understood, as command lines do."""
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--preset", default="quickstart")
    chosen, _ = chooser.parse_known_args(list(typed))
    train = TrainBench(config=preset(chosen.preset), preset=chosen.preset)
    modes = (
        Annotated[RenderBench, tyro.conf.subcommand("render", prefix_name=False)]
        | Annotated[StepBench, tyro.conf.subcommand("step", prefix_name=False)]
        | Annotated[TrainBench, tyro.conf.subcommand("train", default=train, prefix_name=False)]
    )
    return tyro.cli(
        modes,
        args=list(typed),
        prog="batchsim-bench",
        description="Measure frames a second: the median of several runs, warm-up left out, the device finished at "
        "both ends.",
    )


def with_detail(scenes: str, detail: str) -> str:
    """The set of homes `scenes` with its detail replaced: "homes:train?detail=low&count=8"."""
    name, _, query = scenes.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("detail=")]
    return f"{name}?{'&'.join([f'detail={detail}', *kept])}"
