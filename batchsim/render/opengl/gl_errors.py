"""Turns OpenGL's errors into `RenderError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import moderngl

from batchsim.errors import RenderError
from batchsim.render.opengl.context import activated

_CONTEXT_LOST = (
    "The context is lost: the GPU was reset, the driver was replaced, or the machine slept. Close this renderer (or "
    "environment) and make a new one; training continues with --resume. If it happens again, look for the driver's "
    "message in `dmesg`."
)
_REMEDIES = {
    "GL_OUT_OF_MEMORY": "The device has no memory left: use fewer views, smaller images or fewer resident scenes.",
    "GL_CONTEXT_LOST": _CONTEXT_LOST,
    "GL_UNKNOWN_ERROR": _CONTEXT_LOST,  # what moderngl before 5.13 calls a lost context
}
_UNEXPECTED = (
    "Make a new renderer. If it happens again, try device='cpu' with LIBGL_ALWAYS_SOFTWARE=1 in the environment: if "
    "that works, the GPU's driver is at fault."
)


@contextmanager
def checked(context: moderngl.Context, doing: str) -> Iterator[None]:
    """Makes `context` current for a block and checks it for OpenGL errors at the end, without a wait for the device.

    Args:
        context: Made by `create_context`.
        doing: What the block does, for the error message.

    Raises:
        RenderError: The context cannot be made current, another thread is using it, it was made before a fork, or
            OpenGL reports an error.
    """
    try:
        with activated(context):
            yield
            error = context.error
    except moderngl.Error as failure:
        raise RenderError(f"OpenGL failed while {doing}: {failure}. {_UNEXPECTED}") from failure
    except Exception as failure:
        if type(failure) is not Exception:  # glcontext raises bare Exception for a context it cannot make current
            raise
        raise RenderError(f"OpenGL failed while {doing}: {failure}. {_CONTEXT_LOST}") from failure
    if error != "GL_NO_ERROR":
        raise RenderError(f"OpenGL reports {error} while {doing}. {_REMEDIES.get(error, _UNEXPECTED)}")
