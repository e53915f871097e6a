"""Mean returns at the end of short trainings of a blind agent in one room, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEEDS = (0, 1, 2)
_OPTIONS = {
    "scenes": "one-room",
    "rollout-steps": 16,
    "max-episode-steps": 100,
    "learning-rate": 3e-3,
    "hidden-size": 32,
    "total-frames": 160_000,
    "eval-scenes": "",
    "device": "cpu",
}


def final_return(out: Path, options: Mapping[str, Any], launcher: Sequence[str] = (), timeout: float = 600) -> float:
    """Mean return of the episodes in the last quarter of a run."""
    given = [word for name, value in {**_OPTIONS, **options, "out": out}.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, *launcher, "-m", "batchsim.agents.train", "--blind", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines[-len(lines) // 4 :] if line["episodes"]]
    return sum(line["reward"] * line["episodes"] for line in last) / sum(line["episodes"] for line in last)


def noise(one: np.ndarray, two: np.ndarray) -> float:
    """Twice the standard error of the difference of the means, and never less than 5% of the return."""
    return max(2 * np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / len(one)), 0.05 * one.mean())
