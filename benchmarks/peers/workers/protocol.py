"""The protocol of the workers: run on request, report frames and seconds. Standard library only.

A worker prepares and warms up, then prints one line of JSON with facts about its work. For each line with a number of
seconds on standard input it prints a line `{"frames": ..., "seconds": ...}`. It exits at the end of its input. It is
idle between requests, so that workers can be measured in alternation on one machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(work: Callable[[], int], facts: dict[str, Any], warm_up: float = 1.0) -> None:
    """Answer requests by calling `work` repeatedly; `work` returns the frames of one call."""
    _repeat(work, warm_up)
    _say({"facts": facts})
    for line in sys.stdin:
        frames, seconds = _repeat(work, float(line))
        _say({"frames": frames, "seconds": seconds})


def _repeat(work: Callable[[], int], seconds: float) -> tuple[int, float]:
    frames, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds or not frames:
        frames += work()
    return frames, taken


def _keep_stdout() -> Any:
    """Reserve standard output for answers; output of libraries goes to stderr."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


_answers = _keep_stdout()


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), file=_answers, flush=True)
