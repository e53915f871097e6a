"""Two ranks reach what one process with the same total batch reaches."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SEEDS = (0, 1, 2)
OPTIONS = {
    "scenes": "one-room",
    "rollout-steps": 16,
    "max-episode-steps": 100,
    "learning-rate": 3e-3,
    "hidden-size": 32,
    "total-frames": 160_000,
    "eval-scenes": "",
    "device": "cpu",
}


def final_return(out: Path, launcher: list[str], num_envs: int, seed: int) -> float:
    """Mean return of the episodes in the last quarter of a run."""
    options = OPTIONS | {"num-envs": num_envs, "seed": seed, "out": out}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, *launcher, "-m", "batchsim.agents.train", "--blind", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines[-len(lines) // 4 :] if line["episodes"]]
    return sum(line["reward"] * line["episodes"] for line in last) / sum(line["episodes"] for line in last)


@pytest.mark.slow
def test_two_ranks_learn_as_well_as_one_process(tmp_path):
    """The same total batch, three seeds: the means differ by less than the spread of the seeds explains."""
    one = np.array([final_return(tmp_path / f"one-{seed}", [], 128, seed) for seed in SEEDS])
    two = np.array([final_return(tmp_path / f"two-{seed}", TORCHRUN, 64, seed) for seed in SEEDS])
    print(f"one process {one.round(3)}, two ranks {two.round(3)}")
    assert one.min() > 2
    assert two.min() > 2
    # Twice the standard error of the difference of the means, and never less than 5% of the return.
    noise = 2 * np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / len(SEEDS))
    assert abs(one.mean() - two.mean()) < max(noise, 0.05 * one.mean())
