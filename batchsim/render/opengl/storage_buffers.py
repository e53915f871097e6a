"""Shader storage buffers, checked against the driver's limits."""

from __future__ import annotations

import moderngl
import numpy as np

from batchsim.errors import RenderError


def storage_limit(context: moderngl.Context) -> int:
    """Returns how many bytes a shader storage block may have (128 MiB with llvmpipe, 2 GiB and more on GPUs)."""
    return int(context.info["GL_MAX_SHADER_STORAGE_BLOCK_SIZE"])


def check_storage(context: moderngl.Context, what: str, size: int, remedy: str) -> None:
    """Raises `RenderError`, which ends with `remedy`, if `size` bytes of `what` do not fit into one block."""
    limit = storage_limit(context)
    if size > limit:
        raise RenderError(
            f"{what} need {size / 2**20:,.0f} MiB in one buffer, but {context.info['GL_RENDERER']} allows "
            f"{limit / 2**20:,.0f} MiB. {remedy}"
        )


def empty_storage_buffer(context: moderngl.Context, what: str, size: int, remedy: str) -> moderngl.Buffer:
    """Makes an uninitialised buffer of `size` bytes. Raises `RenderError` as `check_storage` does."""
    check_storage(context, what, size, remedy)
    return context.buffer(reserve=max(16, size), dynamic=True)


def filled_storage_buffer(context: moderngl.Context, what: str, data: np.ndarray, remedy: str) -> moderngl.Buffer:
    """Makes a buffer that holds `data`. Raises `RenderError` as `check_storage` does."""
    check_storage(context, what, data.nbytes, remedy)
    return context.buffer(np.ascontiguousarray(data))
