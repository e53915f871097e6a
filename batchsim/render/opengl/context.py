"""The headless OpenGL context: found, checked, and explained when it cannot be had."""

from __future__ import annotations

import moderngl
import torch

from batchsim.errors import RenderError
from batchsim.render.opengl.egl_device import check_device, egl_index_for_cuda

MINIMUM_VERSION = 430  # compute shaders, shader storage blocks, multi-draw-indirect

_INSTALL = (
    "Install a driver with EGL: on Debian or Ubuntu `apt-get install libegl1 libgl1 libgl1-mesa-dri` for the CPU "
    "(Mesa's llvmpipe), or NVIDIA's driver with its EGL libraries (in containers: "
    "NVIDIA_DRIVER_CAPABILITIES=graphics,compute)."
)


def create_context(device: str | torch.device = "cpu") -> moderngl.Context:
    """A new standalone EGL context of at least OpenGL 4.3; for a CUDA `device` (with its number) one that draws there.

    Raises `RenderError` where EGL is missing, the driver too old, or `device` not to be had; the message names the
    packages to install.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return _create_context()
    context = _create_context(device_index=egl_index_for_cuda(device.index))
    try:
        with context:
            check_device(context, device.index)
    except BaseException:
        context.release()
        raise
    return context


def _create_context(**options: int) -> moderngl.Context:
    try:
        context = moderngl.create_context(standalone=True, backend="egl", **options)
    except Exception as error:  # glcontext raises bare Exception for every failure
        raise RenderError(f"No headless OpenGL context could be made ({error}). {_INSTALL}") from error
    if context.version_code < MINIMUM_VERSION:
        found = context.version_code
        context.release()
        raise RenderError(
            f"OpenGL {found // 100}.{found % 100 // 10} is too old: batchsim needs 4.3 or later. {_INSTALL}"
        )
    return context


def renderer_name(context: moderngl.Context) -> str:
    """The driver's own name of what draws, such as "llvmpipe (LLVM 15.0.6, 256 bits)"."""
    return str(context.info["GL_RENDERER"])
