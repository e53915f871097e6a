"""Evaluates runs that were trained in different numbers of homes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.generalisation.conditions import Condition, conditions_of
from batchsim.agents.generalisation.gap import RunResults, in_order
from batchsim.agents.generalisation.pages import write_page
from batchsim.agents.report.plots.curves import last_known
from batchsim.agents.runs.run_log import read_curves
from batchsim.scenes import resolve
from batchsim.scenes.atomic_files import atomic_write

Evaluate = Callable[[Candidate, Condition], Evaluation]


def study(runs: Sequence[Candidate], unseen: str, evaluate: Evaluate) -> list[RunResults]:
    """Evaluates each run in all its conditions.

    Args:
        runs: The trained runs.
        unseen: The scene set that none of them was trained in.
        evaluate: Evaluates a candidate in a condition.

    Returns:
        The results, by rising number of homes.

    Raises:
        AgentError: If a candidate is no trained run, or was trained in the unseen set.
    """
    for run in runs:
        if run.run is None or run.policy is None:
            raise AgentError(f"--generalisation compares trained runs; {run.name} is none.")
        if {source.name for source in resolve(run.config.scenes)} & {source.name for source in resolve(unseen)}:
            raise AgentError(
                f"{run.run} was trained in homes of {unseen}; name a set with --scenes that it has not seen."
            )
    results = []
    for run in runs:
        found = {
            condition.name: evaluate(condition.candidate(run), condition) for condition in conditions_of(run, unseen)
        }
        frames = last_known(read_curves(run.run), "frames") if run.run else None
        homes = len(resolve(run.config.scenes))
        results.append(RunResults(run.name, homes, None if frames is None else int(frames), found))
    return in_order(results)


def write_study(results: Sequence[RunResults], out: Path) -> Path:
    """Writes generalisation.json and generalisation.html into the folder `out`; returns the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    data = {"runs": [result.to_json() for result in results]}
    atomic_write(out / "generalisation.json", json.dumps(data, indent=1, allow_nan=False) + "\n")
    page = write_page(results, out / "generalisation.html")
    print(f"Report: {page.resolve()}", file=sys.stderr)
    return page
