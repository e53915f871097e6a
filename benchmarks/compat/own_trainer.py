"""batchsim's own trainer with the images, environments and frames of the examples."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from batchsim.agents.benchmarks.record import today
from benchmarks.compat.result import Result
from benchmarks.compat.trainers import ROOT

# Images, environments, frames and network size are those of the examples; rates are those of this trainer's presets.
OPTIONS = (
    "--scenes one-room --num-envs 32 --rollout-steps 64 --width 40 --height 40 --turn-angle 30 "
    "--max-episode-steps 100 --visual-channels 16 32 --hidden-size 64 --epochs 4 --minibatches 4 --gamma 0.98 "
    "--learning-rate 1e-3 --entropy-coefficient 0.005 --eval-scenes one-room --eval-episodes 128"
)


def train_own(frames: int = 120_000) -> Result:
    """Trains for a number of frames and evaluates.

    Raises:
        CalledProcessError: If training fails.
    """
    print("batchsim: its own trainer", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "batchsim.agents.train", "--out", str(out), "--total-frames", str(frames)]
        subprocess.run([*command, *OPTIONS.split()], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        last = json.loads((out / "log.jsonl").read_text("utf-8").splitlines()[-1])
        found = json.loads((out / "evaluation.json").read_text("utf-8"))
    rate, success = last["frames"] / last["seconds"], found["success"]["mean"]
    return Result("batchsim", version("batchsim"), 0, today(), rate, success, found["episodes"])
