"""Run batchsim and its peers side by side on the same work, taking turns; ratios with their range, as JSON and table.

python benchmarks/peers/make_environments.py
python benchmarks/peers/compare.py --out docs/benchmarks/peers.json

Both sides of a pair are started, prepare and warm up; then they are measured in turns, one waiting while the other
runs, so that whatever else the machine does falls on both. The ratio is taken turn by turn; its median counts, its
lowest and highest are shown. Pairs whose peer is not installed, and those that need a GPU where there is none, are
left out and said to be.
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

_WORKERS = Path(__file__).resolve().parent / "workers"
_PATIENCE = 180.0  # seconds without an answer


class WorkerError(RuntimeError):
    """A worker that could not be started or does not answer; the message holds the end of what it said."""


class Worker:
    """A process that works on request, see `workers/protocol.py`."""

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
        """Let it work for about `seconds`."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Its next answer; raises `WorkerError` if none comes."""
        try:
            line = self._answers.get(timeout=_PATIENCE)
        except queue.Empty:
            raise WorkerError(f"no answer within {_PATIENCE:.0f} s") from None
        if line is None:
            self._process.wait()
            raise WorkerError("".join(self._said[-3:]).strip() or "ended without a word")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Team:
    """All copies of a side."""

    def __init__(self, side: Side, folder: Path) -> None:
        self.workers = [Worker(side, folder) for _ in range(side.copies)]

    def facts(self) -> dict[str, Any]:
        """What the workers say of themselves once they are ready; the first one's, since they are alike."""
        ready = [worker.answer() for worker in self.workers]
        return ready[0]["facts"]

    def rate(self, seconds: float) -> float:
        """Frames a second of all copies together, over the time until the last has answered."""
        for worker in self.workers:
            worker.ask(seconds)
        answers = [worker.answer() for worker in self.workers]
        return sum(answer["frames"] for answer in answers) / max(answer["seconds"] for answer in answers)

    def close(self) -> None:
        """End them."""
        for worker in self.workers:
            worker.close()


def compare(pair: Pair, folder: Path, repeats: int, seconds: float) -> dict[str, Any]:
    """Measure both sides of `pair` in turns; raises `WorkerError` if one of them cannot."""
    teams: list[Team] = []
    try:
        facts = []
        for side in (pair.ours, pair.theirs):  # one after the other: warming up takes the whole machine
            teams.append(Team(side, folder))
            facts.append(teams[-1].facts())
        rates: list[list[float]] = [[], []]
        for turn in range(repeats):
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                rates[which].append(teams[which].rate(seconds))
    finally:
        for team in teams:
            team.close()
    return result(pair, facts, rates)


def result(pair: Pair, facts: list[dict[str, Any]], rates: list[list[float]]) -> dict[str, Any]:
    """The JSON object of a measured pair."""
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
    """Why `pair` cannot be measured here; empty if it can."""
    if pair.cuda and not torch.cuda.is_available():
        return "needs an NVIDIA GPU"
    if not (folder / pair.theirs.python / "bin" / "python").exists():
        return f"{pair.theirs.python} is not installed: run benchmarks/peers/make_environments.py"
    return ""


def main() -> None:
    """The command line."""
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
            print(f"{label}: left out, {error}", file=sys.stderr, flush=True)
    page = {
        "peers": results,
        "left_out": left_out,
        "packages": {name: list(packages) for name, packages in PACKAGES.items()},
        "repeats": arguments.repeats,
        "seconds": arguments.seconds,
        "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(),
        "date": record.today(),
        "commit": record.commit(),
        "command": shlex.join(["python", "benchmarks/peers/compare.py", *sys.argv[1:]]),
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(page, indent=1, ensure_ascii=False), encoding="utf-8")
    sys.exit(0 if results else 1)


def row(found: dict[str, Any]) -> str:
    """A measured pair in one line."""
    low, high = found["ratio_range"]
    sides = " : ".join(f"{found[s]['fps']:,.0f} ({found[s]['side']})" for s in ("ours", "theirs"))
    wanted = "" if found["target"] is None else f", wanted {found['target']:g}"
    return f"{found['pair']}: {found['ratio']:.1f} times ({low:.1f} to {high:.1f}{wanted}); frames/s {sides}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--only", default="", help="only pairs whose name holds this")
    parser.add_argument("--environments", type=Path, default=FOLDER, help="what make_environments.py made")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
