"""The command `batchsim-scenes check`: tries every scene of a dataset and tables what will work."""

from __future__ import annotations

import io
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.cli import describe
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.bake_many import BakeProcess, feed_all
from batchsim.scenes.sources.library import resolve
from batchsim.scenes.sources.scene_source import SceneSource
from batchsim.scenes.startup.available_cores import available_cores

BROKEN = 1
"""The exit code if a scene is broken."""

_WIDE = 250  # columns, where the output is no terminal


@dataclass(frozen=True)
class Check:
    """Try every scene of a dataset: import and bake each into the cache, and print a table of what is in it."""

    scenes: tyro.conf.Positional[str]
    """A folder, whose subfolders are searched too, or any other name of scenes, such as a Habitat dataset file."""
    workers: int | None = None
    """Number of processes; default: one for each core."""
    agent_radius: float = 0.1
    """Radius of the agent, metres."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Checks the scenes; returns a row for each, in order."""
        if self.workers is not None and self.workers < 1:
            raise SceneError(f"--workers is {self.workers}; expected 1 or more.")
        spec = f"{self.scenes}?subfolders=yes" if Path(self.scenes).is_dir() else self.scenes
        sources = resolve(spec, AgentBody(radius=self.agent_radius))
        rows = check_scenes(sources, self.workers or available_cores())
        return {"scenes": rows, "broken": sum(not row["readable"] for row in rows)}

    def say(self, result: dict) -> str:
        """Returns the table, then the error of each broken scene."""
        rows = result["scenes"]
        errors = [row["error"] for row in rows if not row["readable"]]
        summary = f"{len(rows)} scenes, {result['broken']} broken."
        return "\n".join([_drawn(rows, self._short), *errors, summary])

    def exit_code(self, result: dict) -> int:
        """Returns 0 if every scene can be used, else `BROKEN`."""
        return BROKEN if result["broken"] else 0

    def _short(self, name: str) -> str:
        return name.removeprefix(self.scenes.rstrip("/") + "/")


def check_scenes(sources: Sequence[SceneSource], workers: int) -> list[dict]:
    """Loads scenes, in parallel, and describes each.

    Returns:
        For each scene, in order: `name`, `readable`, `seconds`, `cached` (whether it had been baked before) and either
        `error` or `triangles`, `textures`, `missing_files`, `floors`, `area_m2`, `islands`, `labels`, `objects`.
    """
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(sources)):
        jobs.put(number)
    rows: list[dict] = [{} for _ in sources]
    processes = [BakeProcess() for _ in range(min(workers, len(sources)))]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Checking scenes", total=len(sources))

        def feed(process: BakeProcess) -> None:
            while True:
                try:
                    number = jobs.get_nowait()
                except queue.Empty:
                    return
                rows[number] = _row(sources[number], process)
                bar.advance(task)

        feed_all(processes, feed)
    return rows


def _row(source: SceneSource, process: BakeProcess) -> dict:
    start = time.perf_counter()
    row: dict = {"name": source.name, "readable": False, "cached": False}
    try:
        row["cached"] = source.is_ready
        if not row["cached"]:
            process.bake(source)
        scene = source.load()
        found = describe(scene)
        row |= {
            "readable": True,
            "triangles": found["triangles"],
            "textures": len(found["textures"]),
            "missing_files": source.missing_files(),
            "floors": len(found["floors"]),
            "area_m2": found["navigable_area_m2"],
            "islands": len(found["islands_m2"]),
            "labels": [label for label in found["labels"] if label != scene.label_names[0]],
            "objects": len(np.setdiff1d(scene.mesh.instances, [0])),
        }
    except SceneError as error:
        prefix = f"Baking {source.name} failed: "
        reason = " ".join(str(error).removeprefix(prefix).split())
        row["error"] = reason if source.name.partition("?")[0] in reason else f"{source.name}: {reason}"
    row["seconds"] = round(time.perf_counter() - start, 2)
    return row


def _drawn(rows: list[dict], short: Callable[[str], str]) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("scene", no_wrap=True)
    table.add_column("readable", no_wrap=True)
    for name in ("triangles", "textures", "missing", "floors", "area m2", "islands", "objects", "labels", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        name, seconds = short(row["name"]), f"{row['seconds']:.1f}{' (cached)' if row['cached'] else ''}"
        if not row["readable"]:
            table.add_row(name, "no", *["-"] * 8, seconds)
            continue
        table.add_row(
            name,
            "yes",
            f"{row['triangles']:,}",
            f"{row['textures']}",
            f"{len(row['missing_files'])}",
            f"{row['floors']}",
            f"{row['area_m2']:.1f}",
            f"{row['islands']}",
            f"{row['objects']}",
            f"{len(row['labels'])}",
            seconds,
        )
    terminal = Console()
    text = io.StringIO()
    Console(file=text, width=terminal.width if terminal.is_terminal else _WIDE, markup=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())
