"""How long the parts of an update take, on whatever device."""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Marks moments without waiting for the device; `laps` reads the seconds between them."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._marks: list[float | torch.cuda.Event] = []

    def mark(self) -> None:
        """Now: on a GPU, when it has done all that was asked of it so far."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def laps(self) -> list[float]:
        """Seconds from each mark to the next. On a GPU this waits for the last one."""
        if self._on_gpu:
            self._marks[-1].synchronize()
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return [a.elapsed_time(b) / 1000 if self._on_gpu else b - a for a, b in pairs]
