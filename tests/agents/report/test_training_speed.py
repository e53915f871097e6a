"""What the report says of the speed of a training run."""

from __future__ import annotations

import pytest

from batchsim.agents.report.training_speed import busy_text, frames_text


def _log(*pieces: tuple[float, float], every: float = 8.0) -> list[dict[str, float]]:
    """Log lines of a run that trains for some seconds at some frames/s, for each of `pieces`."""
    seconds, frames, lines = 0.0, 0.0, []
    for length, speed in pieces:
        for _ in range(round(length / every)):
            seconds, frames = seconds + every, frames + every * speed
            lines.append({"seconds": seconds, "frames": frames})
    return lines


def test_a_machine_that_becomes_busy_is_named():
    # 56 s at 4,000 frames/s are the last line of the first minute; then 600 s at 1,000.
    assert busy_text(_log((56, 4000), (600, 1000))) == "busy: 1,000 frames/s after 4,000 in the first minute"


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(_log((660, 4000)), id="steady"),
        pytest.param(_log((56, 4000), (600, 2800)), id="a little slower"),
        pytest.param(_log((56, 1000), (600, 4000)), id="faster"),
        pytest.param(_log((24, 4000)), id="shorter than a minute"),
        pytest.param([], id="no log"),
        pytest.param([{"eval_success": 0.5}, {"seconds": float("nan"), "frames": 3}], id="no figures"),
        pytest.param([{"seconds": 0.0, "frames": 0}, {"seconds": 100.0, "frames": 10}], id="no time"),
    ],
)
def test_other_runs_get_no_note(log: list[dict[str, float]]):
    assert busy_text(log) is None


def test_frames_show_what_the_time_limit_cut_off():
    assert frames_text(690_000, {"total_frames": 4_000_000}) == "690k of 4M planned"
    assert frames_text(4_000_768, {"total_frames": 4_000_000}) == "4M"
    assert frames_text(690_000, {}) == "690k"
