"""What every example must do: end within 10 s and 2 GB, with a result or with the project's own error on one line.

The 10 s are processor time, so that a busy machine fails no test. What waits for ever is stopped after two minutes.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gymnasium.error import Error as GymnasiumError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchsim import BatchSimError
from batchsim.agents.errors import AgentError
from batchsim.scenes import SceneError

OWN_ERRORS = (SceneError, BatchSimError, AgentError, GymnasiumError)
MOST_SECONDS = 10
MOST_WAITING_SECONDS = 120
MOST_BYTES = 2 << 30


class TookTooLong(BaseException):
    """Not an `Exception`, so that no reader turns it into an error of its own."""


def examples(short: int, full: int) -> pytest.MarkDecorator:
    """Gives a test the argument `count`: `short`, and `full` if slow tests are asked for."""
    return pytest.mark.parametrize("count", [short, pytest.param(full, marks=pytest.mark.slow)])


def fuzz(count: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Calls `check` with `count` values of `strategy`, and limits each call's time and all calls' memory."""

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def every(value: Any) -> None:
        with within_seconds():
            check(value)

    with within_bytes():
        every()


@contextmanager
def within_seconds() -> Iterator[None]:
    """Raises `TookTooLong` after `MOST_SECONDS` of processor time, even in a loop that does not end."""

    def stop(number: int, frame: Any) -> None:
        raise TookTooLong(f"not done within {MOST_SECONDS} s")

    limits = (
        (signal.SIGPROF, signal.ITIMER_PROF, MOST_SECONDS),
        (signal.SIGALRM, signal.ITIMER_REAL, MOST_WAITING_SECONDS),
    )
    before = {number: signal.signal(number, stop) for number, _, _ in limits}
    started = time.process_time()
    for _, timer, seconds in limits:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, timer, _ in limits:
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
    assert time.process_time() - started < MOST_SECONDS  # a library may have kept the signal waiting


@contextmanager
def within_bytes() -> Iterator[None]:
    """Fails if the process's memory grows by `MOST_BYTES` meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak (VmHWM) to the present size
    before = _status("VmHWM")
    yield
    assert _status("VmHWM") - before < MOST_BYTES


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) << 10


def own_error(action: Callable[[], Any], folder: Path | None = None) -> Exception | None:
    """Runs `action`, and returns the project's error that it raised, checked; other exceptions pass through.

    Args:
        action: What is tried.
        folder: If given, the error's message must name it or a file in it.
    """
    try:
        action()
    except OWN_ERRORS as raised:
        error = raised
    else:
        return None
    assert len(str(error).splitlines()) == 1, repr(str(error))
    assert folder is None or str(folder) in str(error), str(error)
    return error
