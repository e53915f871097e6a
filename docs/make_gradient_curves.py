"""Draw docs/gradients.png: what one-room runs learn with plain, pruned and 6-bit neural gradients.

python docs/make_gradient_curves.py FOLDER

FOLDER holds the runs full-0, pruned-0, fp6-0, full-1, ... of tests/agents/gradients/test_gradient_learning.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from batchsim.agents.runs.run_log import read_curves

OUT = Path(__file__).parent / "gradients.png"
NAMES = {"full": "float32", "pruned": "85% pruned", "fp6": "6 bits"}
COLORS = ("#1f5fa8", "#c4572b", "#2c8a57")


def main(folder: Path) -> None:
    """Draw the mean over the seeds of each kind, and the range of the seeds."""
    matplotlib.use("agg")
    figure = Figure(figsize=(5.2, 3.2), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    for (kind, name), color in zip(NAMES.items(), COLORS, strict=True):
        runs = [[line for line in read_curves(run) if "reward" in line] for run in sorted(folder.glob(f"{kind}-*"))]
        frames = np.array([line["frames"] for line in runs[0]]) / 1000
        returns = np.array([[line["reward"] for line in run[: len(frames)]] for run in runs])
        axes.plot(frames, returns.mean(0), color=color, label=name)
        axes.fill_between(frames, returns.min(0), returns.max(0), color=color, alpha=0.15, linewidth=0)
    axes.set(xlabel="thousand frames", ylabel="return of an episode")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(OUT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
