"""What `make gpu-check` runs, the most important first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_BENCH = ("-m", "batchsim.agents.bench")
_BATCH = ("--num-envs", "2048", "--device", "cuda", "--json")
_HIGH = ("--scenes", "homes:train?detail=high&count=4")
_ONE = ("--scenes", "homes:train/0")
_FINER = ("--sweep", "triangles=20000,200000,2000000")
_TRAIN = ("--num-envs", "1024", "--repeats", "3", "--json")
_DEPTH, _RGB = ("--preset", "pointnav-depth"), ("--preset", "pointnav-rgb")
_MEDIUM = ("--scenes", "homes:train?detail=medium&count=64")
_LOW = ("--scenes", "homes:train?count=16")
_RAYCAST, _RASTER, _THRICE = ("--renderer", "raycast"), ("--renderer", "raster"), ("--repeats", "3")

_TEST = ("-m", "pytest", "-v", "-m", "gpu", "-p", "no:cacheprovider")
_FIRST_TESTS = tuple(
    f"tests/batchsim/{name}.py"
    for name in ("render/test_egl_device", "render/test_shared_tensor", "simulation/test_cuda_paths")
)


@dataclass(frozen=True)
class Part:
    """A program to run, the file for its standard output, and its time limit in seconds."""

    file: str
    arguments: tuple[str, ...]
    limit: float = 100.0


def _other_tests() -> tuple[str, ...]:
    """Return the other files with tests marked `gpu`: the rest may import packages that this machine lacks."""
    files = (file for file in Path("tests").rglob("test_*.py") if "mark.gpu" in file.read_text("utf-8"))
    return tuple(sorted({file.as_posix() for file in files} - set(_FIRST_TESTS)))


PARTS = (
    Part("device.json", ("-m", "benchmarks.gpu.gpu_facts"), 40.0),
    Part("raycast-depth-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, *_RAYCAST, *_THRICE)),
    Part("tests-context-and-sharing.log", (*_TEST, *_FIRST_TESTS), 60.0),
    Part("train-depth-low.json", (*_BENCH, "train", *_DEPTH, *_TRAIN, *_LOW), 90.0),
    Part("step-depth-high.json", (*_BENCH, "step", *_BATCH, *_HIGH), 60.0),
    Part("tests.log", (*_TEST, "-k", "not compil", *_other_tests()), 120.0),
    Part("raycast-rgb-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, *_RAYCAST, "--sensors", "rgb"), 60.0),
    Part("raster-depth-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, *_RASTER, *_THRICE), 60.0),
    Part("scaling.json", (*_BENCH, "render", *_BATCH, *_ONE, *_RAYCAST, *_THRICE, *_FINER), 120.0),
    Part("tests-compile.log", (*_TEST, "-k", "compil", *_other_tests()), 120.0),
    Part("raycast-depth-low.json", (*_BENCH, "render", *_BATCH, *_LOW, *_RAYCAST), 60.0),
    Part("raster-depth-low.json", (*_BENCH, "render", *_BATCH, *_LOW, *_RASTER), 60.0),
    Part("step-depth-low.json", (*_BENCH, "step", *_BATCH, *_LOW), 60.0),
    Part("step-rgb-high.json", (*_BENCH, "step", *_BATCH, *_HIGH, "--sensors", "depth,rgb"), 60.0),
)

TRAINING_PARTS = (
    Part("train-depth-medium.json", (*_BENCH, "train", *_DEPTH, *_TRAIN, *_MEDIUM), 200.0),
    Part(
        "train-speed-ups.json",
        (*_BENCH, "train", *_DEPTH, *_TRAIN, *_MEDIUM, "--no-limits", "--speed-ups", "--passes", "1"),
        360.0,
    ),
    Part(
        "train-num-envs.json",
        (*_BENCH, "train", *_DEPTH, *_TRAIN, *_MEDIUM, "--no-limits", "--sweep", "num_envs=2048,4096"),
        120.0,
    ),
    Part("train-rgb-medium.json", (*_BENCH, "train", *_RGB, *_TRAIN, *_MEDIUM)),
)
"""The parts that `--training` runs."""
