"""What shrinking costs and saves: a table of its steps, and their measures over bytes and over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchsim.agents.report.formatting import MeasureStyle, series, short_number, style_of
from batchsim.agents.report.plots.charts import Chart, Point, scatter_chart
from batchsim.agents.runs.shrink_record import Fidelity, ShrinkRecord, ShrinkRow

_BYTES = MeasureStyle("Bytes", "Size of the ONNX file", -1)
_LATENCY = MeasureStyle("Time a step", "Median time of one step in one environment on one CPU core", -1, unit=" µs")
_COSTS = (
    MeasureStyle("Parameters", "Weights and biases", -1),
    MeasureStyle("Not zero", "Parameters that are not zero", -1),
    _BYTES,
    MeasureStyle("MFLOP a step", "Millions of operations; zeros are not left out", -1),
    _LATENCY,
)


@dataclass(frozen=True)
class CostCell:
    """A figure and, if it is a mean, its interval."""

    text: str
    interval: str = ""


@dataclass(frozen=True)
class CostRow:
    """A network with its figures."""

    name: str
    series: str
    cells: tuple[CostCell, ...]


@dataclass(frozen=True)
class Costs:
    """The section of the report about shrinking."""

    note: str
    columns: tuple[MeasureStyle, ...]
    rows: tuple[CostRow, ...]
    charts: tuple[Chart, ...]


def costs(record: ShrinkRecord | None) -> Costs | None:
    """Returns the section; None if there is no record, or one without figures."""
    if record is None or not record.rows:
        return None
    measures = tuple(record.rows[0].measures)
    return Costs(
        note=_note(record),
        columns=(*_COSTS, *map(style_of, measures)),
        rows=tuple(_row(k, row, measures) for k, row in enumerate(record.rows)),
        charts=tuple(_charts(record.rows, measures[0])) if measures else (),
    )


def _note(record: ShrinkRecord) -> str:
    text = "From the teacher to the last step."
    if record.scenes:
        text += f" All ran the same {record.episodes} episodes of {record.scenes}, with 95% intervals."
    text += " Times are medians of ONNX Runtime on one core of the machine that shrank the policy."
    return text + (_fidelity(record.fidelity) if record.fidelity else "")


def _fidelity(found: Fidelity) -> str:
    text = f" Over {found.observations:,} observations, logits of the float file differ by at most "
    text += f"{found.float_difference:.0e} from torch's"
    if found.int8_same_action is None:
        return text + "."
    return text + f", and the int8 file has the same most likely action in {100 * found.int8_same_action:.1f}%."


def _row(k: int, row: ShrinkRow, measures: Sequence[str]) -> CostRow:
    figures = (
        f"{row.parameters:,}",
        f"{row.nonzero:,}",
        f"{row.file_bytes:,}",
        f"{row.flops / 1e6:.2f}",
        f"{row.latency_us:.0f} µs",
    )
    cells = [CostCell(text) for text in figures]
    for name in measures:
        style, figure = style_of(name), row.measures[name]
        cells.append(CostCell(style.text(figure.mean), style.range_text(figure.low, figure.high)))
    return CostRow(row.name, series(k), tuple(cells))


def _charts(rows: Sequence[ShrinkRow], measure: str) -> list[Chart]:
    title = style_of(measure).title
    return [
        _pareto(f"{title} over bytes", rows, measure, lambda row: row.file_bytes, "B"),
        _pareto(f"{title} over time of a step", rows, measure, lambda row: row.latency_us, " µs"),
    ]


def _pareto(
    title: str, rows: Sequence[ShrinkRow], measure: str, cost: Callable[[ShrinkRow], float], unit: str
) -> Chart:
    """The measure over a cost, on a logarithmic axis, with a line through the Pareto front."""
    better = style_of(measure).better or 1
    points = []
    for k, row in enumerate(rows):
        figure = row.measures[measure]
        points.append(Point(row.name, math.log10(cost(row)), (figure.low, figure.mean, figure.high), k))
    front = [
        k
        for k, row in enumerate(rows)
        if not any(_beats(other, row, measure, cost, better) for other in rows if other is not row)
    ]
    return scatter_chart(title, points, front, lambda x: f"{short_number(10**x)}{unit}", style_of(measure).share)


def _beats(a: ShrinkRow, b: ShrinkRow, measure: str, cost: Callable[[ShrinkRow], float], better: int) -> bool:
    """Whether `a` is as good as `b` in measure and cost, and better in one of them."""
    gain = better * (a.measures[measure].mean - b.measures[measure].mean)
    saving = cost(b) - cost(a)
    return gain >= 0 and saving >= 0 and (gain > 0 or saving > 0)
