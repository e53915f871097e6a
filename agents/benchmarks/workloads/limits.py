"""Upper bounds of this machine: rays traversed, bytes copied, floating-point operations per second.

They show how much of the machine a benchmark uses. They are measured rather than taken from a data sheet, because a
shared CPU or a GPU at its power limit reaches less.
"""

from __future__ import annotations

import moderngl
import torch
from torch import Tensor

from batchsim.agents.benchmarks.measure import Timing, synchronizer, time_steps
from batchsim.render.camera import Camera
from batchsim.render.opengl.context import create_context
from batchsim.render.raycast import RaycastBackend
from batchsim.render.scene_data.gpu_arrays import SceneParts, prepare_scene
from batchsim.render.scene_data.scene_buffers import SceneBuffers
from batchsim.scenes import Scene

_SECONDS, _REPEATS = 0.2, 3
_COPIED_BYTES = 1 << 28  # larger than any cache
_MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}


def traversal_rays_per_second(
    scenes: list[Scene], views: tuple[Tensor, Tensor], camera: Camera, device: torch.device
) -> float:
    """Measure the rays per second of the ray casting backend alone.

    It draws the same views again and again: depth only, without shading, without upload of poses and without
    hand-over of images to torch.

    Args:
        scenes: The scenes to draw.
        views: Poses `[N, 7]` and scene indices `[N]`.
        camera: The camera of all views.
        device: Where to draw.
    """
    poses, scene_index = (tensor.cpu() for tensor in views)
    count = len(poses)
    packed = torch.cat((poses[:, :3], scene_index.to(torch.int32).view(torch.float32)[:, None], poses[:, 3:]), 1)
    context = create_context(device)
    try:
        with context:
            timing = _traverse(context, scenes, packed, camera)
    finally:
        context.release()
    return _best_rate(timing, count * camera.width * camera.height)


def _traverse(context: moderngl.Context, scenes: list[Scene], packed: Tensor, camera: Camera) -> Timing:
    count = len(packed)
    records = context.buffer(packed.numpy().tobytes())
    depth = context.buffer(reserve=4 * count * camera.width * camera.height)
    buffers = SceneBuffers(context, [prepare_scene(scene, SceneParts(tree=True)) for scene in scenes])
    backend = RaycastBackend(context, buffers, count, camera, records, {"depth": depth})
    try:
        return time_steps(lambda: backend.render(count), context.finish, _REPEATS, _SECONDS)
    finally:
        backend.release()
        buffers.release()
        for buffer in (records, depth):
            buffer.release()


def copy_bytes_per_second(device: torch.device) -> float:
    """Measure the bytes per second that a large copy reads and writes, both counted."""
    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    timing = time_steps(lambda: target.copy_(source), synchronizer(device), _REPEATS, _SECONDS)
    return _best_rate(timing, 2 * _COPIED_BYTES)


def matmul_flops_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the FLOP/s of a product of large square matrices of `dtype`; a multiply-add counts as two."""
    side = _MATRIX_SIDE["cuda" if device.type == "cuda" else "cpu"]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    timing = time_steps(lambda: torch.mm(left, right, out=out), synchronizer(device), _REPEATS, _SECONDS)
    return _best_rate(timing, 2 * side**3)


def _best_rate(timing: Timing, work_per_step: int) -> float:
    """Return the rate of the fastest run: noise can only make a run slower."""
    return timing.rates(work_per_step)[2]
