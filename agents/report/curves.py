"""Learning curves from the lines of a training log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.report.charts import Line, line_chart
from agents.report.formatting import finite

# title, {key in the log: name in the legend}, lowest number that the axis must show
_MAIN = (
    ("Success, SPL", {"success": "success", "spl": "SPL"}, 0.0),
    ("Success, SPL on scenes not trained in", {"eval_success": "success", "eval_spl": "SPL"}, 0.0),
    ("Episode return", {"reward": "return"}, None),
    ("Episode length, steps", {"episode_length": "steps"}, 0.0),
    ("Policy entropy", {"entropy": "entropy"}, 0.0),
    ("Value loss", {"value_loss": "loss"}, 0.0),
    ("Frames a second", {"fps": "frames/s"}, 0.0),
)
_MORE = (
    ("Policy loss", {"policy_loss": "loss"}, None),
    ("Approximate KL", {"approx_kl": "KL"}, 0.0),
    ("Clipped share", {"clip_fraction": "share"}, 0.0),
    ("Gradient norm", {"gradient_norm": "norm"}, 0.0),
    ("Learning rate", {"learning_rate": "rate"}, 0.0),
)
_MAX_POINTS = 160
_NOTE = "Over frames of experience. The figure beside a title is the last value, or that under the pointer."


def learning_curves(curves: Sequence[Mapping[str, Any]]) -> str:
    """The charts as HTML, empty if the log holds none of the known figures; the less telling ones are folded away."""
    main, more = _charts(curves, _MAIN), _charts(curves, _MORE)
    folded = f'<details><summary>Further curves of the optimiser</summary><div class="charts">{more}</div></details>'
    if not main and not more:
        return ""
    shown = f'<div class="charts">{main}</div>' if main else ""
    return f'<p class="note">{_NOTE}</p>{shown}{folded if more else ""}'


def last_known(curves: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """The last finite value of `key` in the log."""
    values = (finite(line.get(key), 12) for line in reversed(curves))
    return next((value for value in values if value is not None), None)


def _charts(curves: Sequence[Mapping[str, Any]], plan: Sequence[tuple[str, dict[str, str], float | None]]) -> str:
    frames = _column(curves, "frames")
    if np.isnan(frames).any():
        frames = np.arange(1, len(curves) + 1, dtype=np.float64)
    charts = []
    for title, keys, floor in plan:
        columns = {name: _column(curves, key) for key, name in keys.items()}
        columns = {name: values for name, values in columns.items() if not np.isnan(values).all()}
        if columns:
            # Some figures are known in few lines of the log: those alone make their curve.
            known = ~np.isnan(np.stack(list(columns.values()))).all(0)
            x, thinned = thin_out(frames[known], [values[known] for values in columns.values()])
            lines = [Line(name, values, i) for i, (name, values) in enumerate(zip(columns, thinned, strict=True))]
            charts.append(line_chart(title, x, lines, floor))
    return "".join(charts)


def _column(curves: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    values = [finite(line.get(key), 12) for line in curves]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def thin_out(
    x: np.ndarray, columns: Sequence[np.ndarray], most: int = _MAX_POINTS
) -> tuple[list[float], list[list[float | None]]]:
    """At most `most` points: `x` [n] and the means of the known values of each column [n] over runs of equal length.

    The last `x` of each run stands for it. A run without a known value gives None.
    """
    runs = np.array_split(np.arange(len(x)), min(most, len(x)))
    thinned = [[_mean_of_known(column[run]) for run in runs] for column in columns]
    return [float(x[run[-1]]) for run in runs], thinned


def _mean_of_known(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
