"""The progress bar of training."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class TrainingBar:
    """A progress bar on stderr if that is a terminal, otherwise a line every 30 seconds."""

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

    def update(self, share: float, latest: Mapping[str, float | None], frames: float, fps: float) -> None:
        """Shows the progress.

        Args:
            share: The fraction of training that is done.
            latest: The last line of the log.
            frames: Frames of experience so far.
            fps: Frames per second.
        """
        success, spl = latest.get("success"), latest.get("spl")
        text = f"{frames / 1e6:.2f}M frames  {fps:,.0f}/s"
        if success is not None and spl is not None:
            text += f"  success {success:.2f}  SPL {spl:.2f}"
        self._progress.update(self._task, completed=share, text=text)
        if not self._live and time.monotonic() - self._last_line > self._LINE_SECONDS:
            self._last_line = time.monotonic()
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Removes the bar's hold on the terminal."""
        self._progress.stop()


class _TimeLeft(ProgressColumn):
    """Minutes and seconds left at the mean speed so far, which is steadier than rich's own estimate."""

    def render(self, task: Task) -> Text:
        if not task.completed or not task.elapsed:
            return Text("-:--")
        left = int(task.elapsed * (1 - task.completed) / task.completed)
        return Text(f"{left // 60}:{left % 60:02d} left")
