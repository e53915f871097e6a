"""What all benchmarks take."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.benchmarks import record
from agents.benchmarks.measure import Timing
from agents.benchmarks.record import BenchRecord
from agents.errors import AgentError
from scenes import Scene


@dataclass(frozen=True)
class BenchOptions:
    """Sizes and repeats of a measurement; `command` is what was typed, for the record."""

    num_envs: int = 256
    width: int = 64
    height: int = 64
    sensors: tuple[str, ...] = ("depth",)
    scenes: str = "homes:train?count=8"
    renderer: str = "auto"
    device: str = "auto"
    steps: int | None = None
    seconds: float = 1.0
    repeats: int = 5
    seed: int = 0
    command: str = ""

    def __post_init__(self) -> None:
        for name in ("num_envs", "repeats"):
            if getattr(self, name) < 1:
                raise AgentError(f"{name} is {getattr(self, name)}; expected at least 1.")
        if self.steps is not None and self.steps < 1:
            raise AgentError(f"steps is {self.steps}; expected at least 1.")
        if not 0 < self.seconds <= 3600:
            raise AgentError(f"seconds is {self.seconds}; expected more than 0, at most 3600.")

    def record(
        self,
        mode: str,
        timing: Timing,
        scenes: list[Scene],
        device: torch.device,
        us_per_frame: dict[str, float | None],
        renderer: str | None,
        gl_renderer: str | None,
        us_per_empty_frame: float | None = None,
    ) -> BenchRecord:
        """The record of what was measured with these options."""
        median, lowest, highest = timing.rates(self.num_envs)
        return BenchRecord(
            mode=mode,
            fps=median,
            fps_range=(lowest, highest),
            num_envs=self.num_envs,
            width=self.width,
            height=self.height,
            sensors=self.sensors,
            renderer=renderer,
            gl_renderer=gl_renderer,
            device=str(device),
            scenes=self.scenes,
            num_scenes=len(scenes),
            triangles_mean=record.mean_triangles(scenes),
            steps=timing.steps,
            repeats=self.repeats,
            us_per_frame=us_per_frame,
            us_per_empty_frame=us_per_empty_frame,
            peak_memory_bytes=record.memory_bytes(device),
            seed=self.seed,
            versions=record.versions(),
            machine=record.machine(device),
            date=record.today(),
            command=self.command,
        )
