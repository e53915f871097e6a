"""Which controls the gallery has: filters, sort orders and the map's legend."""

from __future__ import annotations

from dataclasses import dataclass

from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.report.formatting import style_of


@dataclass(frozen=True)
class Controls:
    """The gallery's controls.

    Attributes:
        has_filters: Whether to filter by success and failure.
        orders: Keys and titles of the sort orders.
        legend: The map's marks, as CSS class and text.
    """

    has_filters: bool
    orders: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str], ...]


def gallery_controls(evaluation: Evaluation) -> Controls:
    """The controls for the task of `evaluation`."""
    record = evaluation.records[0]
    orders = [("outcome", "Worst first")]
    orders += [(name, style_of(name).title) for name in evaluation.measures if name != "success"]
    if record.has_goal:
        orders.append(("start", "Start distance"))
    names = ["path", *(["shortest"] if record.has_goal else []), "start", *(["goal"] if record.has_goal else [])]
    texts = {"path": "path taken", "shortest": "shortest path"}
    legend = [(name, texts.get(name, name)) for name in names]
    return Controls(record.has_success, tuple(orders), (*legend, ("unseen", "never seen")))
