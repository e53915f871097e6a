"""Facts about the speed of a training run: how many frames it saw, how fast, and whether the machine was busy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchsim.agents.report.formatting import finite, short_number

_FIRST_SECONDS = 60.0
_BUSY = 0.6
"""Share of the speed of the first minute below which the machine is called busy. Beside one busy process per core
training keeps about 0.59 of its speed; episodes that grow longer change it by a few percent."""


def frames_text(frames: float, config: Mapping[str, Any]) -> str:
    """Returns the number of frames; also the planned number if training reached its time limit first."""
    planned = config.get("total_frames")
    if isinstance(planned, int) and frames < planned:
        return f"{short_number(frames)} of {short_number(planned)} planned"
    return short_number(frames)


def busy_text(curves: Sequence[Mapping[str, Any]]) -> str | None:
    """Returns a note if training was much slower than in its first minute; None if it was not.

    Args:
        curves: The lines of the training log; those without `frames` and `seconds` are ignored.
    """
    points = [(float(line["seconds"]), float(line["frames"])) for line in curves if _has_both(line)]
    first = [point for point in points if point[0] <= _FIRST_SECONDS] or points[:1]
    if not points or points[-1] == first[-1] or first[-1][0] <= 0:
        return None
    (begin, begin_frames), (end, end_frames) = first[-1], points[-1]
    if end <= begin:
        return None
    early, later = begin_frames / begin, (end_frames - begin_frames) / (end - begin)
    if later >= _BUSY * early:
        return None
    return f"busy: {later:,.0f} frames/s after {early:,.0f} in the first minute"


def _has_both(line: Mapping[str, Any]) -> bool:
    return finite(line.get("seconds")) is not None and finite(line.get("frames")) is not None
