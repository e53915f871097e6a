"""Learning curves from the lines of training logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchsim.agents.report.formatting import finite, style_of
from batchsim.agents.report.plots.charts import Chart, Line, line_chart
from batchsim.agents.report.reported_run import ReportedRun

# Title, {key in the log: name in the legend}, value down to which the axis extends.
_Plan = tuple[str, dict[str, str], float | None]
_MAIN: tuple[_Plan, ...] = (
    ("Success, SPL", {"success": "success", "spl": "SPL"}, 0.0),
    ("Success, SPL on held-out scenes", {"eval_success": "success", "eval_spl": "SPL"}, 0.0),
    ("Episode return", {"reward": "return"}, None),
    ("Episode length, steps", {"episode_length": "steps"}, 0.0),
    ("Policy entropy", {"entropy": "entropy"}, 0.0),
    ("Value loss", {"value_loss": "loss"}, 0.0),
    ("Frames a second", {"fps": "frames/s"}, 0.0),
)
_MORE: tuple[_Plan, ...] = (
    ("Policy loss", {"policy_loss": "loss"}, None),
    ("Approximate KL", {"approx_kl": "KL"}, 0.0),
    ("Clip fraction", {"clip_fraction": "fraction"}, 0.0),
    ("Gradient norm", {"gradient_norm": "norm"}, 0.0),
    ("Learning rate", {"learning_rate": "rate"}, 0.0),
)
_MAX_POINTS = 160


@dataclass(frozen=True)
class LearningCurves:
    """The charts of the training logs; `more` are of less interest."""

    main: tuple[Chart, ...]
    more: tuple[Chart, ...]


def learning_curves(runs: Sequence[ReportedRun]) -> LearningCurves | None:
    """The charts of all runs that have a log; None if no log holds any of the known values.

    Several runs share the charts, with one value in each.
    """
    logged = [(color, run) for color, run in enumerate(runs) if run.curves]
    if not logged:
        return None
    plan = _MAIN[:1] + _of_task(logged[0][1].evaluation.measures) + _MAIN[1:]
    draw = _charts_of_one if len(logged) == 1 else _charts_of_many
    curves = LearningCurves(tuple(draw(logged, plan)), tuple(draw(logged, _MORE)))
    return curves if curves.main or curves.more else None


def _of_task(measures: Sequence[str]) -> tuple[_Plan, ...]:
    known = {key for _, keys, _ in _MAIN for key in keys}
    return tuple((style_of(name).title, {name: style_of(name).title}, 0.0) for name in measures if name not in known)


def last_known(curves: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """The last finite value of `key` in the log."""
    values = (finite(line.get(key), 12) for line in reversed(curves))
    return next((value for value in values if value is not None), None)


def _charts_of_one(logged: Sequence[tuple[int, ReportedRun]], plan: Sequence[_Plan]) -> list[Chart]:
    curves = logged[0][1].curves
    charts = []
    for title, keys, floor in plan:
        columns = {name: _column(curves, key) for key, name in keys.items()}
        columns = {name: values for name, values in columns.items() if not np.isnan(values).all()}
        if columns:
            # Values that only some lines of the log hold are drawn from those lines alone.
            known = ~np.isnan(np.stack(list(columns.values()))).all(0)
            x, thinned = thin_out(_frames(curves)[known], [values[known] for values in columns.values()])
            lines = [Line(name, values, i) for i, (name, values) in enumerate(zip(columns, thinned, strict=True))]
            charts.append(line_chart(title, x, lines, floor))
    return charts


def _charts_of_many(logged: Sequence[tuple[int, ReportedRun]], plan: Sequence[_Plan]) -> list[Chart]:
    """A chart for each value, with a line for each run in the run's colour."""
    frames = [_frames(run.curves) for _, run in logged]
    x = np.linspace(min(each[0] for each in frames), max(each[-1] for each in frames), _MAX_POINTS)
    charts = []
    for title, keys, floor in plan:
        for key, name in keys.items():
            lines = []
            for (color, run), at in zip(logged, frames, strict=True):
                values = _column(run.curves, key)
                if not np.isnan(values).all():
                    lines.append(Line(run.evaluation.agent, resampled(at, values, x), color))
            if lines:
                _, on, where = title.partition(" on ")
                heading = title if len(keys) == 1 else name[:1].upper() + name[1:] + on + where
                charts.append(line_chart(heading, x.tolist(), lines, floor))
    return charts


def resampled(at: np.ndarray, values: np.ndarray, x: np.ndarray) -> list[float | None]:
    """Resample a curve.

    Args:
        at: Rising places `[n]`.
        values: Values `[n]` there, NaN where unknown. They are averaged first if they are denser than `x`.
        x: Where to sample.

    Returns:
        The value at each of `x`; None outside the range of known values.
    """
    ends, (means,) = thin_out(at, [values], len(x))
    known = [(end, mean) for end, mean in zip(ends, means, strict=True) if mean is not None]
    places, heights = np.array(known).T
    inside = (x >= places[0]) & (x <= places[-1])
    return [float(value) if shown else None for value, shown in zip(np.interp(x, places, heights), inside, strict=True)]


def _frames(curves: Sequence[Mapping[str, Any]]) -> np.ndarray:
    frames = _column(curves, "frames")
    return np.arange(1, len(curves) + 1, dtype=np.float64) if np.isnan(frames).any() else frames


def _column(curves: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    values = [finite(line.get(key), 12) for line in curves]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def thin_out(
    x: np.ndarray, columns: Sequence[np.ndarray], most: int = _MAX_POINTS
) -> tuple[list[float], list[list[float | None]]]:
    """Average a curve over at most `most` intervals of equal length.

    Args:
        x: Places `[n]`.
        columns: Values `[n]` of each line, NaN where unknown.
        most: The maximum number of points.

    Returns:
        The last `x` of each interval, and for each column the means of its known values; None without any.
    """
    runs = np.array_split(np.arange(len(x)), min(most, len(x)))
    thinned = [[_mean_of_known(column[run]) for run in runs] for column in columns]
    return [float(x[run[-1]]) for run in runs], thinned


def _mean_of_known(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
