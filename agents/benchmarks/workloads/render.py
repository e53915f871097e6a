"""Benchmark of the renderer alone, with views from eye height all over the scenes."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from batchsim import BatchRenderer
from batchsim.agents.benchmarks.measure import Timing, synchronizer, time_steps
from batchsim.agents.benchmarks.options import BenchOptions
from batchsim.agents.benchmarks.record import BenchRecord, stage_times
from batchsim.agents.benchmarks.workloads.limits import copy_bytes_per_second, traversal_rays_per_second
from batchsim.render.backend_autotune import sample_views
from batchsim.render.batch_renderer import NO_SCENE
from batchsim.render.camera import Camera
from batchsim.render.opengl.devices import choose_device
from batchsim.scenes import Scene

_BATCHES = 8  # different views, drawn in turn: repeating one batch would favour caches


def bench_render(options: BenchOptions) -> BenchRecord:
    """Time `BatchRenderer.render`, from poses on the device to images on the device."""
    device = choose_device(options.device)  # checked before scenes are baked, which can take minutes
    scenes = options.load_scenes()
    views = random_views(scenes, options.num_envs, options.seed, device)
    renderer = BatchRenderer(
        scenes,
        options.num_envs,
        options.width,
        options.height,
        sensors=options.sensors,
        backend=options.renderer,
        device=device,
    )

    def timed(batches: list[tuple[Tensor, Tensor]], repeats: int) -> Timing:
        turn = itertools.cycle(batches)
        wait = synchronizer(device)
        return time_steps(lambda: renderer.render(*next(turn)), wait, repeats, options.seconds, options.steps)

    try:
        timing = timed(views, options.repeats)
        empty = timed([(poses, torch.full_like(index, NO_SCENE)) for poses, index in views[:1]], 1)
        return options.record(
            "render",
            timing,
            scenes,
            device,
            stage_times(render=1e6 / timing.rates(options.num_envs)[0]),
            renderer,
            1e6 / empty.rates(options.num_envs)[0],
            lambda: _limits(scenes, views[0], renderer, device),
        )
    finally:
        renderer.close()


def _limits(
    scenes: list[Scene], views: tuple[Tensor, Tensor], renderer: BatchRenderer, device: torch.device
) -> dict[str, float]:
    camera = renderer.cameras[0]
    assert isinstance(camera, Camera)  # benchmarks have no lidars
    return {
        "traversal_rays_per_second": traversal_rays_per_second(scenes, views, camera, device),
        "copy_bytes_per_second": copy_bytes_per_second(device),
    }


def random_views(scenes: list[Scene], count: int, seed: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Draw batches of views: poses `[count, 7]` on walkable floor, and scene indices `[count]`.

    Every scene has an equal share of the views.
    """
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(_BATCHES):
        poses, scene_index = sample_views(scenes, count, rng)
        order = torch.as_tensor(rng.permutation(count))
        batches.append((poses[order].to(device), scene_index[order].to(device)))
    return batches
