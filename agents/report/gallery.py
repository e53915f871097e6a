"""The gallery: which episodes are shown, their cards, and the data from which they are played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.evaluation import EpisodeRecord, Evaluation
from agents.report.formatting import STYLES, as_json, escape, finite
from agents.report.maps import MapPicture, draw_map
from agents.report.playback import Stage, stage_of
from scenes import Scene

_LONG_NAME = 24
_OUTCOMES = ("spl", "soft_spl", "distance_to_goal", "collisions", "episode_length", "reward")


@dataclass(frozen=True)
class Choice:
    """The episodes to show: numbers into the evaluation's records, the worst first, and how many failed of all."""

    chosen: tuple[int, ...]
    failures_shown: int
    failures: int


def choose_episodes(records: Sequence[EpisodeRecord], count: int) -> Choice:
    """Up to `count` episodes: the worst failures fill up to half of it, successes spread evenly over SPL the rest.

    A failure is the worse, the less progress it made (SoftSPL), then the farther from the goal it ended. Where one
    kind is scarce the other takes its places.
    """
    ranked = sorted(range(len(records)), key=lambda i: _rank(records[i]))
    failures = [i for i in ranked if not _succeeded(records[i])]
    successes = [i for i in ranked if _succeeded(records[i])]
    fail_count = min(len(failures), max(count // 2, count - len(successes)))
    success_count = min(len(successes), count - fail_count)
    spread = np.linspace(0, len(successes) - 1, success_count).round().astype(int)
    chosen = failures[:fail_count] + [successes[i] for i in spread]
    return Choice(tuple(chosen), fail_count, len(failures))


def _succeeded(record: EpisodeRecord) -> bool:
    return record.measures["success"] > 0.5


def _rank(record: EpisodeRecord) -> tuple[bool, float, float]:
    success = _succeeded(record)
    quality = record.measures["spl" if success else "soft_spl"]
    return success, quality, -record.measures["distance_to_goal"]


def gallery(evaluations: Sequence[Evaluation], scenes: Mapping[str, Scene], count: int) -> str:
    """The shared maps, the cards and the data for playing them as HTML."""
    choice = choose_episodes(evaluations[0].records, count)
    chosen = [evaluations[0].records[i] for i in choice.chosen]
    names = sorted({record.scene for record in chosen if record.scene in scenes})
    maps = {name: draw_map(scenes[name]) for name in names}
    shared = "".join(_shared_map(i, maps[name]) for i, name in enumerate(names))
    rivals = [_by_episode(evaluation) for evaluation in evaluations[1:]]
    cards, plays = [], []
    for rank, record in enumerate(chosen):
        runs = [(0, record)]
        for color, rival in enumerate(rivals, 1):
            same = rival.get((record.scene, record.episode_id))
            runs += [(color, same)] if same else []
        stage = stage_of(record, [run for _, run in runs], maps.get(record.scene))
        map_id = names.index(record.scene) if record.scene in maps else None
        agents = [evaluations[color].agent for color, _ in runs]
        cards.append(_card(rank, record, runs, agents, stage, map_id))
        plays.append(_play(record, runs, agents, stage, map_id))
    return (
        f'<p class="note">{_told(choice, len(evaluations[0].records))}</p>{_controls()}'
        f'<svg class="shared" width="0" height="0" aria-hidden="true"><defs>{shared}</defs></svg>'
        f'<ol class="gallery" id="gallery">{"".join(cards)}</ol>'
        f'<script type="application/json" id="episode-data">{as_json(plays)}</script>'
    )


def _told(choice: Choice, total: int) -> str:
    shown = len(choice.chosen)
    successes = shown - choice.failures_shown
    if shown == total:
        return "The one episode. A click plays it." if total == 1 else f"All {total} episodes. A click plays one."
    parts = []
    if choice.failures_shown:
        which = "all" if choice.failures_shown == choice.failures else "the worst"
        parts.append(f"{which} {choice.failures_shown} of {choice.failures} failures")
    if successes:
        spread = ", spread evenly over SPL" if successes < total - choice.failures else ""
        parts.append(f"{successes} of {total - choice.failures} successes{spread}")
    return f"{shown} of {total} episodes: {' and '.join(parts)}. A click plays one."


def _controls() -> str:
    filters = "".join(
        f'<button type="button" data-filter="{value}" aria-pressed="{str(value == "all").lower()}">{name}</button>'
        for value, name in (("all", "All"), ("failure", "Failures"), ("success", "Successes"))
    )
    orders = "".join(
        f'<option value="{value}">{name}</option>'
        for value, name in (
            ("outcome", "worst first"),
            ("spl-down", "SPL, highest first"),
            ("spl-up", "SPL, lowest first"),
            ("distance-down", "distance, longest first"),
            ("distance-up", "distance, shortest first"),
        )
    )
    return (
        f'<div class="controls"><span class="segments" role="group" aria-label="Show">{filters}</span>'
        f'<label>Sort by <select id="sort">{orders}</select></label>'
        '<span class="map-legend"><span><i class="walked"></i>walked</span><span><i class="shortest"></i>shortest'
        '</span><span><i class="start"></i>start</span><span><i class="goal"></i>goal</span></span></div>'
    )


def _by_episode(evaluation: Evaluation) -> dict[tuple[str, str], EpisodeRecord]:
    return {(record.scene, record.episode_id): record for record in evaluation.records}


def _shared_map(number: int, picture: MapPicture) -> str:
    return f'<image id="map-{number}" href="{picture.uri}" width="{picture.width}" height="{picture.height}"/>'


def _card(
    rank: int,
    record: EpisodeRecord,
    runs: Sequence[tuple[int, EpisodeRecord]],
    agents: Sequence[str],
    stage: Stage,
    map_id: int | None,
) -> str:
    success = _succeeded(record)
    outcome = "success" if success else "failure"
    spl, left = record.measures["spl"], record.measures["distance_to_goal"]
    told = f"SPL {spl:.2f}" if success else f"{STYLES['distance_to_goal'].text(left)} short"
    rivals = "".join(_rival(agent, run) for agent, (_, run) in list(zip(agents, runs, strict=True))[1:])
    return (
        f'<li class="card" data-outcome="{outcome}" data-rank="{rank}" data-spl="{finite(spl) or 0}" '
        f'data-distance="{finite(record.start_distance) or 0}"><button type="button" data-episode="{rank}">'
        f"{stage.thumbnail(map_id)}"
        f'<span class="facts"><span class="first"><span class="badge {outcome}">{outcome.title()}</span>'
        f'<b>{told}</b></span><span class="second"><span class="name" title="{escape(record.scene)}">'
        f"{escape(_short(record.scene))}</span>"
        f"<span>{record.start_distance:.1f} m</span></span>"
        + (f'<span class="rivals">{rivals}</span>' if rivals else "")
        + "</span></button></li>"
    )


def _short(scene: str) -> str:
    """Of a long path its last part."""
    return scene if len(scene) <= _LONG_NAME else "…/" + scene.rsplit("/", 1)[-1]


def _rival(agent: str, run: EpisodeRecord) -> str:
    outcome = "success" if _succeeded(run) else "failure"
    return f'<span class="rival {outcome}"><i></i>{escape(agent)}<b>{_rival_text(run)}</b></span>'


def _rival_text(run: EpisodeRecord) -> str:
    if _succeeded(run):
        return f"SPL {run.measures['spl']:.2f}"
    return f"{STYLES['distance_to_goal'].text(run.measures['distance_to_goal'])} short"


def _play(
    record: EpisodeRecord,
    runs: Sequence[tuple[int, EpisodeRecord]],
    agents: Sequence[str],
    stage: Stage,
    map_id: int | None,
) -> dict:
    """What the page's script needs to play one episode."""
    return {
        "scene": record.scene,
        "episode": record.episode_id,
        "distance": finite(record.start_distance),
        "map": map_id,
        **stage.data(),
        "runs": [
            {
                "agent": agent,
                "color": color,
                "success": _succeeded(run),
                "facts": {STYLES[name].title: STYLES[name].one(run.measures[name]) for name in _OUTCOMES},
                "points": walked,
                "left": left,
            }
            for agent, (color, run), walked, left in zip(agents, runs, stage.points, stage.left, strict=True)
        ],
    }
