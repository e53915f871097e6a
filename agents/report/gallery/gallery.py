"""The gallery: episodes as cards that can be sorted, and the data from which they are played."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.report.formatting import as_changes, as_json, escape, finite, series, style_of
from batchsim.agents.report.gallery.clips import Clip, make_clip
from batchsim.agents.report.gallery.controls import gallery_controls
from batchsim.agents.report.gallery.episode_choice import Choice, choose_episodes, has_success, succeeded
from batchsim.agents.report.gallery.fog import AgentView, FogMap
from batchsim.agents.report.gallery.maps import MapImage, draw_map
from batchsim.agents.report.gallery.playback import Stage, stage_of
from batchsim.agents.report.run import ReportedRun
from batchsim.scenes import Scene

_LONG_NAME = 24
_FILM_MARK = '<span class="film-mark" title="With images">▶</span>'


@dataclass(frozen=True)
class _Run:
    """One agent's run of one episode; `color` is the agent's number."""

    color: int
    agent: str
    record: EpisodeRecord
    clip: int | None


def gallery(runs: Sequence[ReportedRun], scenes: Mapping[str, Scene], count: int, sight: AgentView) -> str:
    """The shared maps, the cards, the films and the data for playing them as HTML."""
    first = runs[0].evaluation
    choice = choose_episodes(first, count)
    chosen = [first.records[i] for i in choice.chosen]
    names = sorted({record.scene for record in chosen if record.scene in scenes})
    maps = {name: draw_map(scenes[name]) for name in names}
    fog_maps = {name: FogMap(image, sight) for name, image in maps.items()}
    clips, clip_of = _clips(runs)
    by_episode = [{(record.scene, record.episode_id): record for record in run.evaluation.records} for run in runs]
    cards, plays = [], []
    for rank, record in enumerate(chosen):
        key = (record.scene, record.episode_id)
        same = [
            _Run(color, run.evaluation.agent, by_episode[color][key], clip_of.get((color, *key)))
            for color, run in enumerate(runs)
            if key in by_episode[color]
        ]
        image, fog_map = maps.get(record.scene), fog_maps.get(record.scene)
        stage = stage_of(record, [run.record for run in same], image, fog_map)
        map_id = names.index(record.scene) if image else None
        cards.append(_card(rank, same, stage, map_id, first.measures))
        plays.append(_play(same, stage, map_id, first.measures, clips))
    shared = "".join(_shared_map(i, maps[name]) for i, name in enumerate(names))
    return (
        f'<p class="note">{_told(choice, first, len(clips))}</p>{gallery_controls(first)}'
        f'<svg class="shared" width="0" height="0" aria-hidden="true"><defs>{shared}{_FOG_FILTERS}</defs></svg>'
        f'<ol class="gallery" id="gallery" data-hfov="{sight.hfov:g}">{"".join(cards)}</ol>'
        + "".join(_film(number, clip) for number, clip in enumerate(clips))
        + f'<script type="application/json" id="episode-data">{as_json(plays)}</script>'
    )


def _fog_filter(name: str) -> str:
    """Turns a image of steps into fog where they come after the present one; the script moves the threshold."""
    return (
        f'<filter id="{name}" color-interpolation-filters="sRGB" x="0" y="0" width="1" height="1">'
        '<feColorMatrix values="0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  255 0 0 0 -254"/>'
        '<feGaussianBlur stdDeviation="1.5" result="shape"/><feFlood class="fog-color"/>'
        '<feComposite operator="in" in2="shape"/></filter>'
    )


_FOG_FILTERS = _fog_filter("unseen") + _fog_filter("fog-now")


def _clips(runs: Sequence[ReportedRun]) -> tuple[list[Clip], dict[tuple[int, str, str], int]]:
    """All films as clips, and their numbers by agent's number, scene and episode."""
    clips: list[Clip] = []
    numbers = {}
    for color, run in enumerate(runs):
        for film in run.films:
            numbers[color, film.scene, film.episode_id] = len(clips)
            clips.append(make_clip(film))
    return clips, numbers


def _told(choice: Choice, evaluation: Evaluation, films: int) -> str:
    total, shown = len(evaluation.records), len(choice.chosen)
    seen = f" {films} {'runs have' if films > 1 else 'run has'} images of what the agent saw (▶)." if films else ""
    if shown == total:
        return (
            f"All {total} episodes. A click plays one." if total > 1 else "The one episode. A click plays it."
        ) + seen
    successes = shown - choice.failures_shown
    parts = []
    if choice.failures_shown:
        which = "all" if choice.failures_shown == choice.failures else "the worst"
        parts.append(f"{which} {choice.failures_shown} of {choice.failures} failures")
    if not has_success(evaluation.records[0]):
        parts.append("spread evenly from the worst to the best")
    elif successes:
        spread = ", spread evenly over SPL" if successes < total - choice.failures else ""
        parts.append(f"{successes} of {total - choice.failures} successes{spread}")
    return f"{shown} of {total} episodes: {' and '.join(parts)}. A click plays one.{seen}"


