"""Draw what runs learned, docs/learning.png, and keep their options, logs and figures as small files in docs/learning/.

.venv/bin/python docs/make_learning_curves.py runs/quickstart runs/blind

Each run is a folder of batchsim-train whose evaluation is done; a line and a row are called after it.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchsim.agents.evaluation.result_files import load_evaluation
from batchsim.agents.runs.run_log import read_curves

FOLDER = Path(__file__).parent
MEASURES = {"success": "success", "spl": "SPL"}
COLORS = ("#1f5fa8", "#c4572b", "#2c8a57", "#7a4fa3")


@dataclass(frozen=True)
class Run:
    """What is shown of a run: the lines of its log, and the means with 95% intervals of its evaluation."""

    name: str
    log: list[dict[str, float]]
    evaluation: dict[str, dict]

    @staticmethod
    def load(folder: Path) -> Run:
        """Read the folder of a run."""
        evaluation = load_evaluation(folder / "evaluation.json").to_json()
        return Run(folder.name, [line for line in read_curves(folder) if "success" in line], evaluation)


def main() -> None:
    """Draw the curves of the runs named on the command line and keep their figures."""
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders:
        sys.exit("Which runs? docs/make_learning_curves.py runs/quickstart ...")
    runs = [Run.load(folder) for folder in folders]
    draw(runs).savefig(FOLDER / "learning.png", dpi=110)
    for folder, run in zip(folders, runs, strict=True):
        keep(folder, run, FOLDER / "learning" / run.name)
    for run in runs:
        print(row(run))


def draw(runs: list[Run]) -> Figure:
    """Training episodes' success and SPL by frames; beside the end of each line what the evaluation found."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(9.6, 3.4), layout="constrained")
        for panel, (measure, title) in zip(figure.subplots(1, 2), MEASURES.items(), strict=True):
            for run, color in zip(runs, COLORS, strict=False):
                draw_run(panel, run, measure, color)
            panel.set(title=title, xlabel="frames of experience, millions", ylim=(0, 1.02))
            panel.set_xlim(left=0)
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
        figure.legend(
            *panel.get_legend_handles_labels(), loc="outside lower center", ncols=2 * len(runs), frameon=False
        )
    return figure


def draw_run(panel: Axes, run: Run, measure: str, color: str) -> None:
    """The line of a run, and its evaluation as a dot with its interval."""
    frames = [line["frames"] / 1e6 for line in run.log]
    panel.plot(frames, [line[measure] for line in run.log], color=color, label=f"{run.name}: in training")
    found = run.evaluation[measure]
    ends = [[found["mean"] - found["ci95"][0]], [found["ci95"][1] - found["mean"]]]
    label = f"{run.name}: in unseen homes"
    panel.errorbar(frames[-1] * 1.02, found["mean"], ends, fmt="o", color=color, capsize=3, label=label)


def keep(folder: Path, run: Run, into: Path) -> None:
    """Copy what is small of a run: its options, its log, and its evaluation without episodes and scenes."""
    into.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "log.jsonl"):
        shutil.copyfile(folder / name, into / name)
    summary = {name: value for name, value in run.evaluation.items() if name != "per_scene"}
    (into / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def row(run: Run) -> str:
    """A row of the table in docs/training.md."""
    figures = [run.evaluation[measure] for measure in MEASURES]
    cells = [f"{f['mean']:.3f} ({f['ci95'][0]:.3f} to {f['ci95'][1]:.3f})" for f in figures]
    last = run.log[-1]
    return f"| {run.name} | {last['frames'] / 1e6:.2f} million | {last['seconds'] / 60:.1f} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
