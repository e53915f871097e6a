"""Pruned and 6-bit neural gradients train a small scene to the same return as plain ones."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SEEDS = (0, 1, 2)
OPTIONS = {
    "scenes": "one-room",
    "num-envs": 128,
    "rollout-steps": 16,
    "max-episode-steps": 100,
    "learning-rate": 3e-3,
    "hidden-size": 32,
    "total-frames": 160_000,
    "eval-scenes": "",
    "device": "cpu",
}


def final_return(out: Path, coding: str, seed: int) -> float:
    """Mean return of the episodes in the last quarter of a run."""
    options = OPTIONS | {"neural-gradients": coding, "seed": seed, "out": out}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "batchsim.agents.train", "--blind", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines[-len(lines) // 4 :] if line["episodes"]]
    return sum(line["reward"] * line["episodes"] for line in last) / sum(line["episodes"] for line in last)


@pytest.mark.slow
def test_coded_gradients_learn_as_well_as_plain_ones(tmp_path):
    """85% of the neural gradients pruned, and floats of 6 bits, over three seeds each."""
    found = {
        coding: np.array([final_return(tmp_path / f"{coding}-{seed}", coding, seed) for seed in SEEDS])
        for coding in ("full", "pruned", "fp6")
    }
    print({coding: returns.round(3).tolist() for coding, returns in found.items()})
    plain = found.pop("full")
    assert plain.min() > 2
    for coding, returns in found.items():
        # Twice the standard error of the difference of the means, and never less than 5% of the return.
        noise = 2 * np.sqrt((plain.var(ddof=1) + returns.var(ddof=1)) / len(SEEDS))
        assert abs(plain.mean() - returns.mean()) < max(noise, 0.05 * plain.mean()), coding
