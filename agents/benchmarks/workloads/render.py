"""The renderer alone: views a second from eye height all over the scenes."""

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
from batchsim.poses import heading_to_quaternion
from batchsim.render.batch_renderer import NO_SCENE
from batchsim.render.opengl.devices import choose_device
from batchsim.scenes import Scene

_EYE_HEIGHT = 1.25  # metres
_BATCHES = 8  # different views, drawn in turn: one batch again and again would flatter the caches


def bench_render(options: BenchOptions) -> BenchRecord:
    """Time `BatchRenderer.render` on views that lie on the device already, into tensors there."""
    device = choose_device(options.device)  # before the scenes, which can take minutes to bake
    scenes = options.load_scenes()
    views = random_views(scenes, options.num_envs, options.seed, device)
    camera = {"width": options.width, "height": options.height}
    renderer = BatchRenderer(
        scenes, options.num_envs, sensors=options.sensors, backend=options.renderer, device=device, **camera
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
            renderer.backend,
            renderer.gl_renderer,
            1e6 / empty.rates(options.num_envs)[0],
            lambda: _limits(scenes, views[0], renderer, device),
        )
    finally:
        renderer.close()


def _limits(
    scenes: list[Scene], views: tuple[Tensor, Tensor], renderer: BatchRenderer, device: torch.device
) -> dict[str, float]:
    return {
        "traversal_rays_per_second": traversal_rays_per_second(scenes, views, renderer.cameras[0], device),
        "copy_bytes_per_second": copy_bytes_per_second(device),
    }


def random_views(scenes: list[Scene], count: int, seed: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Batches of poses `[count, 7]` where somebody can stand, and scene numbers `[count]`; scenes in equal shares."""
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(_BATCHES):
        scene_index = rng.permutation(np.arange(count) % len(scenes))
        feet = np.empty((count, 3), np.float32)
        for number in np.unique(scene_index):
            mine = scene_index == number
            feet[mine] = _places(scenes[number], int(mine.sum()), rng)
        heading = torch.as_tensor(rng.uniform(-np.pi, np.pi, count), dtype=torch.float32)
        eyes = torch.as_tensor(feet) + torch.tensor([0.0, _EYE_HEIGHT, 0.0])
        poses = torch.cat((eyes, heading_to_quaternion(heading)), -1)
        batches.append((poses.to(device), torch.as_tensor(scene_index, dtype=torch.int64).to(device)))
    return batches


def _places(scene: Scene, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points to stand on; the middle of a scene that nobody can walk in."""
    standing = scene.walkable.positions
    if not len(standing):
        return np.broadcast_to(scene.bounds.mean(0), (count, 3))
    return standing[rng.integers(len(standing), size=count)]