def _shared_map(number: int, image: MapImage) -> str:
    return f'<image id="map-{number}" href="{image.uri}" width="{image.width}" height="{image.height}"/>'


def _film(number: int, clip: Clip) -> str:
    return f'<script type="text/plain" id="film-{number}">{clip.video.base64}</script>'


def _card(rank: int, runs: Sequence[_Run], stage: Stage, map_id: int | None, measures: Sequence[str]) -> str:
    record = runs[0].record
    values = json.dumps({name: finite(record.measures[name]) for name in measures} | {"start": _start(record)})
    rivals = "".join(_rival(run, measures) for run in runs[1:])
    return (
        f'<li class="card" data-outcome="{_outcome(record)}" data-rank="{rank}" data-values="{escape(values)}">'
        f'<button type="button" data-episode="{rank}">'
        f'<span class="image">{stage.thumbnail(map_id, rank)}{_FILM_MARK if runs[0].clip is not None else ""}</span>'
        f'<span class="facts"><span class="first">{_headline(record, measures)}</span>'
        f'<span class="second"><span class="name" title="{escape(record.scene)}">{escape(_short(record.scene))}</span>'
        f"{_aside(record, measures)}</span>"
        + (f'<span class="rivals">{rivals}</span>' if rivals else "")
        + "</span></button></li>"
    )


def _outcome(record: EpisodeRecord) -> str:
    return ("success" if succeeded(record) else "failure") if has_success(record) else "none"


def _start(record: EpisodeRecord) -> float | None:
    return finite(record.start_distance)


def _headline(record: EpisodeRecord, measures: Sequence[str]) -> str:
    if not has_success(record):
        name = measures[0]
        return f"<b>{style_of(name).title} {style_of(name).one(record.measures[name])}</b>"
    outcome = _outcome(record)
    return f'<span class="badge {outcome}">{outcome.title()}</span><b>{_how(record, measures)}</b>'


def _aside(record: EpisodeRecord, measures: Sequence[str]) -> str:
    if "distance_to_goal" in record.measures:
        return f"<span>{style_of('distance_to_goal').text(record.start_distance)}</span>"
    if has_success(record) or len(measures) < 2:
        return ""
    return f"<span>{style_of(measures[1]).title} {style_of(measures[1]).one(record.measures[measures[1]])}</span>"


def _short(scene: str) -> str:
    """Of a long path its last part."""
    return scene if len(scene) <= _LONG_NAME else "…/" + scene.rsplit("/", 1)[-1]


def _rival(run: _Run, measures: Sequence[str]) -> str:
    told = _how(run.record, measures)
    return (
        f'<span class="rival {_outcome(run.record)} {series(run.color)}"><i></i>{escape(run.agent)}<b>{told}</b></span>'
    )


def _how(record: EpisodeRecord, measures: Sequence[str]) -> str:
    """In a few letters how well it went."""
    found = record.measures
    if "distance_to_goal" in found and has_success(record):
        left = style_of("distance_to_goal").text(found["distance_to_goal"])
        return f"SPL {found['spl']:.2f}" if succeeded(record) and "spl" in found else f"{left} short"
    name = next((name for name in measures if name != "success"), measures[0])
    return style_of(name).one(found[name])


def _play(
    runs: Sequence[_Run], stage: Stage, map_id: int | None, measures: Sequence[str], clips: Sequence[Clip]
) -> dict:
    """What the page's script needs to play one episode."""
    record = runs[0].record
    told = [name for name in measures if name != "success"]
    return {
        "scene": record.scene,
        "episode": record.episode_id,
        "distance": _start(record) if stage.goal else None,
        "map": map_id,
        **stage.data(),
        "runs": [
            {
                "agent": run.agent,
                "color": run.color,
                "outcome": _outcome(run.record),
                "facts": {style_of(name).title: style_of(name).one(run.record.measures[name]) for name in told},
                "x": as_changes(stage.points[i][:, 0], 10),
                "y": as_changes(stage.points[i][:, 1], 10),
                "headings": as_changes(stage.headings[i], 100),
                "progress": as_changes(stage.progress[i], 100),
                # The first run's lies in the card already.
                "fog": stage.fogs[i] if i else "",
                "film": None if run.clip is None else clips[run.clip].data(run.clip),
            }
            for i, run in enumerate(runs)
        ],
    }
