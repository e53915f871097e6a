"""The log of a run: means over every few updates, as lines of log.jsonl and as TensorBoard scalars."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from batchsim.agents.runs.append_file import AppendFile
from batchsim.agents.runs.event_file import EventFile
from batchsim.scenes.atomic_files import atomic_write

# Tags as other trainers use them, so that runs can be compared in TensorBoard.
_TAGS = {
    "success": "charts/success",
    "spl": "charts/spl",
    "reward": "charts/episodic_return",
    "episode_length": "charts/episodic_length",
    "fps": "charts/SPS",
    "learning_rate": "charts/learning_rate",
    "policy_loss": "losses/policy_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "approx_kl": "losses/approx_kl",
    "clip_fraction": "losses/clipfrac",
    "gradient_norm": "losses/gradient_norm",
    "loss": "losses/loss",
    "imitation_loss": "losses/imitation_loss",
    "expert_agreement": "charts/expert_agreement",
    "explained_variance": "losses/explained_variance",
    "us_collect": "performance/us_collect",
    "us_learn": "performance/us_learn",
}
_COUNTERS = ("frames", "updates", "seconds", "scenes_visited", "scene_changes", "scenes_failed")
_UNTAGGED = ("frames", "updates", "seconds", "episodes")


class LogState(msgspec.Struct, frozen=True):
    """The part of a log that a checkpoint keeps, so that a resumed run writes the same lines."""

    frames: int = 0
    """The frames of the last line that covers a whole window of updates."""
    pending: list[dict[str, int | float]] = []
    """The updates since that line."""
    evaluation: dict[str, float | None] = {}
    """The figures of an evaluation that no line contains yet."""


class RunLog:
    """Averages updates over windows of them, and writes the means to `log.jsonl` and TensorBoard.

    Lines that cannot be written, because the disk is full, are written once there is room.

    Args:
        folder: The run folder.
        by_episode: Names of the figures that are means over the episodes that ended.
        window: The number of updates per line.
        state: The log's state in the checkpoint that the run continues from. Later lines in the folder, of a run that
            was stopped or killed, are removed.
    """

    def __init__(self, folder: Path, by_episode: Sequence[str], window: int = 8, state: LogState | None = None) -> None:
        state = state or LogState()
        path = folder / "log.jsonl"
        is_continued = path.exists()
        if is_continued:
            _remove_after(path, state.frames)
        self._file = AppendFile(path)
        self._events = EventFile(folder / "tensorboard", state.frames + 1 if is_continued else None)
        self._by_episode = tuple(by_episode)
        self._window = window
        self._frames = state.frames
        self._pending: list[dict[str, int | float]] = list(state.pending)
        self._evaluation: dict[str, float | None] = dict(state.evaluation)
        self._is_failing = False
        self.latest: dict[str, float | None] = {}

    def state(self) -> LogState:
        """Returns what a checkpoint has to keep."""
        return LogState(self._frames, list(self._pending), dict(self._evaluation))

    def add(self, update: dict[str, int | float]) -> None:
        """Adds one update; the last one of a window writes a line."""
        self._pending.append(update)
        # Counted from the run's first update, so that a resumed run has the same windows.
        if update["updates"] % self._window == 0:
            self._frames = int(update["frames"])
            self._flush()

    def add_evaluation(self, measures: Mapping[str, float]) -> None:
        """Adds an evaluation's means to the next line, as `eval_NAME`, and to TensorBoard as `eval/NAME`."""
        self._evaluation = {f"eval_{name}": v if math.isfinite(v) else None for name, v in measures.items()}

    def close(self) -> None:
        """Writes the updates of an unfinished window, and what could not be written before."""
        if self._pending:
            self._flush()
        elif self._file.has_unwritten:
            self._write(b"", {}, self._frames)
        if self._file.has_unwritten:
            print("Some lines of the log could not be written: there is no room for them.", file=sys.stderr)

    def _flush(self) -> None:
        line: dict[str, float | None] = {**_mean_of(self._pending, self._by_episode), **self._evaluation}
        frames = int(self._pending[-1]["frames"])
        self.latest, self._pending, self._evaluation = line, [], {}
        scalars = {_tag_of(name): value for name, value in line.items() if value is not None and name not in _UNTAGGED}
        self._write((json.dumps(line) + "\n").encode(), scalars, frames)

    def _write(self, line: bytes, scalars: Mapping[str, float], frames: int) -> None:
        errors = []
        for write in (lambda: self._file.append(line), lambda: self._events.add(scalars, frames)):
            try:
                write()
            except OSError as error:
                errors.append(error)
        if errors and not self._is_failing:
            print(
                f"The log cannot be written: {errors[0].strerror or errors[0]}. Training continues, and the missing "
                "lines are written once that is possible.",
                file=sys.stderr,
            )
        self._is_failing = bool(errors)


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of a run's log.jsonl, without those that are damaged."""
    path = folder / "log.jsonl"
    if not path.exists():
        return []
    curves = []
    for line in path.read_bytes().splitlines():
        try:
            curves.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # such as a last line that was cut short when the program was killed
    return curves


_decoder = msgspec.json.Decoder(dict[str, int | float | None])


def _tag_of(name: str) -> str:
    if name.startswith("eval_"):
        return "eval/" + name.removeprefix("eval_")
    return _TAGS.get(name, f"charts/{name}")


def _remove_after(path: Path, frames: int) -> None:
    """Removes the lines of a log after `frames`, which the resumed run writes again."""
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            done = _decoder.decode(line).get("frames")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if done is not None and done <= frames:
            kept.append(line)
    atomic_write(path, b"".join(kept))


def _mean_of(updates: Sequence[Mapping[str, int | float]], by_episode: Sequence[str]) -> dict[str, float | None]:
    """Returns means over updates; episode figures are weighted by the episodes that ended, None if none did."""
    last = updates[-1]
    means: dict[str, float | None] = {name: last[name] for name in _COUNTERS if name in last}
    episodes = sum(update["episodes"] for update in updates)
    means["episodes"] = episodes
    for name in by_episode:
        total = sum(update[name] * update["episodes"] for update in updates if update["episodes"])
        means[name] = total / episodes if episodes else None
    for name in [name for name in last if name not in means]:
        means[name] = sum(update[name] for update in updates) / len(updates)
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in means.items()}
