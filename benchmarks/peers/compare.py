"""Compares the speed of batchsim with that of other simulators on the same work, and prints the ratios.

    python benchmarks/peers/make_environments.py
    python benchmarks/peers/compare.py --out docs/benchmarks/peers.json

Both sides of a pair start and warm up. Then they are measured in alternation, one side waiting while the other runs, so
that other load on the machine affects both. The ratio is computed for each repeat; the median is reported with the
lowest and highest. Pairs that are not installed, or need a GPU that is missing, are listed as not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shlex
import statistics
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from make_environments import FOLDER, PACKAGES, ROOT
from pairs import Pair, Side, all_pairs

sys.path.insert(0, str(ROOT))  # batchsim need not be installed

import torch

from batchsim.agents.benchmarks import record
from batchsim.agents.runs.versions import versions

_WORKERS = Path(__file__).resolve().parent / "workers"
_TIMEOUT = 180.0  # seconds to wait for an answer


class WorkerError(RuntimeError):
    """A worker failed to start or does not answer; the message holds the end of its stderr."""


class Worker:
    """A process that works on request; see `workers/protocol.py`."""

    def __init__(self, side: Side, folder: Path) -> None:
        python = str(folder / side.python / "bin" / "python") if side.python else sys.executable
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | side.environment
        if side.python:
            del environment["PYTHONPATH"]
        self._process = subprocess.Popen(
            [python, str(_WORKERS / side.arguments[0]), *side.arguments[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=lambda: self._said.extend(self._process.stderr), daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def ask(self, seconds: float) -> None:
        """Ask it to work for about `seconds`."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return its next answer.

        Raises:
            WorkerError: The worker ended, or did not answer in time.
        """
        try:
            line = self._answers.get(timeout=_TIMEOUT)
        except queue.Empty:
            raise WorkerError(f"no answer within {_TIMEOUT:.0f} s") from None
        if line is None:
            self._process.wait()
            raise WorkerError("".join(self._said[-3:]).strip() or "ended without a message")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Team:
    """All worker processes of a side."""

    def __init__(self, side: Side, folder: Path) -> None:
        self.workers = [Worker(side, folder) for _ in range(side.copies)]

    def facts(self) -> dict[str, Any]:
        """Wait until all workers are ready; return the facts of the first."""
        ready = [worker.answer() for worker in self.workers]
        return ready[0]["facts"]

    def rate(self, seconds: float) -> float:
        """Return the frames per second of all workers together."""
        for worker in self.workers:
            worker.ask(seconds)
        answers = [worker.answer() for worker in self.workers]
        return sum(answer["frames"] for answer in answers) / max(answer["seconds"] for answer in answers)

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.close()


def compare(pair: Pair, folder: Path, repeats: int, seconds: float) -> dict[str, Any]:
    """Measure both sides of `pair` in alternation.

    Raises:
        WorkerError: A side cannot be measured.
    """
    teams: list[Team] = []
    try:
        facts = []
        for side in (pair.ours, pair.theirs):  # one after the other: warm-up uses the whole machine
            teams.append(Team(side, folder))
            facts.append(teams[-1].facts())
        rates: list[list[float]] = [[], []]
        for repeat in range(repeats):
            for which in (0, 1) if repeat % 2 == 0 else (1, 0):
                rates[which].append(teams[which].rate(seconds))
    finally:
        for team in teams:
            team.close()
    return result(pair, facts, rates)


def result(pair: Pair, facts: list[dict[str, Any]], rates: list[list[float]]) -> dict[str, Any]:
    """Return the JSON object of a measured pair."""
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    sides = [
        {"side": side.name, "fps": statistics.median(r), "fps_range": [min(r), max(r)], "facts": f} | asdict(side)
        for side, f, r in zip((pair.ours, pair.theirs), facts, rates, strict=True)
    ]
    return {
        "pair": pair.name,
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "target": pair.target,
        "ours": sides[0],
        "theirs": sides[1],
        "differs": pair.differs,
    }


def _why_not(pair: Pair, folder: Path) -> str:
    """Return why `pair` cannot be measured here; empty if it can."""
    if pair.cuda and not torch.cuda.is_available():
        return "needs an NVIDIA GPU"
    if not (folder / pair.theirs.python / "bin" / "python").exists():
        return f"{pair.theirs.python} is not installed: run benchmarks/peers/make_environments.py"
    return ""


def main() -> None:
    """Run the command: exit code 1 if nothing could be measured."""
    arguments = _arguments()
    cores = len(os.sched_getaffinity(0))
    results: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    for pair in all_pairs(cores):
        label = f"{pair.name}: {pair.ours.name} and {pair.theirs.name}"
        if arguments.only not in label:
            continue
        try:
            if why := _why_not(pair, arguments.environments):
                raise WorkerError(why)
            results.append(compare(pair, arguments.environments, arguments.repeats, arguments.seconds))
            print(row(results[-1]), flush=True)
        except WorkerError as error:
            left_out.append({"pair": label, "why": str(error)})
            print(f"{label}: not measured: {error}", file=sys.stderr, flush=True)
    page = {
        "peers": results,
        "left_out": left_out,
        "packages": {name: list(packages) for name, packages in PACKAGES.items()},
        "repeats": arguments.repeats,
        "seconds": arguments.seconds,
        "machine": record.machine(torch.device("cpu")),
        "versions": versions(),
        "date": record.today(),
        "commit": record.commit(),
        "command": shlex.join(["python", "benchmarks/peers/compare.py", *sys.argv[1:]]),
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(page, indent=1, ensure_ascii=False), encoding="utf-8")
    sys.exit(0 if results else 1)


def row(found: dict[str, Any]) -> str:
    """Format a measured pair as one line."""
    low, high = found["ratio_range"]
    sides = " : ".join(f"{found[s]['fps']:,.0f} ({found[s]['side']})" for s in ("ours", "theirs"))
    wanted = "" if found["target"] is None else f", target {found['target']:g}"
    return f"{found['pair']}: {found['ratio']:.1f} times ({low:.1f} to {high:.1f}{wanted}); frames/s {sides}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each side")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a repeat in seconds")
    parser.add_argument("--only", default="", help="only pairs whose name contains this")
    parser.add_argument("--environments", type=Path, default=FOLDER, help="folder of the virtual environments")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
