"""Benchmark of training end to end: iterations (rollout and update) of `Trainer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from batchsim.agents.benchmarks import record
from batchsim.agents.benchmarks.measure import Stages, Timing, synchronizer, time_steps
from batchsim.agents.benchmarks.options import check_lengths
from batchsim.agents.benchmarks.record import BenchRecord, stage_times
from batchsim.agents.benchmarks.workloads import limits
from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.flops import flops_per_frame
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.versions import versions
from batchsim.agents.training.build import make_trainer


@dataclass(frozen=True)
class TrainBenchOptions:
    """What to train and how long to measure.

    Attributes:
        iterations: Iterations of one run; None for as many as fill `seconds`.
        command: The command line, for the record.
    """

    config: TrainConfig
    limits: bool = True
    iterations: int | None = None
    seconds: float = 5.0
    repeats: int = 5
    command: str = ""

    def __post_init__(self) -> None:
        check_lengths(self, "repeats", "iterations")


def bench_train(options: TrainBenchOptions) -> BenchRecord:
    """Time `Trainer.iteration`: `rollout_steps` steps of N environments, and the update."""
    options.config.check()
    trainer = make_trainer(options.config)
    try:
        return _measure(trainer, options)
    finally:
        trainer.close()


def _measure(trainer: Trainer, options: TrainBenchOptions) -> BenchRecord:
    config, env = options.config, trainer.env
    frames = trainer.rollout.steps * trainer.rollout.num_envs
    wait = synchronizer(env.device)
    timing = time_steps(trainer.iteration, wait, options.repeats, options.seconds, options.iterations)
    stages = _stages(trainer, timing, frames)
    memory = record.memory(env.device)  # before the limits, which allocate memory
    known = _limits(trainer) if options.limits else {}
    fps, lowest, highest = timing.rates(frames)
    scenes, renderer = list(env.simulator.scenes.scenes), env.simulator.renderer
    sensors = env.simulator.options.sensors
    flops = flops_per_frame(trainer.policy).training(config.ppo.epochs)
    return BenchRecord(
        mode="train",
        fps=fps,
        fps_range=(lowest, highest),
        num_envs=trainer.num_envs,
        width=config.width,
        height=config.height,
        sensors=sensors,
        renderer=None if renderer is None else renderer.backend,
        gl_renderer=None if renderer is None else renderer.gl_renderer,
        device=str(env.device),
        scenes=config.scenes,
        num_scenes=len(scenes),
        triangles_mean=record.mean_triangles(scenes),
        steps=timing.steps * trainer.rollout.steps,
        repeats=options.repeats,
        us_per_frame=stages,
        us_per_empty_frame=None,
        **memory,
        rays_per_second=fps * config.width * config.height if sensors else None,
        image_bytes_per_frame=record.image_bytes(sensors, config.width, config.height),
        limits=known,
        limit_shares=record.limit_shares({"matmul_flops_per_second": fps * flops}, known),
        options={
            "config": asdict(config),
            "parameters": sum(p.numel() for p in trainer.policy.parameters()),
            "flops_per_frame": flops,
        },
        seed=config.seed,
        versions=versions(),
        machine=record.machine(env.device),
        date=record.today(),
        commit=record.commit(),
        command=options.command,
    )


def _stages(trainer: Trainer, timing: Timing, frames: int) -> dict[str, float | None]:
    """Return microseconds per frame by stage: shares from a separate run, scaled to the time of the main run.

    "infer" is everything outside the environment and the update: the policy, action sampling, the rollout buffer and
    advantages.
    """
    envs = [collector.env for collector in trainer.collectors]
    renderers = [env.simulator.renderer for env in envs if env.simulator.renderer is not None]
    methods: dict[str, list[tuple[object, str]]] = {
        "step": _each(envs, "step_async", "step_wait"),
        "render": _each(renderers, "render_async", "render_wait"),
        "learn": [(trainer.ppo, "update")],
    }

    def run() -> None:
        for _ in range(max(1, timing.steps // 2)):
            trainer.iteration()

    with Stages(trainer.env.device, methods) as stages:
        whole = stages.timer(run)
        whole()
    us_per_frame = 1e6 / timing.rates(frames)[0]
    step, learn, render = (us_per_frame * stages.seconds(n) / whole.seconds for n in ("step", "learn", "render"))
    known = {"simulate": step - render, "infer": us_per_frame - step - learn, "learn": learn}
    return stage_times(**known | ({"render": render} if renderers else {}))


def _each(owners: Sequence[object], *names: str) -> list[tuple[object, str]]:
    return [(owner, name) for owner in owners for name in names]


def _limits(trainer: Trainer) -> dict[str, float]:
    dtype = trainer.policy.compute_dtype or torch.float32
    return {"matmul_flops_per_second": limits.matmul_flops_per_second(trainer.env.device, dtype)}
