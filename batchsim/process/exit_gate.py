"""Keeps daemon threads from stepping environments while the program exits.

When Python exits, it ends daemon threads in the middle of what they do. In torch's and OpenGL's code that aborts the
whole process (exit code 134). So before the exit, steps that are under way are completed, and no new ones begin.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST_STEP = 30.0  # seconds

_running: set[int] = set()
"""The threads that are inside a gated method."""
_is_closed = False


def gated(method: Callable[P, R]) -> Callable[P, R]:
    """Completes calls of `method` in daemon threads before the program exits, and blocks later ones forever."""

    @wraps(method)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        thread = threading.get_ident()
        if thread in _running:  # a gated method that another one calls
            return method(*arguments, **named)
        _running.add(thread)
        try:
            if _is_closed and threading.current_thread().daemon:
                _running.discard(thread)
                threading.Event().wait()
            return method(*arguments, **named)
        finally:
            _running.discard(thread)

    return call


def close_at_exit() -> None:
    """Closes the gate when the program exits, before everything that was registered earlier."""
    atexit.unregister(_close)
    atexit.register(_close)


def _close() -> None:
    global _is_closed
    _is_closed = True
    own, deadline = {threading.get_ident()}, time.monotonic() + _LONGEST_STEP
    while _running - own and time.monotonic() < deadline:
        time.sleep(0.001)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)  # a child has none of its parent's other threads
