"""The headless OpenGL context: found, checked, and explained when it cannot be had."""

from __future__ import annotations

import moderngl

from batchsim.errors import RenderError

MINIMUM_VERSION = 430  # compute shaders, shader storage blocks, multi-draw-indirect

_INSTALL = (
    "Install a driver with EGL: on Debian or Ubuntu `apt-get install libegl1 libgl1-mesa-dri` for the CPU (Mesa's "
    "llvmpipe), or NVIDIA's driver with its EGL libraries (in containers: NVIDIA_DRIVER_CAPABILITIES=graphics,compute)."
)


def create_context() -> moderngl.Context:
    """A new standalone EGL context of at least OpenGL 4.3.

    Raises `RenderError` where EGL is missing or the driver too old; the message names the packages to install.
    """
    try:
        context = moderngl.create_context(standalone=True, backend="egl")
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
