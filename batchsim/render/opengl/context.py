"""Headless OpenGL contexts: how they are made, used and released."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import moderngl
import torch

from batchsim.errors import RenderError
from batchsim.render.opengl.egl import load_egl
from batchsim.render.opengl.egl_device import check_device, egl_index_for_cuda

MINIMUM_VERSION = 430  # compute shaders, shader storage blocks, multi-draw-indirect

_INSTALL = (
    "Install a driver with EGL: on Debian or Ubuntu `apt-get install libegl1 libgl1 libgl1-mesa-dri` for the CPU "
    "(Mesa's llvmpipe), or NVIDIA's driver with its EGL libraries (in containers: "
    "NVIDIA_DRIVER_CAPABILITIES=graphics,compute)."
)
_FORKED = (
    "OpenGL was used in this process's parent before the process was forked, and an OpenGL driver does not survive a "
    'fork: any call would hang. Start worker processes with context="spawn", as in AsyncVectorEnv(env_fns, '
    'context="spawn") or multiprocessing.get_context("spawn"), or fork before the first renderer is made.'
)

_process_with_opengl: int | None = None
"""The process in which the first context was made."""

_active = threading.local()
"""Its attribute `context` is what `activated` has made current in a thread."""


@dataclass
class _Use:
    """Who may use a context: the process that made it, one thread at a time."""

    process: int = field(default_factory=os.getpid)
    lock: Any = field(default_factory=threading.RLock)
    thread: str = ""


def create_context(device: str | torch.device = "cpu") -> moderngl.Context:
    """Makes a standalone EGL context of OpenGL 4.3 or later; it is not current afterwards.

    Args:
        device: The context draws on this device. A CUDA device must have an index.

    Raises:
        RenderError: EGL is missing, the driver is too old or cannot draw on `device` (the message names the packages
            to install), or the process was forked after OpenGL was used.
    """
    global _process_with_opengl
    if _process_with_opengl not in (None, os.getpid()):
        raise RenderError(_FORKED)
    _process_with_opengl = os.getpid()
    device = torch.device(device)
    options = {"device_index": egl_index_for_cuda(device.index)} if device.type == "cuda" else {}
    with load_egl().preserved():
        context = _create_context(**options)
        context.extra = _Use()
        try:
            with activated(context):
                _forget_errors_of_queries(context)
                if device.type == "cuda":
                    check_device(context, device.index)
        except BaseException:
            release_context(context)
            raise
    return context


def _create_context(**options: int) -> moderngl.Context:
    try:
        # NVIDIA's driver makes exactly the version asked for. moderngl's stubs know neither of the two settings.
        context = moderngl.create_context(
            require=MINIMUM_VERSION,
            standalone=True,
            backend="egl",  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
    except Exception as error:  # glcontext raises bare Exception for every failure
        found = _default_version(**options)
        if found is not None and found < MINIMUM_VERSION:
            raise _too_old(found) from error
        raise RenderError(f"No headless OpenGL context could be made ({error}). {_INSTALL}") from error
    if context.version_code < MINIMUM_VERSION:
        found = context.version_code
        context.release()
        raise _too_old(found)
    return context


def _default_version(**options: int) -> int | None:
    """Returns the OpenGL version code that the driver gives to those who ask for 3.3, or None if it gives none."""
    try:
        context = moderngl.create_context(standalone=True, backend="egl", **options)  # type: ignore[arg-type]
    except Exception:
        return None
    found = context.version_code
    context.release()
    return found


def _too_old(found: int) -> RenderError:
    return RenderError(f"OpenGL {found // 100}.{found % 100 // 10} is too old: batchsim needs 4.3 or later. {_INSTALL}")


def _forget_errors_of_queries(context: moderngl.Context) -> None:
    """Makes moderngl query all limits now: it keeps them, but leaves an error for each one the driver does not know."""
    assert context.info
    for _ in range(100):
        if context.error == "GL_NO_ERROR":
            return


def is_from_before_fork(context: moderngl.Context) -> bool:
    """Whether `context` was made in the parent of this process, before the fork."""
    use = getattr(context, "extra", None)
    return isinstance(use, _Use) and use.process != os.getpid()


@contextmanager
def exclusive(context: moderngl.Context) -> Iterator[None]:
    """Reserves `context` for the calling thread.

    Raises:
        RenderError: Another thread uses the context, or it was made before this process was forked.
    """
    use = getattr(context, "extra", None)
    if not isinstance(use, _Use):
        yield
        return
    if is_from_before_fork(context):
        raise RenderError(_FORKED)
    if not use.lock.acquire(blocking=False):
        raise RenderError(
            f"Thread {threading.current_thread().name!r} uses a renderer that thread {use.thread!r} is using. A "
            "renderer (or environment) serves one thread at a time: make one for each thread, or guard it with a lock."
        )
    use.thread = threading.current_thread().name
    try:
        yield
    finally:
        use.lock.release()


@contextmanager
def activated(context: moderngl.Context) -> Iterator[None]:
    """Reserves `context` and makes it current in this thread; what was current before is current again afterwards.

    Raises `RenderError` as `exclusive` does, and whatever moderngl raises if the context cannot be made current.
    """
    with exclusive(context):
        outer = getattr(_active, "context", None)
        if outer is context:  # leaving the inner block would leave no context current
            yield
            return
        with load_egl().preserved(), context:
            _active.context = context
            try:
                yield
            finally:
                _active.context = outer


def release_context(context: moderngl.Context) -> None:
    """Releases `context`. The context that is current in this thread stays current, unless it is the released one.

    In a forked child it does nothing: the context belongs to the parent.
    """
    if is_from_before_fork(context):
        return
    with load_egl().preserved():
        context.release()


def renderer_name(context: moderngl.Context) -> str:
    """Returns the driver's name for what draws, such as "llvmpipe (LLVM 15.0.6, 256 bits)"."""
    return str(context.info["GL_RENDERER"])
