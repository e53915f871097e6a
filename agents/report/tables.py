"""The figures as tables: agents against each other, and the first agent scene by scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.report.formatting import escape, finite, series, style_of


def comparison_table(evaluations: Sequence[Evaluation]) -> str:
    """All measures of all agents with 95% intervals as HTML; the best of each measure is marked."""
    summaries = [evaluation.summary() for evaluation in evaluations]
    measures = evaluations[0].measures
    best = {name: _best(name, [_mean(summary, name) for summary in summaries]) for name in measures}
    heads = "".join(f'<th scope="col" title="{style_of(m).explanation}">{_head(m)}</th>' for m in measures)
    rows = []
    for i, (evaluation, summary) in enumerate(zip(evaluations, summaries, strict=True)):
        cells = "".join(_cell(name, summary.get(name, _UNKNOWN), i in best[name]) for name in measures)
        rows.append(
            f'<tr class="{series(i)}"><th scope="row"><span class="key {series(i)}"><i></i>'
            f"{_breakable(evaluation.agent)}</span></th>{cells}</tr>"
        )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Agents compared"><table class="comparison">'
        f'<thead><tr><th scope="col">Agent</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def scene_table(evaluation: Evaluation) -> str:
    """Means of the first agent's measures by scene as HTML, sortable by a click on a column's head."""
    heads = "".join(
        f'<th scope="col" data-sort="number" tabindex="0" title="{style_of(m).explanation}">{style_of(m).title}</th>'
        for m in evaluation.measures
    )
    rows = []
    for scene, means in evaluation.per_scene().items():
        cells = "".join(_plain_cell(name, means[name]) for name in evaluation.measures)
        count = int(means["episodes"])
        rows.append(f'<tr><th scope="row">{escape(scene)}</th><td data-value="{count}">{count}</td>{cells}</tr>')
    return (
        '<div class="scroll tall" tabindex="0" role="region" aria-label="Scene by scene"><table class="scenes"><thead>'
        '<tr><th scope="col" data-sort="text" tabindex="0">Scene</th>'
        f'<th scope="col" data-sort="number" tabindex="0">Episodes</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


_UNKNOWN = {"mean": math.nan, "ci95": (math.nan, math.nan)}


def _mean(summary: Mapping[str, Any], measure: str) -> float:
    return summary.get(measure, _UNKNOWN)["mean"]


def _breakable(name: str) -> str:
    """A path may be broken after its slashes on a narrow screen."""
    return "/<wbr>".join(escape(part) for part in name.split("/"))


def _best(measure: str, means: Sequence[float]) -> set[int]:
    """Who is best at a measure; nobody where more is neither better nor worse, or where there is no rival."""
    known = [style_of(measure).better * mean for mean in means if math.isfinite(mean)]
    if not style_of(measure).better or len(known) < 2:
        return set()
    return {i for i, mean in enumerate(means) if style_of(measure).better * mean == max(known)}


def _head(measure: str) -> str:
    arrow = {1: ' <span class="arrow" aria-label="more is better">↑</span>', 0: ""}
    arrow[-1] = ' <span class="arrow" aria-label="less is better">↓</span>'
    return style_of(measure).title + arrow[style_of(measure).better]


def _cell(measure: str, figure: dict, best: bool) -> str:
    style = style_of(measure)
    mean, (low, high) = figure["mean"], figure["ci95"]
    mark = ' class="best"' if best else ""
    return (
        f'<td{mark} data-measure="{measure}" data-value="{_exact(mean)}"><b>{style.text(mean)}</b>'
        f'<span class="interval">{style.range_text(low, high)}</span>{_bar(measure, mean, low, high)}</td>'
    )


def _bar(measure: str, mean: float, low: float, high: float) -> str:
    """A share's interval drawn on [0, 1]."""
    if not style_of(measure).share or not all(map(math.isfinite, (mean, low, high))):
        return ""
    width = max(100 * (high - low), 0.0)
    return (
        f'<span class="track" aria-hidden="true"><span style="left:{100 * low:.1f}%;width:{width:.1f}%"></span>'
        f'<i style="left:{100 * mean:.1f}%"></i></span>'
    )


def _plain_cell(measure: str, mean: float) -> str:
    style = style_of(measure)
    share = f' style="--share:{100 * mean:.0f}%" class="filled"' if style.share and math.isfinite(mean) else ""
    return f'<td data-value="{_exact(mean)}"{share}>{style.text(mean)}</td>'


def _exact(value: float) -> str:
    return "" if finite(value) is None else repr(float(value))
