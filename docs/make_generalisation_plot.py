"""Draw what runs trained in different numbers of homes do in unseen ones, docs/generalisation.png.

.venv/bin/batchsim-eval runs/homes-* --generalisation --episodes 100 --out docs/generalisation
.venv/bin/python docs/make_generalisation_plot.py

The figures are read from docs/generalisation/generalisation.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent
COLORS = ("#1f5fa8", "#c4572b", "#2c8a57", "#7a4fa3", "#8a6d1f", "#5a6270")
MEASURE = "success"


def main() -> None:
    """Draw the plot."""
    runs = json.loads((FOLDER / "generalisation" / "generalisation.json").read_text(encoding="utf-8"))["runs"]
    draw(runs).savefig(FOLDER / "generalisation.png", dpi=110)


def draw(runs: list[dict]) -> Figure:
    """Success in each condition, and the gap between training homes and unseen ones, by the number of homes."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        names = list(dict.fromkeys(name for run in runs for name in run["conditions"]))
        for name, color in zip(names, COLORS, strict=False):
            shown = [run for run in runs if name in run["conditions"]]
            draw_line(left, shown, [run["conditions"][name][MEASURE] for run in shown], name, color)
        draw_line(right, runs, [run["gap"][MEASURE] for run in runs], "training homes less unseen homes", COLORS[0])
        left.set(title=MEASURE, ylim=(0, 1.02))
        right.set(title="gap")
        right.axhline(0, color="#888888", linewidth=0.8)
        for panel in (left, right):
            panel.set_xscale("log", base=2)
            panel.set_xticks([run["homes"] for run in runs], [str(run["homes"]) for run in runs])
            panel.set_xlabel("training homes")
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def draw_line(panel: Axes, runs: list[dict], figures: list[dict], name: str, color: str) -> None:
    """Means with 95% intervals."""
    means = [figure["mean"] for figure in figures]
    ends = [
        [figure["mean"] - figure["ci95"][0] for figure in figures],
        [figure["ci95"][1] - figure["mean"] for figure in figures],
    ]
    panel.errorbar([run["homes"] for run in runs], means, ends, fmt="o-", color=color, capsize=3, label=name)


if __name__ == "__main__":
    main()
