"""Timing: repeats of a piece of work, warm-up left out, the device finished at both ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

_MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat of `steps` steps."""

    steps: int
    seconds: tuple[float, ...]

    def rates(self, frames_per_step: int) -> tuple[float, float, float]:
        """Frames a second: median, lowest and highest of the repeats."""
        rates = [self.steps * frames_per_step / s for s in self.seconds]
        return statistics.median(rates), min(rates), max(rates)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """What waits until `device` has done all it was asked for."""
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
    """Time `repeats` runs of `step` called again and again.

    - `steps`: calls a run; None takes as many as fill about `seconds`.

    The first calls are not counted: they compile, and fill caches.
    """
    _run(step, synchronize, 2)
    # A slow step is known after one call; a fast one needs several for a duration that means something.
    warm_steps, taken = 1, _run(step, synchronize, 1)
    while taken < 0.2 * seconds and warm_steps < _MAX_STEPS:
        warm_steps *= 4
        taken = _run(step, synchronize, warm_steps)
    if steps is None:
        steps = max(1, min(_MAX_STEPS, round(seconds * warm_steps / taken)))
    return Timing(steps, tuple(_run(step, synchronize, steps) for _ in range(repeats)))


def time_single_steps(step: Callable[[], object], synchronize: Callable[[], None], steps: int) -> dict[str, float]:
    """Seconds of the "median" and of the "longest" of `steps` steps, the device finished after each."""
    seconds = [_run(step, synchronize, 1) for _ in range(steps)]
    return {"median": statistics.median(seconds), "longest": max(seconds)}


def _run(step: Callable[[], object], synchronize: Callable[[], None], steps: int) -> float:
    synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize()
    return time.perf_counter() - start


class Stopwatch:
    """Wraps a function so that the time spent in it adds up, the device finished at both ends of every call."""

    def __init__(self, function: Callable, synchronize: Callable[[], None]) -> None:
        self.seconds = 0.0
        self._function = function
        self._synchronize = synchronize

    def __call__(self, *arguments, **named):
        """Call the function and add the time it took."""
        self._synchronize()
        start = time.perf_counter()
        result = self._function(*arguments, **named)
        self._synchronize()
        self.seconds += time.perf_counter() - start
        return result


class EventWatch:
    """The same on CUDA without a wait: events on torch's current stream before and after each call.

    What is added up is the device's time between the two, drawing by OpenGL included, since torch's stream waits for
    it where images change hands. Reading `seconds` waits for the device.
    """

    def __init__(self, function: Callable) -> None:
        self._function = function
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __call__(self, *arguments, **named):
        """Call the function between two events."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        result = self._function(*arguments, **named)
        end.record()
        self._pairs.append((begin, end))
        return result

    @property
    def seconds(self) -> float:
        """Device time of all calls so far."""
        torch.cuda.synchronize()
        return sum(begin.elapsed_time(end) for begin, end in self._pairs) / 1e3


class Stages:
    """Times what methods take while steps run, in a run of its own: the watching may slow the steps down.

    `methods`: of each stage, by its name, the (object, name of its method) that it is made of. Between `with` they are
    wrapped.
    """

    def __init__(self, device: torch.device, **methods: Sequence[tuple[object, str]]) -> None:
        self._device = device
        self._methods = methods
        self.watches: dict[str, list[Stopwatch | EventWatch]] = {}

    def __enter__(self) -> Stages:
        for stage, methods in self._methods.items():
            self.watches[stage] = [self.watch(getattr(owner, name)) for owner, name in methods]
            for (owner, name), watch in zip(methods, self.watches[stage], strict=True):
                setattr(owner, name, watch)
        return self

    def __exit__(self, *_: object) -> None:
        for methods in self._methods.values():
            for owner, name in methods:
                delattr(owner, name)  # the class's own method shows again

    def seconds(self, stage: str) -> float:
        """Time spent in the methods of `stage`; 0 for a stage that was not watched."""
        return sum(watch.seconds for watch in self.watches.get(stage, ()))

    def watch(self, function: Callable) -> Stopwatch | EventWatch:
        """What times calls of `function` as this device is best timed."""
        return EventWatch(function) if self._device.type == "cuda" else Stopwatch(function, synchronizer(self._device))
