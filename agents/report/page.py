"""Puts the report's page together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from agents.errors import AgentError
from agents.evaluation import Evaluation
from agents.report.curves import last_known, learning_curves
from agents.report.distances import distance_charts
from agents.report.formatting import STYLES, duration, escape, short_number
from agents.report.gallery import gallery as episode_gallery
from agents.report.tables import comparison_table, scene_table
from scenes import Scene


def write_report(
    path: str | os.PathLike[str],
    evaluations: Sequence[Evaluation],
    scenes: Mapping[str, Scene],
    curves: Sequence[Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    title: str | None = None,
    gallery: int = 24,
) -> Path:
    """Write the report of `evaluations` as one self-contained HTML file and return its path.

    - `evaluations`: the trained agent's first, then those it is compared with, best on the same episodes.
    - `scenes`: by name, for the maps; an episode in a scene that is missing is drawn without one.
    - `curves`: the lines of the training log (`frames`, `seconds`, `success`, `spl`, …), any of them may be missing.
    - `config`: what the agent was trained with; shown as it is, and `scenes` in it names the training set.
    - `gallery`: how many episodes are shown on maps.

    Raises `AgentError` if there is no evaluation or one without episodes.
    """
    _check(evaluations)
    curves, config = list(curves or ()), dict(config or {})
    first = evaluations[0]
    page = Template(_part("template.html")).substitute(
        title=escape(title or f"{first.agent} on {first.scenes}"),
        style=_part("style.css"),
        script=_part("script.js"),
        head=_head(first, curves, config),
        comparison=_comparison(evaluations),
        training=_section("training", "Training", learning_curves(curves)),
        distances=_section("distance", "Near and far goals", distance_charts(evaluations)),
        gallery=_section("episodes", "Episodes", episode_gallery(evaluations, scenes, gallery) if gallery else ""),
        scenes=_folded("Scene by scene", scene_table(first), "scenes"),
        config=_folded("Configuration", f"<pre>{escape(_pretty(config))}</pre>" if config else "", "config"),
    )
    return _replace(Path(path), page)


def _check(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise AgentError("A report needs at least one evaluation; the first is the trained agent's.")
    for evaluation in evaluations:
        if not evaluation.records:
            raise AgentError(f"The evaluation of {evaluation.agent!r} holds no episodes; there is nothing to report.")


def _part(name: str) -> str:
    return files("agents.report").joinpath(name).read_text(encoding="utf-8")


def _replace(path: Path, page: str) -> Path:
    """Write beside, then rename, so that a reader never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(page, encoding="utf-8")
    os.replace(beside, path)
    return path


def _head(evaluation: Evaluation, curves: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    figures = evaluation.summary()
    scene_count = len({record.scene for record in evaluation.records})
    unseen = _unseen(evaluation.scenes, training_scenes(config))
    where = f"{scene_count} {'unseen ' if unseen else ''}scene{'s' * (scene_count != 1)}, {evaluation.scenes}"
    success, spl = figures["success"], figures["spl"]
    low, high = (f"{100 * end:.1f}" for end in success["ci95"])
    facts = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(curves, config))
    return (
        f'<div class="key-figure"><p class="number" data-value="{success["mean"]!r}">'
        f"{100 * success['mean']:.1f}<small>%</small></p>"
        f'<p class="meaning"><span><b>success</b> in {figures["episodes"]} episodes</span>'
        f"<span>{escape(where)}</span><span>95% interval {low} to {high}%</span>"
        f"<span>SPL {STYLES['spl'].text(spl['mean'])} ({STYLES['spl'].range_text(*spl['ci95'])})</span></p></div>"
        + (f'<dl class="facts-grid">{facts}</dl>' if facts else "")
    )


def _facts(curves: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    frames, seconds = last_known(curves, "frames"), last_known(curves, "seconds")
    facts = []
    if trained_on := training_scenes(config):
        facts.append(("Trained on", trained_on))
    if frames:
        facts.append(("Frames", short_number(frames)))
    if seconds:
        facts.append(("Training time", duration(seconds)))
    if frames and seconds:
        facts.append(("Frames a second", f"{frames / seconds:,.0f}"))
    elif fps := last_known(curves, "fps"):
        facts.append(("Frames a second", f"{fps:,.0f}"))
    return facts


def training_scenes(config: Mapping[str, Any]) -> str:
    """The value of the outermost key `scenes` in `config`, empty if there is none."""
    level: list[Mapping[str, Any]] = [config]
    while level:
        for mapping in level:
            if mapping.get("scenes"):
                found = mapping["scenes"]
                return ", ".join(map(str, found)) if isinstance(found, (list, tuple)) else str(found)
        level = [value for mapping in level for value in mapping.values() if isinstance(value, Mapping)]
    return ""


def _unseen(evaluated: str, trained: str) -> bool:
    """Whether both name sets, and different ones; details behind "?" do not count."""
    return bool(trained) and evaluated.split("?")[0] not in {part.split("?")[0] for part in trained.split(", ")}


def _comparison(evaluations: Sequence[Evaluation]) -> str:
    note = "Means with 95% intervals, from resampling whole scenes."
    if len(evaluations) > 1:
        note += " The same episodes for all." if _same_episodes(evaluations) else " Not all ran the same episodes."
        note += " The best mean is marked."
    return f'<p class="note">{note}</p>{comparison_table(evaluations)}'


def _same_episodes(evaluations: Sequence[Evaluation]) -> bool:
    sets = [{(record.scene, record.episode_id) for record in evaluation.records} for evaluation in evaluations]
    return all(one == sets[0] for one in sets)


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{content}</section>' if content else ""


def _folded(title: str, content: str, name: str) -> str:
    if not content:
        return ""
    return f'<section id="{name}"><details><summary><h2>{title}</h2></summary>{content}</details></section>'


def _pretty(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str, ensure_ascii=False)
