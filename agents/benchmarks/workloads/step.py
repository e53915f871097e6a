"""Benchmark of the whole environment: `NavVectorEnv.step` under random actions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.benchmarks.measure import Stages, Timing, synchronizer, time_single_steps, time_steps
from batchsim.agents.benchmarks.options import BenchOptions
from batchsim.agents.benchmarks.record import BenchRecord, stage_times
from batchsim.agents.benchmarks.workloads.limits import copy_bytes_per_second
from batchsim.tasks import PointNav

_ACTION_SHARES = {"stop": 0.01, "found": 0.01, "forward": 0.6, "left": 0.2, "right": 0.19}
"""Mostly forward. With uniform actions, one in four would be a stop and episodes would last four steps."""
_DRAWN = 64  # batches of actions that are drawn in advance
_STEPS_WITH_CHANGES = 600
"""Default steps of a run when scenes are swapped: longer than an episode, so that swaps happen."""


def bench_step(options: BenchOptions) -> BenchRecord:
    """Time `NavVectorEnv.step`, from actions on the device to observations on the device, resets included."""
    env = NavVectorEnv(
        options.num_envs,
        options.scenes if options.triangles is None else options.load_scenes(),
        task=options.task,
        num_resident_scenes=options.num_resident_scenes,
        sensors=options.sensors,
        width=options.width,
        height=options.height,
        renderer=options.renderer,
        device=options.device,
        simulator_cuda_graph=options.simulator_cuda_graph,
        compile_simulator=options.compile_simulator,
        reuse_buffers=options.reuse_buffers,
    )
    try:
        return _measure(env, options)
    finally:
        env.close()


def _measure(env: NavVectorEnv, options: BenchOptions) -> BenchRecord:
    names = env.task.action_names
    actions = itertools.cycle(random_actions(options.num_envs, options.seed, env.device, names))
    synchronize = synchronizer(env.device)

    def step() -> None:
        env.step(next(actions))

    env.reset(seed=options.seed)
    steps = options.steps or (_STEPS_WITH_CHANGES if env.simulator.streamer else None)
    timing = time_steps(step, synchronize, options.repeats, options.seconds, steps)
    renderer = env.simulator.renderer
    single_steps = _single_steps(env, step, timing.steps * options.repeats)
    stages = _stages(env, step, options, timing)
    return options.record(
        "step",
        timing,
        list(env.simulator.scenes.scenes),
        env.device,
        stages,
        renderer,
        single_steps=single_steps,
        measure_limits=lambda: {"copy_bytes_per_second": copy_bytes_per_second(env.device)},
    )


def _single_steps(env: NavVectorEnv, step: Callable[[], None], steps: int) -> dict[str, float] | None:
    """Time single steps while scenes are swapped; None if they are not."""
    streamer = env.simulator.streamer
    if streamer is None:
        return None
    before = streamer.changes
    single_steps = time_single_steps(step, synchronizer(env.device), steps)
    return single_steps | {"scene_changes": streamer.changes - before}


def _stages(
    env: NavVectorEnv, step: Callable[[], None], options: BenchOptions, timing: Timing
) -> dict[str, float | None]:
    """Return microseconds per frame by stage: shares from a separate run, scaled to the time of the main run."""
    us_per_frame = 1e6 / timing.rates(options.num_envs)[0]
    renderer = env.simulator.renderer
    if renderer is None:
        return stage_times(simulate=us_per_frame)
    steps = max(1, timing.steps // 2)

    def run() -> None:
        for _ in range(steps):
            step()

    with Stages(env.device, {"render": [(renderer, "render_async"), (renderer, "render_wait")]}) as stages:
        whole = stages.timer(run)
        whole()
    render = us_per_frame * stages.seconds("render") / whole.seconds
    return stage_times(render=render, simulate=us_per_frame - render)


def random_actions(
    num_envs: int, seed: int, device: torch.device, names: Sequence[str] = PointNav.action_names
) -> list[Tensor]:
    """Draw batches of actions int64 `[num_envs]` of those called `names`, with the weights of `_ACTION_SHARES`."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.tensor([_ACTION_SHARES.get(name, 0.0) for name in names])
    drawn = torch.multinomial(shares, _DRAWN * num_envs, replacement=True, generator=generator)
    return list(drawn.reshape(_DRAWN, num_envs).to(device))
