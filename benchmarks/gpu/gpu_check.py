"""Runs everything that needs an NVIDIA GPU: the tests marked `gpu`, then measurements, in at most nine minutes.

    python -m benchmarks.gpu.gpu_check [--training] [FOLDER]

With `--training` it measures training instead, at the scale of Large Batch Simulation: end to end, with each
performance option toggled, and with more environments. That takes at most nine minutes too.

Output goes to FOLDER, otherwise to the folder in the environment variable OUT, otherwise to gpu-check: `tests.log`, one
JSON file for each measurement, and `summary.json` with the outcome of each part. Parts that no time is left for are
skipped and listed. Needs batchsim's dependencies with the extra `cuda`, and pytest; batchsim itself need not be
installed, and there is no network access.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchsim import BatchSimError
from batchsim.process.command_line import BAD_INPUT
from batchsim.render.opengl.devices import choose_device

BUDGET = 530.0
"""Seconds for all parts together."""
_TRAINING = "--training"
_LEAST = 20.0  # a part is skipped if fewer seconds are left

_BENCH = ("-m", "batchsim.agents.bench")
_BATCH = ("--num-envs", "2048", "--device", "cuda", "--json")
_HIGH = ("--scenes", "homes:train?detail=high&count=4")
_ONE = ("--scenes", "homes:train/0")
_FINER = ("--sweep", "triangles=20000,200000,2000000")
_TRAIN = ("--num-envs", "1024", "--repeats", "3", "--json")
_DEPTH, _RGB = ("--preset", "pointnav-depth"), ("--preset", "pointnav-rgb")
_MEDIUM = ("--scenes", "homes:train?detail=medium&count=64")
_LOW = ("--scenes", "homes:train?count=16")


@dataclass(frozen=True)
class Part:
    """A program to run, the file for its standard output, and its time limit in seconds."""

    file: str
    arguments: tuple[str, ...]
    limit: float = 100.0


def _gpu_tests() -> list[str]:
    """Return the files with tests marked `gpu`: others may import packages that this machine lacks."""
    return sorted(str(file) for file in Path("tests").rglob("test_*.py") if "mark.gpu" in file.read_text("utf-8"))


PARTS = (
    Part("device.json", ("-m", "benchmarks.gpu.gpu_facts"), 60.0),
    Part("tests.log", ("-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", *_gpu_tests()), 150.0),
    Part("raycast-depth-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, "--renderer", "raycast"), 150.0),
    Part("raycast-rgb-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, "--renderer", "raycast", "--sensors", "rgb")),
    Part("raster-depth-high.json", (*_BENCH, "render", *_BATCH, *_HIGH, "--renderer", "raster", "--repeats", "3")),
    Part(
        "scaling.json", (*_BENCH, "render", *_BATCH, *_ONE, "--renderer", "raycast", "--repeats", "3", *_FINER), 180.0
    ),
    Part("step-depth-high.json", (*_BENCH, "step", *_BATCH, *_HIGH)),
    Part("train-depth-low.json", (*_BENCH, "train", *_DEPTH, *_TRAIN, *_LOW), 120.0),
    Part("raycast-depth-low.json", (*_BENCH, "render", *_BATCH, *_LOW, "--renderer", "raycast")),
    Part("raster-depth-low.json", (*_BENCH, "render", *_BATCH, *_LOW, "--renderer", "raster")),
    Part("step-depth-low.json", (*_BENCH, "step", *_BATCH, *_LOW)),
    Part("step-rgb-high.json", (*_BENCH, "step", *_BATCH, *_HIGH, "--sensors", "depth,rgb")),
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


def gpu_check(folder: Path, parts: tuple[Part, ...] = PARTS, budget: float = BUDGET) -> dict[str, Any]:
    """Run `parts` one after the other within `budget` seconds; return the content of `summary.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    summary: dict[str, Any] = {"parts": {}}
    for part in parts:
        left = budget - (time.monotonic() - begin)
        summary["parts"][part.file] = _run(part, folder, left)
        summary["seconds"] = round(time.monotonic() - begin, 1)
        summary["passed"] = all(result["outcome"] == "passed" for result in summary["parts"].values())
        # Written after every part, so that results survive a crash of the machine.
        (folder / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
        print(f"{summary['seconds']:6.1f} s  {part.file}: {_in_words(summary['parts'][part.file])}", flush=True)
    return summary


def _run(part: Part, folder: Path, left: float) -> dict[str, Any]:
    if left < _LEAST:
        return {"outcome": "skipped", "reason": "no time left"}
    command = [sys.executable, *part.arguments]
    begin = time.monotonic()
    with open(folder / part.file, "w", encoding="utf-8") as out:
        try:
            done = subprocess.run(
                command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=min(part.limit, left), check=False
            )
        except subprocess.TimeoutExpired as error:
            said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
            return {"outcome": "timeout", "seconds": round(time.monotonic() - begin, 1), "stderr": _end(said)}
    result: dict[str, Any] = {"outcome": "passed" if done.returncode == 0 else "failed", "exit_code": done.returncode}
    result["seconds"] = round(time.monotonic() - begin, 1)
    if done.returncode:
        result["stderr"] = _end(done.stderr)
    result |= _figures(folder / part.file)
    return result


def _figures(file: Path) -> dict[str, Any]:
    """Return the frames per second in a JSON file of figures, by number of triangles."""
    if file.suffix != ".json":
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    records = content if isinstance(content, list) else [content]
    found = {f"{record['triangles_mean']:,.0f}": round(record["fps"]) for record in records if "fps" in record}
    return {"fps_by_triangles": found} if found else {}


def _end(text: str) -> str:
    return text.strip()[-2000:]


def _in_words(result: dict[str, Any]) -> str:
    if "fps_by_triangles" in result:
        return ", ".join(f"{fps:,} frames/s at {count} triangles" for count, fps in result["fps_by_triangles"].items())
    reason = result.get("reason") or result.get("stderr", "")
    return result["outcome"] + (f": {reason.splitlines()[-1]}" if reason else "")


def main() -> None:
    """Run the command: exit code 0 if all parts passed, 1 if not, 2 without a GPU."""
    try:
        choose_device("cuda")
    except BatchSimError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    words = [word for word in sys.argv[1:] if word != _TRAINING]
    folder = Path(words[0] if words else os.environ.get("OUT") or "gpu-check")
    summary = gpu_check(folder, TRAINING_PARTS if _TRAINING in sys.argv else PARTS)
    print(f"Results: {folder.resolve()}")
    sys.exit(0 if summary["passed"] else 1)


if __name__ == "__main__":
    main()
