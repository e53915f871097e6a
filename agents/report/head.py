"""The top of the page: the first agent's figure that matters most, and what it was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchsim.agents.report.formatting import MeasureStyle, duration, escape, short_number, style_of
from batchsim.agents.report.plots.curves import last_known
from batchsim.agents.report.run import ReportedRun


def page_head(run: ReportedRun) -> str:
    """The headline figure with its interval, the scenes, and the training's facts as HTML."""
    evaluation = run.evaluation
    figures = evaluation.summary()
    scene_count = len({record.scene for record in evaluation.records})
    unseen = _unseen(evaluation.scenes, training_scenes(run.config))
    where = f"{scene_count} {'unseen ' if unseen else ''}scene{'s' * (scene_count != 1)}, {evaluation.scenes}"
    measure, *others = evaluation.measures
    style, figure = style_of(measure), figures[measure]
    number, unit = _number(style, figure["mean"])
    interval = f"95% interval {style.range_text(*figure['ci95'])}{'%' if style.percent else style.unit}"
    second = f"<span>{_figure_text(others[0], figures[others[0]])}</span>" if others else ""
    facts = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(run))
    return (
        f'<div class="key-figure"><p class="number" data-value="{figure["mean"]!r}">{number}<small>{unit}</small></p>'
        f'<p class="meaning" title="{escape(style.explanation)}"><span><b>{_in_sentence(style.title)}</b> in '
        f"{figures['episodes']} episodes</span><span>{escape(where)}</span><span>{interval}</span>{second}</p></div>"
        + (f'<dl class="facts-grid">{facts}</dl>' if facts else "")
    )


def _number(style: MeasureStyle, mean: float) -> tuple[str, str]:
    """A figure and its unit, apart."""
    text, unit = style.text(mean), "%" if style.percent else style.unit
    return (text.removesuffix(unit), unit) if unit and text.endswith(unit) else (text, "")


def _figure_text(measure: str, figure: Mapping[str, Any]) -> str:
    style = style_of(measure)
    return f"{style.title} {style.text(figure['mean'])} ({style.range_text(*figure['ci95'])})"


def _in_sentence(title: str) -> str:
    """ "Success" reads "success" within a line; names in capitals stay."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    frames, seconds = last_known(run.curves, "frames"), last_known(run.curves, "seconds")
    facts = []
    if trained_on := training_scenes(run.config):
        facts.append(("Trained on", trained_on))
    if frames:
        facts.append(("Frames", short_number(frames)))
    if seconds:
        facts.append(("Training time", duration(seconds)))
    if frames and seconds:
        facts.append(("Frames a second", f"{frames / seconds:,.0f}"))
    elif fps := last_known(run.curves, "fps"):
        facts.append(("Frames a second", f"{fps:,.0f}"))
    return facts


def training_scenes(config: Mapping[str, Any]) -> str:
    """The value of the outermost key `scenes` in `config`, empty if there is none."""
    level: Sequence[Mapping[str, Any]] = [config]
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
