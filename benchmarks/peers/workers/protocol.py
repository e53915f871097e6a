"""What all workers share: run on request, say how much was done in how long. Standard library only.

A worker prepares its work and warms up, then prints one line of JSON with facts about it, and waits. To every line
with a number of seconds on its standard input it answers with a line `{"frames": ..., "seconds": ...}`; at the end of
its input it leaves. Between requests it does nothing, so that workers can take turns on the same machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(work: Callable[[], int], facts: dict[str, Any], warm_up: float = 1.0) -> None:
    """Answer requests by calling `work` again and again; it returns the frames of one call."""
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
    """The standard output for answers alone: what libraries print goes to stderr."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


_answers = _keep_stdout()


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), file=_answers, flush=True)
