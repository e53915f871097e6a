"""Timing: repeats of a piece of work, warm-up left out, the device finished at both ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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
