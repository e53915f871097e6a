"""The page of a study: results and gaps by the number of homes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batchsim.agents.generalisation.gap import RunResults
from batchsim.agents.report.formatting import MeasureStyle, style_of
from batchsim.agents.report.plots.charts import Chart, Dots, dot_chart
from batchsim.agents.report.templating import render, static_file
from batchsim.scenes.atomic_files import atomic_write


def write_page(results: Sequence[RunResults], path: Path) -> Path:
    """Writes the HTML page; it needs no other files."""
    measures = results[0].measures
    charts = [chart for name in measures for chart in (conditions_chart(results, name), gap_chart(results, name))]
    page = render(
        "generalisation.html",
        title="Generalisation to unseen homes",
        style=static_file("style.css"),
        charts=charts,
        columns=[style_of(name) for name in measures],
        rows=[row for result in results for row in _rows(result)],
        mode="most likely" if next(iter(results[0].evaluations.values())).deterministic else "sampled",
    )
    return atomic_write(path, page)


def conditions_chart(results: Sequence[RunResults], measure: str) -> Chart:
    """A measure in each condition, by the number of homes."""
    names = list(dict.fromkeys(name for result in results for name in result.evaluations))
    groups = [
        Dots(name, [_triple(result.evaluations[name].summary()[measure]) if name in result.evaluations else None
                    for result in results], color)
        for color, name in enumerate(names)
    ]  # fmt: skip
    style = style_of(measure)
    return dot_chart(f"{style.title} by number of training homes", _bins(results), groups, style.share)


def gap_chart(results: Sequence[RunResults], measure: str) -> Chart:
    """The gap between training homes and unseen ones, by the number of homes."""
    gaps = [_triple(result.gap(measure)) for result in results]
    title = f"{style_of(measure).title}: training homes less unseen homes"
    return dot_chart(title, _bins(results), [Dots("gap", gaps)], unit_interval=False)


def _bins(results: Sequence[RunResults]) -> list[str]:
    return [str(result.homes) for result in results]


def _triple(figure: dict[str, Any]) -> tuple[float, float, float]:
    low, high = figure["ci95"]
    return low, figure["mean"], high


def _rows(result: RunResults) -> list[dict[str, Any]]:
    """The table's rows of one run: each condition, then the gap."""
    rows = [
        {"run": result.run, "homes": result.homes, "condition": name, "cells": _cells(result, evaluation.summary())}
        for name, evaluation in result.evaluations.items()
    ]
    gaps = {name: result.gap(name) for name in result.measures}
    return [*rows, {"run": result.run, "homes": result.homes, "condition": "gap", "cells": _cells(result, gaps)}]


def _cells(result: RunResults, summary: dict[str, Any]) -> list[tuple[str, str]]:
    def cell(style: MeasureStyle, figure: dict[str, Any]) -> tuple[str, str]:
        return style.text(figure["mean"]), style.range_text(*figure["ci95"])

    return [cell(style_of(name), summary[name]) for name in result.measures]
