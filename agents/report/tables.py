"""The report's tables: agents compared, results by scene, and episodes that could not be run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchsim.agents.evaluation.results import Evaluation, LeftOut
from batchsim.agents.report.formatting import MeasureStyle, finite, series, style_of

_MOST_LEFT_OUT = 50
_UNKNOWN = {"mean": math.nan, "ci95": (math.nan, math.nan)}


@dataclass(frozen=True)
class Bar:
    """An interval in [0, 1], in percent: its left end, its width and the mean."""

    left: str
    width: str
    mean: str


@dataclass(frozen=True)
class Cell:
    """A measure's mean: `exact` for sorting (empty if not finite), `text` to show; the rest is optional."""

    measure: str
    exact: str
    text: str
    interval: str = ""
    is_best: bool = False
    bar: Bar | None = None
    filled: str = ""


@dataclass(frozen=True)
class Row:
    """An agent or a scene with its cells."""

    name: str
    cells: tuple[Cell, ...]
    series: str = ""
    episodes: int = 0


@dataclass(frozen=True)
class Table:
    """Columns by measure, and rows."""

    columns: tuple[MeasureStyle, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class LeftOutTable:
    """Episodes that could not be run: the first of them, and how many there are."""

    shown: tuple[LeftOut, ...]
    total: int


def comparison_table(evaluations: Sequence[Evaluation]) -> Table:
    """All measures of all agents with 95% intervals; the best mean of each measure is marked."""
    summaries = [evaluation.summary() for evaluation in evaluations]
    measures = evaluations[0].measures
    best = {name: _best(name, [_mean(summary, name) for summary in summaries]) for name in measures}
    rows = [
        Row(
            evaluation.agent,
            tuple(_cell(name, summary.get(name, _UNKNOWN), i in best[name]) for name in measures),
            series(i),
        )
        for i, (evaluation, summary) in enumerate(zip(evaluations, summaries, strict=True))
    ]
    return Table(tuple(map(style_of, measures)), tuple(rows))


def comparison_note(evaluations: Sequence[Evaluation]) -> str:
    """What the comparison's numbers are."""
    several = len({record.scene for record in evaluations[0].records}) > 1
    note = "Means with 95% bootstrap intervals, which "
    note += "resample whole scenes." if several else "resample episodes; they hold for this one scene."
    if len(evaluations) > 1:
        same = _same_episodes(evaluations)
        note += " All agents ran the same episodes." if same else " The agents ran different episodes."
        note += " The best mean is marked."
    return note


def scene_table(evaluation: Evaluation) -> Table:
    """Means of one agent's measures by scene."""
    rows = [
        Row(
            scene,
            tuple(_scene_cell(name, means[name]) for name in evaluation.measures),
            episodes=int(means["episodes"]),
        )
        for scene, means in evaluation.per_scene().items()
    ]
    return Table(tuple(map(style_of, evaluation.measures)), tuple(rows))


def category_table(evaluation: Evaluation) -> Table | None:
    """Means of one agent's measures with 95% intervals, by the goal's category; None for tasks without categories."""
    rows = [
        Row(
            name,
            tuple(_cell(measure, figures[measure], False) for measure in evaluation.measures),
            episodes=figures["episodes"],
        )
        for name, figures in evaluation.per_category().items()
    ]
    return Table(tuple(map(style_of, evaluation.measures)), tuple(rows)) if rows else None


def left_out_table(evaluations: Sequence[Evaluation]) -> LeftOutTable | None:
    """The episodes that could not be run, each once; None if there are none."""
    episodes: dict[LeftOut, None] = {episode: None for one in evaluations for episode in one.left_out}
    return LeftOutTable(tuple(episodes)[:_MOST_LEFT_OUT], len(episodes)) if episodes else None


def _same_episodes(evaluations: Sequence[Evaluation]) -> bool:
    sets = [{record.key for record in evaluation.records} for evaluation in evaluations]
    return all(one == sets[0] for one in sets)


def _mean(summary: Mapping[str, Any], measure: str) -> float:
    return summary.get(measure, _UNKNOWN)["mean"]


def _best(measure: str, means: Sequence[float]) -> set[int]:
    """Who is best at a measure; empty if the measure has no better direction, or if there is no competitor."""
    known = [style_of(measure).better * mean for mean in means if math.isfinite(mean)]
    if not style_of(measure).better or len(known) < 2:
        return set()
    return {i for i, mean in enumerate(means) if style_of(measure).better * mean == max(known)}


def _cell(measure: str, figure: Mapping[str, Any], is_best: bool) -> Cell:
    style = style_of(measure)
    mean, (low, high) = figure["mean"], figure["ci95"]
    interval, bar = style.range_text(low, high), _bar(style, mean, low, high)
    return Cell(measure, _exact(mean), style.text(mean), interval, is_best, bar)


def _bar(style: MeasureStyle, mean: float, low: float, high: float) -> Bar | None:
    """The interval of a share."""
    if not style.share or not all(map(math.isfinite, (mean, low, high))):
        return None
    return Bar(f"{100 * low:.1f}%", f"{max(100 * (high - low), 0.0):.1f}%", f"{100 * mean:.1f}%")


def _scene_cell(measure: str, mean: float) -> Cell:
    style = style_of(measure)
    filled = f"{100 * mean:.0f}%" if style.share and math.isfinite(mean) else ""
    return Cell(measure, _exact(mean), style.text(mean), filled=filled)


def _exact(value: float) -> str:
    return "" if finite(value) is None else repr(float(value))
