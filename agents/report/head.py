"""The top of the page: the first agent's most important result, and facts about its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchsim.agents.report.formatting import MeasureStyle, duration, style_of
from batchsim.agents.report.plots.curves import last_known
from batchsim.agents.report.reported_run import ReportedRun
from batchsim.agents.report.training_speed import busy_text, frames_text


@dataclass(frozen=True)
class Head:
    """The headline result.

    Attributes:
        number: The rounded mean of the most important measure, without its unit.
        unit: Its unit.
        mean: The mean, not rounded.
        measure: The measure's name within a sentence.
        explanation: What it measures.
        episodes: Number of episodes.
        where: Number and set of scenes.
        interval: The 95% interval.
        second: The second measure with its interval; empty if there is none.
        facts: Names and values of facts about the training.
    """

    number: str
    unit: str
    mean: float
    measure: str
    explanation: str
    episodes: int
    where: str
    interval: str
    second: str
    facts: tuple[tuple[str, str], ...]


def page_head(run: ReportedRun) -> Head:
    """The headline result of `run`."""
    evaluation = run.evaluation
    summary = evaluation.summary()
    scene_count = len({record.scene for record in evaluation.records})
    unseen = _unseen(evaluation.scenes, training_scenes(run.config))
    measure, *others = evaluation.measures
    style, figure = style_of(measure), summary[measure]
    number, unit = _split_unit(style, figure["mean"])
    return Head(
        number=number,
        unit=unit,
        mean=figure["mean"],
        measure=_in_sentence(style.title),
        explanation=style.explanation,
        episodes=summary["episodes"],
        where=f"{scene_count} {'unseen ' if unseen else ''}scene{'s' * (scene_count != 1)}, {evaluation.scenes}",
        interval=f"95% interval {style.range_text(*figure['ci95'])}{'%' if style.percent else style.unit}",
        second=_with_interval(others[0], summary[others[0]]) if others else "",
        facts=tuple(_facts(run)),
    )


def _split_unit(style: MeasureStyle, mean: float) -> tuple[str, str]:
    """The rounded mean and its unit."""
    text, unit = style.text(mean), "%" if style.percent else style.unit
    return (text.removesuffix(unit), unit) if unit and text.endswith(unit) else (text, "")


def _with_interval(measure: str, figure: Mapping[str, Any]) -> str:
    style = style_of(measure)
    return f"{style.title} {style.text(figure['mean'])} ({style.range_text(*figure['ci95'])})"


def _in_sentence(title: str) -> str:
    """`title` with a small first letter, unless it is an abbreviation such as SPL."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    frames, seconds = last_known(run.curves, "frames"), last_known(run.curves, "seconds")
    facts = []
    if trained_on := training_scenes(run.config):
        facts.append(("Trained on", trained_on))
    if frames:
        facts.append(("Frames", frames_text(frames, run.config)))
    if seconds:
        facts.append(("Training time", duration(seconds)))
    if frames and seconds:
        facts.append(("Frames/s", f"{frames / seconds:,.0f}"))
    elif fps := last_known(run.curves, "fps"):
        facts.append(("Frames/s", f"{fps:,.0f}"))
    if busy := busy_text(run.curves):
        facts.append(("Machine", busy))
    return facts


def training_scenes(config: Mapping[str, Any]) -> str:
    """The value of the outermost key `scenes` in `config`; empty if there is none."""
    level: Sequence[Mapping[str, Any]] = [config]
    while level:
        for mapping in level:
            if mapping.get("scenes"):
                found = mapping["scenes"]
                return ", ".join(map(str, found)) if isinstance(found, (list, tuple)) else str(found)
        level = [value for mapping in level for value in mapping.values() if isinstance(value, Mapping)]
    return ""


def _unseen(evaluated: str, trained: str) -> bool:
    """Whether two different sets are named; options after "?" are ignored."""
    return bool(trained) and evaluated.split("?")[0] not in {part.split("?")[0] for part in trained.split(", ")}
