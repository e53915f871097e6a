"""Clears single attachments of the bound framebuffer, which moderngl cannot.

moderngl clears all attachments by glClear, whose effect on attachments of whole numbers is undefined.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from batchsim.errors import RenderError
from batchsim.render.opengl.egl import load_egl

_COLOR, _DEPTH = 0x1800, 0x1801


def clear_depth(depth: float) -> None:
    """Sets the bound framebuffer's depth buffer, inside the scissor, to `depth`."""
    _function("glClearBufferfv", ctypes.c_float)(_DEPTH, 0, (ctypes.c_float * 1)(depth))


def clear_unsigned(attachment: int) -> None:
    """Sets a colour attachment of unsigned whole numbers, inside the scissor, to 0."""
    _function("glClearBufferuiv", ctypes.c_uint)(_COLOR, attachment, (ctypes.c_uint * 4)())


@cache
def _function(name: str, number: Any) -> Any:
    function = load_egl().function(name, None, ctypes.c_uint, ctypes.c_int, ctypes.POINTER(number))
    if function is None:
        raise RenderError(f"The OpenGL driver has no {name}, which OpenGL 4.3 requires.")
    return function
