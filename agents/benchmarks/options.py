"""Options of the renderer's and the environment's benchmarks, and the record made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from batchsim import BatchRenderer
from batchsim.agents.benchmarks import record
from batchsim.agents.benchmarks.measure import Timing
from batchsim.agents.benchmarks.record import BenchRecord
from batchsim.agents.benchmarks.refine import cut_finer
from batchsim.agents.errors import AgentError
from batchsim.agents.runs.versions import versions
from batchsim.scenes import Scene, load_all, resolve


def check_lengths(options: Any, *counts: str) -> None:
    """Check `options.seconds` and the integer options named in `counts`.

    Raises:
        AgentError: A value is out of range.
    """
    for name in counts:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise AgentError(f"{name} is {value}; expected at least 1.")
    if not 0 < options.seconds <= 3600:
        raise AgentError(f"seconds is {options.seconds}; expected more than 0, at most 3600.")


@dataclass(frozen=True)
class BenchOptions:
    """Sizes and repeats of a measurement.

    Attributes:
        triangles: Subdivide each scene to about this many triangles; images stay the same.
        task: The task of the environments; of `step` only.
        num_resident_scenes, simulator_cuda_graph, compile_simulator, reuse_buffers: See `NavVectorEnv`; of `step` only.
        command: The command line, for the record.
    """

    num_envs: int = 256
    width: int = 64
    height: int = 64
    sensors: tuple[str, ...] = ("depth",)
    scenes: str = "homes:train?count=8"
    task: str = "pointnav"
    num_resident_scenes: int | None = None
    triangles: int | None = None
    renderer: str = "auto"
    device: str = "auto"
    simulator_cuda_graph: bool = True
    compile_simulator: bool = False
    reuse_buffers: bool = True
    limits: bool = True
    steps: int | None = None
    seconds: float = 1.0
    repeats: int = 5
    seed: int = 0
    command: str = ""

    def __post_init__(self) -> None:
        check_lengths(self, "num_envs", "repeats", "steps", "triangles")

    def load_scenes(self) -> list[Scene]:
        """Load the scenes to measure in."""
        found = load_all(resolve(self.scenes))
        return found if self.triangles is None else [cut_finer(scene, self.triangles) for scene in found]

    def record(
        self,
        mode: str,
        timing: Timing,
        scenes: list[Scene],
        device: torch.device,
        us_per_frame: dict[str, float | None],
        renderer: BatchRenderer | None,
        us_per_empty_frame: float | None = None,
        measure_limits: Callable[[], dict[str, float]] | None = None,
        single_steps: dict[str, float] | None = None,
    ) -> BenchRecord:
        """Return the record of a measurement with these options.

        `measure_limits` returns "traversal_rays_per_second" and "copy_bytes_per_second" by name. It allocates memory,
        so it is called after the memory peaks are read.
        """
        median, lowest, highest = timing.rates(self.num_envs)
        memory = record.memory(device)
        limits = measure_limits() if measure_limits and self.limits else {}
        bytes_per_frame = record.image_bytes(self.sensors, self.width, self.height)
        rays = median * self.width * self.height if self.sensors else None
        reached = {"copy_bytes_per_second": median * bytes_per_frame}
        if rays is not None and renderer is not None and renderer.backend == "raycast":
            reached["traversal_rays_per_second"] = rays
        return BenchRecord(
            mode=mode,
            fps=median,
            fps_range=(lowest, highest),
            num_envs=self.num_envs,
            width=self.width,
            height=self.height,
            sensors=self.sensors,
            renderer=None if renderer is None else renderer.backend,
            gl_renderer=None if renderer is None else renderer.gl_renderer,
            device=str(device),
            scenes=self.scenes,
            num_scenes=len(scenes),
            triangles_mean=record.mean_triangles(scenes),
            steps=timing.steps,
            repeats=self.repeats,
            us_per_frame=us_per_frame,
            us_per_empty_frame=us_per_empty_frame,
            **memory,
            rays_per_second=rays,
            single_steps=single_steps,
            image_bytes_per_frame=bytes_per_frame,
            limits=limits,
            limit_shares=record.limit_shares(reached, limits),
            options=self._options(),
            seed=self.seed,
            versions=versions(),
            machine=record.machine(device),
            date=record.today(),
            commit=record.commit(),
            command=self.command,
        )

    def _options(self) -> dict[str, Any]:
        """Return the options that are no fields of the record."""
        return {name: value for name, value in asdict(self).items() if name not in BenchRecord.__dataclass_fields__}
