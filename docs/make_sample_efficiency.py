"""Draw success by frames of experience for ways of training, docs/sample_efficiency.png, and keep the curves in docs/.

.venv/bin/python docs/make_sample_efficiency.py \
    "PPO alone=runs/ppo-0,runs/ppo-1,runs/ppo-2" "with imitation=runs/im-0,runs/im-1,runs/im-2"

Each way has a name and the folders of its runs, which differ in the seed. Runs trained with --eval-every-minutes are
compared by success in held-out scenes, others by success in training episodes; all must be of one kind.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from batchsim.agents.runs.run_log import read_curves

FOLDER = Path(__file__).parent
COLORS = ("#1f5fa8", "#c4572b", "#2c8a57", "#7a4fa3")
HELD_OUT, IN_TRAINING = "eval_success", "success"
GOAL = 0.8
POINTS = 200


@dataclass(frozen=True)
class Way:
    """A way of training.

    Attributes:
        name: Its name.
        curves: For each seed, frames and success.
    """

    name: str
    curves: tuple[tuple[np.ndarray, np.ndarray], ...]

    def to_json(self) -> dict:
        """The curves and the frames to the goal, as JSON types."""
        curves = [{"frames": frames.tolist(), "success": success.tolist()} for frames, success in self.curves]
        return {"name": self.name, "curves": curves, f"frames_to_{GOAL}": self.frames_to_goal()}

    def frames_to_goal(self) -> list[float | None]:
        """For each seed, the first frames after which success is at least `GOAL`; None if it never is."""
        first = [np.flatnonzero(success >= GOAL) for _, success in self.curves]
        return [float(frames[k[0]]) if len(k) else None for (frames, _), k in zip(self.curves, first, strict=True)]


def main() -> None:
    """Draw the ways named on the command line."""
    given = [argument.partition("=") for argument in sys.argv[1:]]
    if not given or not all(folders for _, _, folders in given):
        sys.exit('Which runs? docs/make_sample_efficiency.py "PPO alone=runs/a,runs/b" "with imitation=runs/c,runs/d"')
    logs = {name: [read_curves(Path(folder)) for folder in folders.split(",")] for name, _, folders in given}
    held_out = all(any(HELD_OUT in line for line in log) for group in logs.values() for log in group)
    key = HELD_OUT if held_out else IN_TRAINING
    ways = [Way(name, tuple(curve_of(log, key) for log in group)) for name, group in logs.items()]
    draw(ways, "held-out scenes" if held_out else "training episodes").savefig(
        FOLDER / "sample_efficiency.png", dpi=110
    )
    data = {"measure": key, "ways": [way.to_json() for way in ways]}
    (FOLDER / "sample_efficiency.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    for way in ways:
        print(f"{way.name}: frames to success {GOAL}: {way.frames_to_goal()}")


def curve_of(log: list[dict], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames and values of the log's lines that have `key`."""
    lines = [(line["frames"], line[key]) for line in log if line.get(key) is not None]
    frames, values = np.array(lines, float).reshape(-1, 2).T
    return frames, values


def draw(ways: list[Way], where: str) -> Figure:
    """One thin line for each seed, and the median of the seeds where all of them have values."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        panel = figure.subplots()
        for way, color in zip(ways, COLORS, strict=False):
            for frames, success in way.curves:
                panel.plot(frames / 1e6, success, color=color, alpha=0.3, linewidth=1)
            low = max(frames[0] for frames, _ in way.curves)
            high = min(frames[-1] for frames, _ in way.curves)
            x = np.linspace(low, high, POINTS)
            median = np.median([np.interp(x, frames, success) for frames, success in way.curves], axis=0)
            panel.plot(x / 1e6, median, color=color, linewidth=2, label=f"{way.name} (median of {len(way.curves)})")
        panel.axhline(GOAL, color="#888888", linewidth=0.8, linestyle="--")
        panel.set(title=f"success in {where}", xlabel="frames of experience, millions", ylim=(0, 1.02))
        panel.set_xlim(left=0)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    main()
