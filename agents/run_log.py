"""A run's records: a line of JSON for every few updates, the same as TensorBoard scalars, and the progress bar."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text
from torch.utils.tensorboard import SummaryWriter

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
    "us_collect": "performance/us_collect",
    "us_learn": "performance/us_learn",
}
_BY_EPISODE = ("success", "spl", "reward", "episode_length")


class RunLog:
    """Averages updates over `window` of them and writes the means to `log.jsonl` and TensorBoard."""

    def __init__(self, folder: Path, window: int = 8) -> None:
        self._file = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._window = window
        self._pending: list[dict[str, float]] = []
        self.latest: dict[str, float | None] = {}

    def add(self, update: dict[str, float]) -> None:
        """Count one update; every `window` of them a line is written."""
        self._pending.append(update)
        if len(self._pending) >= self._window:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        self.latest = _mean_of(self._pending)
        self._pending = []
        self._file.write(json.dumps(self.latest) + "\n")
        self._file.flush()
        for name, tag in _TAGS.items():
            if (value := self.latest.get(name)) is not None:
                self._writer.add_scalar(tag, value, int(self.latest["frames"]))

    def close(self) -> None:
        """Write what is pending, and end both files."""
        self.flush()
        self._file.close()
        self._writer.close()


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


def _mean_of(updates: list[dict[str, float]]) -> dict[str, float | None]:
    """Means over updates; those of episodes are weighted by how many ended, and None where none did."""
    last = updates[-1]
    means: dict[str, float | None] = {"frames": last["frames"], "seconds": round(last["seconds"], 3)}
    episodes = sum(update["episodes"] for update in updates)
    means["episodes"] = episodes
    for name in _BY_EPISODE:
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
