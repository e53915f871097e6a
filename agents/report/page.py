"""Puts the report's page together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import Evaluation, LeftOut
from batchsim.agents.report.formatting import escape
from batchsim.agents.report.gallery.fog import AgentView
from batchsim.agents.report.gallery.gallery import gallery as episode_gallery
from batchsim.agents.report.head import page_head
from batchsim.agents.report.plots.curves import learning_curves
from batchsim.agents.report.plots.distances import distance_charts
from batchsim.agents.report.run import ReportedRun
from batchsim.agents.report.tables import comparison_table, scene_table
from batchsim.scenes import Scene
from batchsim.scenes.atomic_files import atomic_write

_MOST_LEFT_OUT = 50


def write_report(
    path: str | os.PathLike[str],
    runs: Sequence[ReportedRun],
    scenes: Mapping[str, Scene],
    title: str | None = None,
    gallery: int = 200,
    sight: AgentView | None = None,
) -> Path:
    """Write the report of `runs` as one self-contained HTML file and return its path.

    - `runs`: the agent in question first, then those it is compared with.
    - `scenes`: by name, for the maps; an episode in a scene that is missing is drawn without one.
    - `gallery`: how many episodes are shown on maps.
    - `sight`: how the agents see, for what they had in sight; None: as environments have it by default.

    Raises `AgentError` if there is no evaluation or one without episodes.
    """
    runs = list(runs)
    evaluations = [run.evaluation for run in runs]
    _check(evaluations)
    first = evaluations[0]
    shown = episode_gallery(runs, scenes, gallery, sight or AgentView()) if gallery else ""
    page = Template(_part("template.html")).substitute(
        title=escape(title or _title(runs)),
        style=_part("style.css"),
        script=_part("script.js") + _part("player.js"),
        head=page_head(runs[0]),
        comparison=_comparison(evaluations),
        training=_section("training", "Training", learning_curves(runs)),
        distances=_section("distance", "Near and far goals", distance_charts(evaluations)),
        gallery=_section("episodes", "Episodes", shown),
        left_out=_section("left-out", "Left out", _left_out(evaluations)),
        scenes=_folded("Scene by scene", scene_table(first), "scenes"),
        config=_folded("Configuration", _configs(runs), "config"),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return atomic_write(path, page)


def _check(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise AgentError("A report needs at least one evaluation; the first is that of the agent in question.")
    for evaluation in evaluations:
        if not evaluation.records:
            raise AgentError(f"The evaluation of {evaluation.agent!r} holds no episodes; there is nothing to report.")


def _title(runs: Sequence[ReportedRun]) -> str:
    """The trained agents, or the first where none was trained, and the scenes."""
    trained = [run.evaluation.agent for run in runs if run.config or run.curves]
    names = trained if len(trained) > 1 else [runs[0].evaluation.agent]
    return f"{' and '.join(names)} on {runs[0].evaluation.scenes}"


def _part(name: str) -> str:
    return files("batchsim.agents.report").joinpath(name).read_text(encoding="utf-8")


def _comparison(evaluations: Sequence[Evaluation]) -> str:
    several = len({record.scene for record in evaluations[0].records}) > 1
    drawn = "whole scenes" if several else "the episodes of the one scene, and for that scene alone"
    note = f"Means with 95% intervals, from resampling {drawn}."
    if len(evaluations) > 1:
        note += " The same episodes for all." if _same_episodes(evaluations) else " Not all ran the same episodes."
        note += " The best mean is marked."
    return f'<p class="note">{note}</p>{comparison_table(evaluations)}'


def _same_episodes(evaluations: Sequence[Evaluation]) -> bool:
    sets = [{(record.scene, record.episode_id) for record in evaluation.records} for evaluation in evaluations]
    return all(one == sets[0] for one in sets)


def _left_out(evaluations: Sequence[Evaluation]) -> str:
    """The episodes that could not be run, each once, with the reason."""
    episodes: dict[LeftOut, None] = {episode: None for one in evaluations for episode in one.left_out}
    if not episodes:
        return ""
    shown = list(episodes)[:_MOST_LEFT_OUT]
    rows = "".join(
        f'<tr><th scope="row">{escape(episode.scene)}</th><td>{escape(episode.episode_id)}</td>'
        f"<td>{escape(episode.reason)}</td></tr>"
        for episode in shown
    )
    more = f" The first {len(shown)} are listed." if len(shown) < len(episodes) else ""
    return (
        f'<p class="note">{len(episodes)} episode{"s" * (len(episodes) > 1)} could not be run; no figure counts '
        f'{"them" if len(episodes) > 1 else "it"}.{more}</p><div class="scroll tall" tabindex="0" role="region" '
        'aria-label="Left out"><table class="left-out"><thead><tr><th scope="col">Scene</th><th scope="col">Episode'
        f'</th><th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{content}</section>' if content else ""


def _folded(title: str, content: str, name: str) -> str:
    if not content:
        return ""
    return f'<section id="{name}"><details><summary><h2>{title}</h2></summary>{content}</details></section>'


def _configs(runs: Sequence[ReportedRun]) -> str:
    """Each trained agent's, under its name where there are several."""
    configured = [run for run in runs if run.config]
    parts = []
    for run in configured:
        name = f"<h3>{escape(run.evaluation.agent)}</h3>" if len(configured) > 1 else ""
        parts.append(f"{name}<pre>{escape(_pretty(run.config))}</pre>")
    return "".join(parts)


def _pretty(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str, ensure_ascii=False)
