"""The functions of libEGL that moderngl does not offer, called through ctypes."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from batchsim.errors import RenderError

INSTALL_NVIDIA_EGL = (
    "Install NVIDIA's driver with its EGL libraries (in containers: NVIDIA_DRIVER_CAPABILITIES=graphics,compute and "
    "a file 10_nvidia.json in /usr/share/glvnd/egl_vendor.d), or use device='cpu'."
)

_DRAW, _READ = 0x3059, 0x305A


class Egl:
    """libEGL. Raises `RenderError` if the library cannot be loaded."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("EGL") or "libEGL.so.1"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise RenderError(f"EGL cannot be loaded ({error}). {INSTALL_NVIDIA_EGL}") from error
        handle = ctypes.c_void_p
        for function, result, arguments in (
            ("eglGetProcAddress", handle, [ctypes.c_char_p]),
            ("eglGetCurrentContext", handle, []),
            ("eglGetCurrentDisplay", handle, []),
            ("eglGetCurrentSurface", handle, [ctypes.c_int]),
            ("eglMakeCurrent", ctypes.c_uint, [handle] * 4),
        ):
            entry = getattr(self._library, function)
            entry.restype, entry.argtypes = result, arguments

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any] | None:
        """Returns the EGL or OpenGL function `name`, or None if the driver does not have it."""
        address = self._library.eglGetProcAddress(name.encode())
        return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Makes what is current in this thread now (maybe nothing) current again after the block."""
        library = self._library
        before, display = library.eglGetCurrentContext(), library.eglGetCurrentDisplay()
        surfaces = library.eglGetCurrentSurface(_DRAW), library.eglGetCurrentSurface(_READ)
        try:
            yield
        finally:
            if library.eglGetCurrentContext() != before:
                library.eglMakeCurrent(display or library.eglGetCurrentDisplay(), *surfaces, before)


@cache
def load_egl() -> Egl:
    """Returns libEGL, loaded once. Raises `RenderError` if it cannot be loaded."""
    return Egl()
