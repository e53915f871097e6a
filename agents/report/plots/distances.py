"""Results by geodesic start distance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from batchsim.agents.evaluation.results import Evaluation, bootstrap_interval
from batchsim.agents.report.formatting import style_of
from batchsim.agents.report.plots.charts import Chart, Dots, dot_chart

_MOST_BINS = 6
_CHARTS = ("success", "spl", "distance_to_goal")


def distance_charts(evaluations: Sequence[Evaluation]) -> list[Chart]:
    """Success, SPL and distance to goal by geodesic start distance, with 95% intervals; empty without a goal."""
    if not all(evaluation.records[0].has_goal for evaluation in evaluations):
        return []
    edges = bin_edges(np.array([record.start_distance for record in evaluations[0].records]))
    names = [f"{low:g}–{high:g}" for low, high in pairwise(edges)]
    charts = []
    for measure in _CHARTS:
        style = style_of(measure)
        if any(measure not in evaluation.measures for evaluation in evaluations):
            continue
        groups = [
            Dots(evaluation.agent, binned(evaluation, measure, edges), color)
            for color, evaluation in enumerate(evaluations)
        ]
        title = f"{style.title},{style.unit}" if style.unit else style.title
        charts.append(dot_chart(title, names, groups, style.share))
    return charts


def bin_edges(distances: np.ndarray, most: int = _MOST_BINS) -> list[float]:
    """Rising multiples of half a metre that divide `distances` `[E]` into at most `most` bins of similar size."""
    distances = distances[np.isfinite(distances)]
    if not len(distances):
        return [0.0, 1.0]
    inner = np.quantile(distances, np.linspace(0, 1, min(most, len(distances)) + 1)[1:-1])
    inner = np.round(2 * inner) / 2
    low, high = np.floor(distances.min()), np.floor(distances.max()) + 1
    return sorted({float(low), float(high), *(float(edge) for edge in inner if low < edge < high)})


def binned(evaluation: Evaluation, measure: str, edges: Sequence[float]) -> list[tuple[float, float, float] | None]:
    """`(low, mean, high)` of `measure` for the episodes of each bin [edge, next edge); None for empty bins."""
    distance = np.array([record.start_distance for record in evaluation.records])
    values = evaluation.values(measure)
    clusters = np.array([record.scene for record in evaluation.records])
    result: list[tuple[float, float, float] | None] = []
    for low_edge, high_edge in pairwise(edges):
        inside = (distance >= low_edge) & (distance < high_edge) & np.isfinite(values)
        if not inside.any():
            result.append(None)
            continue
        low, high = bootstrap_interval(values[inside], clusters[inside].tolist(), evaluation.seed)
        result.append((low, float(values[inside].mean()), high))
    return result
