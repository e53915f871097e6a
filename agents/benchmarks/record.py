"""The record of a measurement, printed as JSON: figures, machine, versions, options."""

from __future__ import annotations

import datetime
import platform
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch

from batchsim.scenes import Scene
from batchsim.scenes.startup.available_cores import available_cores

STAGES = ("simulate", "render", "infer", "learn")
_PIXEL_BYTES = {"depth": 4, "rgb": 3, "semantic": 4}


@dataclass(frozen=True)
class BenchRecord:
    """One measurement.

    Attributes:
        fps: Frames of experience per second, the median over the runs; `fps_range` has the lowest and highest.
        us_per_frame: Microseconds per frame of each of `STAGES`; None if a stage was not run or not timed.
        us_per_empty_frame: Cost of a frame that shows nothing; the rest of a frame's cost is drawing.
        peak_memory_bytes: On the CPU, the peak resident set size of the process. On CUDA, all device memory in use
            after the measurement, including OpenGL's.
        peak_host_bytes: The peak resident set size on either device.
        peak_torch_bytes: Peak memory allocated by torch on CUDA.
        single_steps: If scenes are swapped, seconds of the "median" and "longest" step of a separate, synchronized
            run, and the number of "scene_changes" in it.
        limits: Upper bounds measured on this machine (`workloads.limits`).
        limit_shares: Fraction of each limit that was reached.
        options: All other options of the measurement.
        commit: Commit of the code, None outside a checkout; a plus sign marks uncommitted changes.
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
    limits: dict[str, float]
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
        """Return the record as plain dicts and lists."""
        return asdict(self)


def stage_times(**known: float) -> dict[str, float | None]:
    """Return a dict of all `STAGES`, None for those that are not given."""
    return {stage: known.get(stage) for stage in STAGES}


def mean_triangles(scenes: Sequence[Scene]) -> float:
    """Return the mean number of triangles of a scene."""
    return float(np.mean([len(scene.triangles) for scene in scenes]))


class MemoryPeaks(TypedDict):
    """The memory fields of `BenchRecord`."""

    peak_memory_bytes: int
    peak_host_bytes: int
    peak_torch_bytes: int | None


def memory(device: torch.device) -> MemoryPeaks:
    """Return the memory peaks of this process so far."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type != "cuda":
        return {"peak_memory_bytes": host, "peak_host_bytes": host, "peak_torch_bytes": None}
    free, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.max_memory_allocated(device)
    return {"peak_memory_bytes": total - free, "peak_host_bytes": host, "peak_torch_bytes": held}


def image_bytes(sensors: Sequence[str], width: int, height: int) -> int:
    """Return the bytes of one frame's images."""
    return width * height * sum(_PIXEL_BYTES[name] for name in sensors)


def limit_shares(rates: dict[str, float], limits: dict[str, float]) -> dict[str, float]:
    """Return the fraction reached of each limit that is known."""
    return {name: rate / limits[name] for name, rate in rates.items() if limits.get(name)}


def commit() -> str | None:
    """Return the checked-out commit, with a plus sign if tracked files differ; None outside a checkout."""
    here = Path(__file__).parent
    try:
        done = [
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True).stdout
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return done[0].strip() + ("+" if done[1].strip() else "")


def machine(device: torch.device) -> str:
    """Return the name of the GPU, or of the CPU with its number of usable cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_name()}, {available_cores()} cores"


def today() -> str:
    """Return today's date in ISO format."""
    return datetime.date.today().isoformat()


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
