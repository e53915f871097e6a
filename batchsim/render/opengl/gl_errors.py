"""Nothing that goes wrong inside OpenGL goes unnoticed, and all of it comes out as `RenderError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import moderngl

from batchsim.errors import RenderError

_LOST = "GL_UNKNOWN_ERROR"  # moderngl's name for what it does not know, such as GL_CONTEXT_LOST
_REMEDIES = {
    "GL_OUT_OF_MEMORY": "The device has no memory left: ask for fewer views, smaller images or fewer resident scenes.",
    _LOST: (
        "The context is probably lost: the GPU was reset, the driver replaced, or the machine slept. Close this "
        "renderer (or environment) and make a new one; training goes on with --resume. If it happens again, look for "
        "the driver's message in `dmesg`."
    ),
}
_UNEXPECTED = (
    "Make a new renderer; if it happens again, try device='cpu' with LIBGL_ALWAYS_SOFTWARE=1 in the environment: where "
    "that works it is the driver's fault."
)


@contextmanager
def checked(context: moderngl.Context, doing: str) -> Iterator[None]:
    """Make `context` current; raise `RenderError` if it cannot be, or if OpenGL reports an error meanwhile.

    Asking for errors does not make the host wait for the device.
    """
    try:
        with context:
            yield
            error = context.error
    except moderngl.Error as failure:
        raise RenderError(f"OpenGL failed while {doing}: {failure}. {_UNEXPECTED}") from failure
    except Exception as failure:
        if type(failure) is not Exception:  # which is what a context raises that cannot be made current
            raise
        raise RenderError(f"OpenGL failed while {doing}: {failure}. {_REMEDIES[_LOST]}") from failure
    if error != "GL_NO_ERROR":
        raise RenderError(f"OpenGL reports {error} while {doing}. {_REMEDIES.get(error, _UNEXPECTED)}")
