"""A run's records: a line of JSON for every few updates, the same as TensorBoard scalars, and the progress bar."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text
from torch.utils.tensorboard import SummaryWriter

from batchsim.scenes.atomic_files import atomic_write

# The usual tags, so that runs stand beside other trainers' in TensorBoard.
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
    "explained_variance": "losses/explained_variance",
    "us_collect": "performance/us_collect",
    "us_learn": "performance/us_learn",
}
_COUNTERS = ("frames", "updates", "seconds", "scenes_visited", "scene_changes", "scenes_failed")
_UNTAGGED = ("frames", "updates", "seconds", "episodes")


class RunLog:
    """Averages updates over `window` of them and writes the means to `log.jsonl` and TensorBoard.

    - `by_episode`: names of figures that are means over the episodes that ended.
    - `frames`: where the run goes on; what was logged after that, by a run that then died, is taken back.
    """

    def __init__(self, folder: Path, by_episode: Sequence[str], window: int = 8, frames: int = 0) -> None:
        path = folder / "log.jsonl"
        again = path.exists()
        if again:
            _take_back(path, frames)
        self._file = path.open("a", encoding="utf-8")
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=frames + 1 if again else None)
        self._by_episode = tuple(by_episode)
        self._window = window
        self._pending: list[dict[str, float]] = []
        self._evaluation: dict[str, float] = {}
        self._is_writable = True
        self.latest: dict[str, float | None] = {}

    def add(self, update: dict[str, float]) -> None:
        """Count one update; every `window` of them a line is written."""
        self._pending.append(update)
        # Counted from the run's first update, so that a run that was interrupted logs the same lines.
        if update["updates"] % self._window == 0:
            self.flush()

    def add_evaluation(self, measures: Mapping[str, float]) -> None:
        """Have an evaluation's means in the next line, as `eval_NAME`, and in TensorBoard as `eval/NAME`."""
        self._evaluation = {f"eval_{name}": value for name, value in measures.items()}

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        self.latest = _mean_of(self._pending, self._by_episode) | self._evaluation
        self._pending, self._evaluation = [], {}
        if self._is_writable:
            self._write(self.latest)

    def _write(self, line: dict[str, float | None]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            for name, value in line.items():
                if value is not None and name not in _UNTAGGED:
                    self._writer.add_scalar(_tag_of(name), value, int(line["frames"]))
        except OSError as error:
            self._is_writable = False
            print(f"The log cannot be written any more, and training goes on without: {error}", file=sys.stderr)

    def close(self) -> None:
        """Write what is pending, and end both files."""
        self.flush()
        for file in (self._file, self._writer):
            with contextlib.suppress(OSError):  # it was said when it happened
                file.close()


def read_curves(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log.jsonl; a last line cut short by a crash is left out."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    curves = []
    for line in lines:
        try:
            curves.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return curves


def _tag_of(name: str) -> str:
    if name.startswith("eval_"):
        return "eval/" + name.removeprefix("eval_")
    return _TAGS.get(name, f"charts/{name}")


def _take_back(path: Path, frames: int) -> None:
    """Leave out the lines of a log after `frames`, which a resumed run will write again."""
    kept = [line for line in read_curves(path.parent) if line["frames"] <= frames]
    atomic_write(path, "".join(json.dumps(line) + "\n" for line in kept))


def _mean_of(updates: list[dict[str, float]], by_episode: Sequence[str]) -> dict[str, float | None]:
    """Means over updates; those of episodes are weighted by how many ended, and None where none did."""
    last = updates[-1]
    means: dict[str, float | None] = {name: last[name] for name in _COUNTERS if name in last}
    episodes = sum(update["episodes"] for update in updates)
    means["episodes"] = episodes
    for name in by_episode:
        total = sum(update[name] * update["episodes"] for update in updates if update["episodes"])
        means[name] = total / episodes if episodes else None
    for name in last.keys() - means.keys():
        means[name] = sum(update[name] for update in updates) / len(updates)
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in means.items()}


class TrainingBar:
    """A progress bar on stderr at a terminal, and a line now and then elsewhere."""

    _LINE_SECONDS = 30.0

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("[bold]Training"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            _TimeLeft(),
            console=console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("train", total=1.0, text="")
        self._progress.start()

    def update(self, share: float, latest: dict[str, float | None], frames: int, fps: float) -> None:
        """Show how far training is (`share` in [0, 1]) and how the last episodes went."""
        success, spl = latest.get("success"), latest.get("spl")
        text = f"{frames / 1e6:.2f}M frames  {fps:,.0f}/s"
        if success is not None and spl is not None:
            text += f"  success {success:.2f}  SPL {spl:.2f}"
        self._progress.update(self._task, completed=share, text=text)
        if not self._live and time.monotonic() - self._last_line > self._LINE_SECONDS:
            self._last_line = time.monotonic()
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


class _TimeLeft(ProgressColumn):
    """Minutes and seconds left at the mean pace so far, which unlike rich's own does not jump with each update."""

    def render(self, task: Task) -> Text:
        if not task.completed or not task.elapsed:
            return Text("-:--")
        left = int(task.elapsed * (1 - task.completed) / task.completed)
        return Text(f"{left // 60}:{left % 60:02d} left")
