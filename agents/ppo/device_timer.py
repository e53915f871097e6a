"""Measures how long the parts of an update take, on the CPU or a GPU."""

from __future__ import annotations

import time
from itertools import pairwise

import torch


class DeviceTimer:
    """Marks moments without waiting for the device; `laps` returns the seconds between them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on_gpu = device.type == "cuda"
        self._times: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def mark(self) -> None:
        """Marks this moment. On a GPU it is the moment when all work queued so far is done."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._device))
            self._events.append(event)
        else:
            self._times.append(time.perf_counter())

    def laps(self) -> list[float]:
        """Returns the seconds from each mark to the next. On a GPU this waits for the last mark."""
        if not self._on_gpu:
            return [after - before for before, after in pairwise(self._times)]
        self._events[-1].synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(self._events)]
