"""Timing: repeated runs after warm-up, with the device synchronized at both ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

_MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Timing:
    """Duration of each run of `steps` steps, in seconds."""

    steps: int
    seconds: tuple[float, ...]

    def rates(self, frames_per_step: int) -> tuple[float, float, float]:
        """Return the median, lowest and highest frames per second over the runs."""
        rates = [self.steps * frames_per_step / s for s in self.seconds]
        return statistics.median(rates), min(rates), max(rates)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until `device` has finished all queued work."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def time_steps(
    step: Callable[[], object],
    synchronize: Callable[[], None],
    repeats: int,
    seconds: float,
    steps: int | None = None,
) -> Timing:
    """Time `repeats` runs of calls of `step`.

    Calls before the first run are warm-up: they compile kernels and fill caches.

    Args:
        step: The function to time.
        synchronize: Waits for the device; see `synchronizer`.
        repeats: Number of runs.
        seconds: Approximate length of a run, if `steps` is None.
        steps: Calls per run.
    """
    _run(step, synchronize, 2)
    # One call is enough to time a slow step; a fast step needs many for a meaningful duration.
    warm_steps, taken = 1, _run(step, synchronize, 1)
    while taken < 0.2 * seconds and warm_steps < _MAX_STEPS:
        warm_steps *= 4
        taken = _run(step, synchronize, warm_steps)
    if steps is None:
        steps = max(1, min(_MAX_STEPS, round(seconds * warm_steps / taken)))
    return Timing(steps, tuple(_run(step, synchronize, steps) for _ in range(repeats)))


def time_single_steps(step: Callable[[], object], synchronize: Callable[[], None], steps: int) -> dict[str, float]:
    """Return the "median" and the "longest" duration in seconds of `steps` single, synchronized steps."""
    seconds = [_run(step, synchronize, 1) for _ in range(steps)]
    return {"median": statistics.median(seconds), "longest": max(seconds)}


def _run(step: Callable[[], object], synchronize: Callable[[], None], steps: int) -> float:
    synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize()
    return time.perf_counter() - start


class CallTimer:
    """Wraps a function and sums the time spent in it; the device is synchronized around every call."""

    def __init__(self, function: Callable[..., Any], synchronize: Callable[[], None]) -> None:
        self.seconds = 0.0
        self._function = function
        self._synchronize = synchronize

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function and add its duration to `seconds`."""
        self._synchronize()
        start = time.perf_counter()
        result = self._function(*arguments, **named)
        self._synchronize()
        self.seconds += time.perf_counter() - start
        return result


class CudaCallTimer:
    """Wraps a function and sums its device time on the CUDA device `device`, without synchronizing around each call.

    Events are recorded on torch's current stream before and after each call. OpenGL's work is included, because the
    stream waits for it when images are handed over. Reading `seconds` synchronizes.
    """

    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        self._function = function
        self._device = device
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function between two events."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        stream = torch.cuda.current_stream(self._device)
        begin.record(stream)
        result = self._function(*arguments, **named)
        end.record(stream)
        self._pairs.append((begin, end))
        return result

    @property
    def seconds(self) -> float:
        """Device time of all calls so far, in seconds."""
        torch.cuda.synchronize(self._device)
        return sum(begin.elapsed_time(end) for begin, end in self._pairs) / 1e3


class Stages:
    """Context manager that times methods by stage.

    Use it in a separate run, because timing slows the steps down.

    Args:
        device: Where the work runs.
        methods: For each stage, the (object, method name) pairs that it consists of.
    """

    def __init__(self, device: torch.device, methods: Mapping[str, Sequence[tuple[object, str]]]) -> None:
        self._device = device
        self._methods = methods
        self._timers: dict[str, list[CallTimer | CudaCallTimer]] = {}

    def __enter__(self) -> Stages:
        for stage, methods in self._methods.items():
            self._timers[stage] = [self.timer(getattr(owner, name)) for owner, name in methods]
            for (owner, name), timer in zip(methods, self._timers[stage], strict=True):
                setattr(owner, name, timer)
        return self

    def __exit__(self, *_: object) -> None:
        for methods in self._methods.values():
            for owner, name in methods:
                delattr(owner, name)  # restores the method of the class

    def seconds(self, stage: str) -> float:
        """Return the time spent in the methods of `stage`; 0 for an unknown stage."""
        return sum(timer.seconds for timer in self._timers.get(stage, ()))

    def timer(self, function: Callable[..., Any]) -> CallTimer | CudaCallTimer:
        """Wrap `function` in the timer that suits the device."""
        if self._device.type == "cuda":
            return CudaCallTimer(function, self._device)
        return CallTimer(function, synchronizer(self._device))
