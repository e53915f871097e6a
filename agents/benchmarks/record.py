"""The JSON object that a benchmark prints: what was measured, on what, with which versions."""

from __future__ import annotations

import datetime
import os
import platform
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from scenes import Scene

STAGES = ("simulate", "render", "infer", "learn")
_PACKAGES = ("batchsim", "torch", "numpy", "moderngl", "glcontext", "gymnasium", "cuda-core")


@dataclass(frozen=True)
class BenchRecord:
    """One measurement. `fps` counts frames of experience a second, the median of the repeats.

    `us_per_frame` holds microseconds of each of `STAGES`, None where a stage was not run or not timed apart.
    `us_per_empty_frame`: what a frame costs the renderer where nothing is to be drawn; the rest of it is the drawing.
    `peak_memory_bytes`: on the CPU the process's largest resident size; on CUDA what all of the device's memory in use
    amounts to after the measurement, which counts OpenGL's share too.
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
    seed: int
    versions: dict[str, str]
    machine: str
    date: str
    command: str

    def to_json(self) -> dict[str, Any]:
        """The object as it is printed."""
        return asdict(self)


def stage_times(**known: float) -> dict[str, float | None]:
    """All of `STAGES` by name, None for those that are not given."""
    return {stage: known.get(stage) for stage in STAGES}


def mean_triangles(scenes: Sequence[Scene]) -> float:
    """Triangles of a scene, on average."""
    return float(np.mean([len(scene.triangles) for scene in scenes]))


def memory_bytes(device: torch.device) -> int:
    """See `BenchRecord.peak_memory_bytes`."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
