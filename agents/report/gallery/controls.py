"""What sorts and filters the gallery, and the map's legend."""

from __future__ import annotations

from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.report.formatting import style_of
from batchsim.agents.report.gallery.episode_choice import has_success
from batchsim.agents.report.gallery.progress import has_goal

_FILTERS = (("all", "All"), ("failure", "Failures"), ("success", "Successes"))


def gallery_controls(evaluation: Evaluation) -> str:
    """Buttons by outcome where the task has one, the order by each measure, and what the map's colours mean."""
    record = evaluation.records[0]
    orders = [("outcome", "Worst first")]
    orders += [(name, style_of(name).title) for name in evaluation.measures if name != "success"]
    if has_goal(record):
        orders.append(("start", "Distance to walk"))
    options = "".join(f'<option value="{value}">{name}</option>' for value, name in orders)
    return (
        f'<div class="controls">{_filters() if has_success(record) else ""}'
        f'<label>Sort by <select id="sort">{options}</select></label>'
        '<button type="button" id="direction" aria-label="Turn the order round" title="Turn the order round">↓</button>'
        f"{_legend(has_goal(record))}</div>"
    )


def _filters() -> str:
    buttons = "".join(
        f'<button type="button" data-filter="{value}" aria-pressed="{str(value == "all").lower()}">{name}</button>'
        for value, name in _FILTERS
    )
    return f'<span class="segments" role="group" aria-label="Show">{buttons}</span>'


def _legend(goal: bool) -> str:
    names = ["walked", *(["shortest"] if goal else []), "start", *(["goal"] if goal else [])]
    marks = "".join(f'<span><i class="{name}"></i>{name}</span>' for name in names)
    return f'<span class="map-legend">{marks}<span><i class="unseen"></i>never in sight</span></span>'
