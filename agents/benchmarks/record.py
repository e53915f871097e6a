"""The JSON object that a benchmark prints: what was measured, on what, with which versions."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from batchsim.scenes import Scene

STAGES = ("simulate", "render", "infer", "learn")
_PIXEL_BYTES = {"depth": 4, "rgb": 3, "semantic": 4}
_PACKAGES = ("batchsim", "torch", "numpy", "moderngl", "glcontext", "gymnasium", "cuda-core")


@dataclass(frozen=True)
class BenchRecord:
    """One measurement. `fps` counts frames of experience a second, the median of the repeats.

    `us_per_frame` holds microseconds of each of `STAGES`, None where a stage was not run or not timed apart.
    `us_per_empty_frame`: what a frame costs the renderer where nothing is to be drawn; the rest of it is the drawing.
    `peak_memory_bytes`: on the CPU the process's largest resident size; on CUDA what all of the device's memory in use
    amounts to after the measurement, which counts OpenGL's share too. `peak_host_bytes` is the former on either, and
    `peak_torch_bytes` the most that torch itself held on CUDA.
    `single_steps`: where scenes take turns, seconds of the "median" and the "longest" step, each waited for, in a run
    of their own, and the "scene_changes" in it.
    `limits`: what the machine can do at most, see `batchsim.agents.benchmarks.workloads.limits`; `limit_shares`: what was reached of it.
    `options`: everything else that was chosen. `commit`: of the code, None outside a checkout.
    """

    mode: str
    fps: float
    fps_range: tuple[float, float]
    num_envs: int
    width: int
    height: int
    sensors: tuple[str, ...]
    renderer: str | None
    gl_renderer: str | None
    device: str
    scenes: str
    num_scenes: int
    triangles_mean: float
    steps: int
    repeats: int
    us_per_frame: dict[str, float | None]
    us_per_empty_frame: float | None
    peak_memory_bytes: int
    peak_host_bytes: int
    peak_torch_bytes: int | None
    rays_per_second: float | None
    image_bytes_per_frame: int
    limits: dict[str, float | None]
    limit_shares: dict[str, float]
    options: dict[str, Any]
    seed: int
    versions: dict[str, str]
    machine: str
    date: str
    commit: str | None
    command: str
    single_steps: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object as it is printed."""
        return asdict(self)


def stage_times(**known: float) -> dict[str, float | None]:
    """All of `STAGES` by name, None for those that are not given."""
    return {stage: known.get(stage) for stage in STAGES}


def mean_triangles(scenes: Sequence[Scene]) -> float:
    """Triangles of a scene, on average."""
    return float(np.mean([len(scene.triangles) for scene in scenes]))


def memory(device: torch.device) -> dict[str, int | None]:
    """The three peaks of `BenchRecord`, by name, up to now."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type != "cuda":
        return {"peak_memory_bytes": host, "peak_host_bytes": host, "peak_torch_bytes": None}
    free, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.max_memory_allocated(device)
    return {"peak_memory_bytes": total - free, "peak_host_bytes": host, "peak_torch_bytes": held}


def image_bytes(sensors: Sequence[str], width: int, height: int) -> int:
    """Bytes of one frame's images."""
    return width * height * sum(_PIXEL_BYTES[name] for name in sensors)


def limit_shares(rates: dict[str, float], limits: dict[str, float]) -> dict[str, float]:
    """The share of each known limit that was reached, by name."""
    return {name: rate / limits[name] for name, rate in rates.items() if limits.get(name)}


def commit() -> str | None:
    """The commit that runs, with a plus sign where files were changed since; None outside a checkout."""
    here = Path(__file__).parent
    try:
        done = [
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True).stdout
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return done[0].strip() + ("+" if done[1].strip() else "")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter for speed; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def machine(device: torch.device) -> str:
    """The processor that does the work, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_name()}, {_cores()} cores"


def today() -> str:
    """ISO date."""
    return datetime.date.today().isoformat()


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
