"""Tries every trainer that has an adapter and writes the table of docs/compat.md; see `make test-compat`.

python -m benchmarks.compat.run_compat [--only NAME] [--no-borrow]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tyro

from batchsim.agents.benchmarks.record import today
from batchsim.agents.cli import run_command
from benchmarks.compat.environments import make_environment, version_in
from benchmarks.compat.own_trainer import train_own
from benchmarks.compat.page import write_page
from benchmarks.compat.result import Result
from benchmarks.compat.trainers import ROOT, TRAINERS, Trainer, lines_of_code

RESULTS = ROOT / "docs" / "compat.json"
PAGE = ROOT / "docs" / "compat.md"
REQUIRED_SUCCESS = 0.6
SPEED_FRAMES = 20_480
MAX_MINUTES = 30


@dataclass(frozen=True)
class CompatCommand:
    """Run the tests and the example of every adapter, each in a virtual environment of its own with pinned versions."""

    only: str = ""
    """Part of the name of the trainers to try; the others keep their rows in the table."""
    borrow: bool = True
    """Use torch and the other packages of this interpreter in the environments instead of installing them again."""
    speed_only: bool = False
    """Measure frames/s again, over 20,480 frames, and keep the success of the last full run."""


def run(options: CompatCommand) -> int:
    """Tries the trainers; returns 1 if one of them failed."""
    known = _read_results()
    failed = []
    for trainer in TRAINERS:
        if options.only.lower() not in trainer.name.lower():
            continue
        try:
            python = make_environment(trainer.environment, options.borrow)
            if options.speed_only:
                _keep(known, with_speed(known[trainer.name], train(trainer, python, str(SPEED_FRAMES))))
                continue
            run_tests(trainer, python)
            result = train(trainer, python)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            failed.append(f"{trainer.name}: {error}")
            continue
        _keep(known, result)
        if result.success < REQUIRED_SUCCESS:
            failed.append(f"{trainer.name}: success {result.success:.2f}; expected at least {REQUIRED_SUCCESS}")
    if options.only.lower() in "batchsim":
        _keep(known, with_speed(known["batchsim"], train_own(SPEED_FRAMES)) if options.speed_only else train_own())
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def run_tests(trainer: Trainer, python: Path) -> None:
    """Runs the adapter's tests, which need the trainer's library.

    Raises:
        CalledProcessError: If a test fails.
    """
    print(f"{trainer.name}: {trainer.tests.relative_to(ROOT)}", flush=True)
    subprocess.run([str(python), "-m", "pytest", "-p", "no:cacheprovider", str(trainer.tests)], cwd=ROOT, check=True)


def with_speed(result: Result, measured: Result) -> Result:
    """Returns `result` with the frames/s and the date of a shorter run."""
    return replace(result, frames_per_second=measured.frames_per_second, date=measured.date)


def train(trainer: Trainer, python: Path, *arguments: str) -> Result:
    """Runs the example in an empty folder and returns what it reached.

    Args:
        trainer: The trainer.
        python: The interpreter of its environment.
        *arguments: More arguments of the example.

    Raises:
        SubprocessError: If it fails or takes too long.
        ValueError: If it prints no result.
    """
    print(f"{trainer.name}: {trainer.example_path.relative_to(ROOT)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(python), str(trainer.example_path), *trainer.arguments, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=MAX_MINUTES * 60,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("the example printed no result")
    version = "" if trainer.package is None else version_in(python, trainer.package)
    return Result(trainer.name, version, lines_of_code(trainer.adapter_path), date=today(), **json.loads(lines[-1]))


def _read_results() -> dict[str, Result]:
    rows = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    return {row["name"]: Result(**row) for row in rows}


def _keep(known: dict[str, Result], result: Result) -> None:
    """Saves a result, and the page with it."""
    known[result.name] = result
    order = [*(trainer.name for trainer in TRAINERS), "batchsim"]
    rows = sorted(known.values(), key=lambda row: order.index(row.name) if row.name in order else len(order))
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    write_page(PAGE, rows)
    print(f"{result.name}: {result.frames_per_second:.0f} frames/s, success {result.success:.2f}", flush=True)


def main() -> None:
    """Runs the command."""
    options = tyro.cli(CompatCommand, description=__doc__)
    run_command("run_compat", lambda: run(options))


if __name__ == "__main__":
    main()
