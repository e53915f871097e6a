"""The gallery: episodes as cards that can be sorted, and the data with which the page plays them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.report.formatting import as_changes, finite, series, style_of
from batchsim.agents.report.gallery.controls import Controls, gallery_controls
from batchsim.agents.report.gallery.drawing import EpisodeDrawing, Thumbnail, draw_episode
from batchsim.agents.report.gallery.episode_choice import EpisodeChoice, choose_episodes
from batchsim.agents.report.gallery.failure_causes import Cause, CauseCount, cause_on_map, count_causes
from batchsim.agents.report.gallery.fog import AgentView, FogMap
from batchsim.agents.report.gallery.maps import MapImage, draw_map
from batchsim.agents.report.replays.replay_video import ReplayVideo
from batchsim.agents.report.replays.video_set import VideoSet
from batchsim.agents.report.templating import visible
from batchsim.scenes import Scene

_LONG_NAME = 24


@dataclass(frozen=True)
class OtherRun:
    """Another agent's run of the same episode, as a card shows it."""

    agent: str
    outcome: str
    series: str
    result: str


@dataclass(frozen=True)
class Card:
    """One episode in the gallery.

    Attributes:
        rank: Its place from worst to best, which also identifies it.
        outcome: "success", "failure" or "none".
        cause: Why it failed; None if unknown.
        values: The measures by which cards are sorted, as JSON.
        map_index: The index of its scene's map; None without one.
        thumbnail: The path on the map.
        fog: The data URI of the fog; empty if unknown.
        fog_size: Width and height of the fog.
        shortest: The shortest path as SVG path data.
        has_video: Whether there is a video of the first run.
        result: The result in few words.
        scene: The scene's name.
        short_scene: The scene's name, shortened.
        aside: One more number; empty if there is none.
        others: The other agents' runs.
        category: The category of the object that is the goal; empty if there is none.
        goal_image: The data URI of the goal image; empty if there is none.
    """

    rank: int
    outcome: str
    cause: Cause | None
    values: str
    map_index: int | None
    thumbnail: Thumbnail
    fog: str
    fog_size: tuple[int, int]
    shortest: str
    has_video: bool
    result: str
    scene: str
    short_scene: str
    aside: str
    others: tuple[OtherRun, ...]
    category: str = ""
    goal_image: str = ""


@dataclass(frozen=True)
class Gallery:
    """Everything that the gallery's template draws.

    Attributes:
        note: Which episodes are shown.
        controls: Filters, sort orders and legend.
        causes: How many of all failures have which cause.
        maps: The shared maps.
        hfov: The agent's horizontal field of view, degrees.
        cards: The episodes, worst first.
        videos: The video files in base64.
        plays: The data with which the page plays each episode.
    """

    note: str
    controls: Controls
    causes: tuple[CauseCount, ...]
    maps: tuple[MapImage, ...]
    hfov: float
    cards: tuple[Card, ...]
    videos: tuple[str, ...]
    plays: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Run:
    """One agent's run of one episode; `color` is the agent's index."""

    color: int
    agent: str
    record: EpisodeRecord
    video: int | None


@dataclass(frozen=True)
class DrawnEpisodes:
    """The chosen episodes, drawn on maps.

    Attributes:
        choice: Which episodes are shown.
        runs: For each of them the runs of all agents that ran it, as the agent's index and its record.
        drawings: Their drawings.
        maps: Maps by scene.
        causes: Why the failures of the first agent failed, all of them, by scene and id of the episode.
    """

    choice: EpisodeChoice
    runs: tuple[tuple[tuple[int, EpisodeRecord], ...], ...]
    drawings: tuple[EpisodeDrawing, ...]
    maps: Mapping[str, MapImage]
    causes: Mapping[tuple[str, str], Cause]


def draw_episodes(
    evaluations: Sequence[Evaluation], scenes: Mapping[str, Scene], count: int, view: AgentView
) -> DrawnEpisodes:
    """Choose up to `count` episodes of the first evaluation, and draw the runs of all agents on maps of `scenes`."""
    choice = choose_episodes(evaluations[0], count)
    chosen = [evaluations[0].records[i] for i in choice.chosen]
    failures = [record for record in evaluations[0].records if record.has_success and not record.succeeded]
    names = sorted({record.scene for record in (*chosen, *failures) if record.scene in scenes})
    maps = {name: draw_map(scenes[name]) for name in names}
    fog_maps = {name: FogMap(image, view) for name, image in maps.items()}
    causes = {
        record.key: cause
        for record in failures
        if record.scene in maps
        and (cause := cause_on_map(record, scenes[record.scene], fog_maps[record.scene])) is not None
    }
    by_episode = [{record.key: record for record in evaluation.records} for evaluation in evaluations]
    runs = tuple(
        tuple((agent, known[record.key]) for agent, known in enumerate(by_episode) if record.key in known)
        for record in chosen
    )
    drawings = tuple(
        draw_episode(record, [run for _, run in same], maps.get(record.scene), fog_maps.get(record.scene))
        for record, same in zip(chosen, runs, strict=True)
    )
    shown = {record.scene for record in chosen}
    return DrawnEpisodes(choice, runs, drawings, {name: maps[name] for name in names if name in shown}, causes)


def episode_gallery(
    evaluations: Sequence[Evaluation],
    drawn: DrawnEpisodes,
    videos: VideoSet,
    hfov: float,
    goal_images: Mapping[tuple[str, str], str] = MappingProxyType({}),
    last_chances: Mapping[tuple[str, str], int] | None = None,
) -> Gallery:
    """The gallery of the drawn episodes, with videos where there are some.

    Args:
        evaluations: The evaluations, in the order of the agents.
        drawn: The episodes.
        videos: Their videos.
        hfov: The agent's horizontal field of view, degrees.
        goal_images: Data URIs of goal images, by scene and episode.
        last_chances: Steps of the first agent's failures after which an expert could still have succeeded.
    """
    first = evaluations[0]
    names = list(drawn.maps)
    cards, plays = [], []
    for rank, (runs, drawing) in enumerate(zip(drawn.runs, drawn.drawings, strict=True)):
        same = [_Run(agent, evaluations[agent].agent, record, videos.find(agent, record)) for agent, record in runs]
        scene = same[0].record.scene
        map_index = names.index(scene) if scene in drawn.maps else None
        key = same[0].record.key
        about = first.category_of(same[0].record), goal_images.get(key, "")
        chance = _last_chance(same[0].record, (last_chances or {}).get(key))
        cards.append(_card(rank, same, drawing, map_index, first.measures, drawn.causes.get(key), *about))
        plays.append(_play(same, drawing, map_index, first.measures, videos.videos, chance, *about))
    return Gallery(
        note=_note(drawn.choice, first, len(videos.videos)),
        controls=gallery_controls(first),
        causes=count_causes(first.records, drawn.causes, {runs[0][1].key for runs in drawn.runs}, last_chances),
        maps=tuple(drawn.maps.values()),
        hfov=hfov,
        cards=tuple(cards),
        videos=tuple(video.video.base64 for video in videos.videos),
        plays=tuple(plays),
    )


def _note(choice: EpisodeChoice, evaluation: Evaluation, videos: int) -> str:
    total, shown = len(evaluation.records), len(choice.chosen)
    click = " Click an episode to play it."
    if videos:
        click += f" Episodes marked ▶ have video of what the agent saw ({videos} in all)."
    if shown == total:
        return (f"All {total} episodes." if total > 1 else "The only episode.") + click
    successes = shown - choice.failures_shown
    parts = []
    if choice.failures_shown:
        which = "all" if choice.failures_shown == choice.failures else "the worst"
        parts.append(f"{which} {choice.failures_shown} of {choice.failures} failures")
    if not evaluation.records[0].has_success:
        parts.append("spread evenly from worst to best")
    elif successes:
        spread = ", spread evenly over SPL" if successes < total - choice.failures else ""
        parts.append(f"{successes} of {total - choice.failures} successes{spread}")
    return f"{shown} of {total} episodes: {' and '.join(parts)}.{click}"


def _card(
    rank: int,
    runs: Sequence[_Run],
    drawing: EpisodeDrawing,
    map_index: int | None,
    measures: Sequence[str],
    cause: Cause | None,
    category: str,
    goal_image: str,
) -> Card:
    record = runs[0].record
    values = {name: finite(record.measures[name]) for name in measures} | {"start": finite(record.start_distance)}
    return Card(
        rank=rank,
        outcome=_outcome(record),
        cause=cause,
        values=json.dumps(values),
        map_index=map_index,
        thumbnail=drawing.thumbnail(),
        fog=drawing.fogs[0],
        fog_size=drawing.fog_size,
        shortest=drawing.shortest,
        has_video=runs[0].video is not None,
        result=_headline(record, measures),
        scene=record.scene,
        short_scene=_shortened(record.scene),
        aside=_aside(record, measures),
        others=tuple(
            OtherRun(run.agent, _outcome(run.record), series(run.color), _result(run.record, measures))
            for run in runs[1:]
        ),
        category=category,
        goal_image=goal_image,
    )


def _last_chance(record: EpisodeRecord, step: int | None) -> dict[str, str]:
    """Until when an expert could have saved the episode, as a fact of the player."""
    if step is None:
        return {}
    return {"Point of no return": f"step {step} of {len(record.actions)}" if step >= 0 else "before the start"}


def _outcome(record: EpisodeRecord) -> str:
    return ("success" if record.succeeded else "failure") if record.has_success else "none"


def _headline(record: EpisodeRecord, measures: Sequence[str]) -> str:
    if record.has_success:
        return _result(record, measures)
    return f"{style_of(measures[0]).title} {style_of(measures[0]).one(record.measures[measures[0]])}"


def _aside(record: EpisodeRecord, measures: Sequence[str]) -> str:
    if record.has_goal:
        return style_of("distance_to_goal").text(record.start_distance)
    if record.has_success or len(measures) < 2:
        return ""
    return f"{style_of(measures[1]).title} {style_of(measures[1]).one(record.measures[measures[1]])}"


def _shortened(scene: str) -> str:
    """The last part of a long path."""
    return scene if len(scene) <= _LONG_NAME else "…/" + scene.rsplit("/", 1)[-1]


def _result(record: EpisodeRecord, measures: Sequence[str]) -> str:
    """An episode's result in few words."""
    found = record.measures
    if record.has_goal and record.has_success:
        left = style_of("distance_to_goal").text(found["distance_to_goal"])
        return f"SPL {found['spl']:.2f}" if record.succeeded and "spl" in found else f"{left} to go"
    name = next((name for name in measures if name != "success"), measures[0])
    return style_of(name).one(found[name])


def _play(
    runs: Sequence[_Run],
    drawing: EpisodeDrawing,
    map_index: int | None,
    measures: Sequence[str],
    videos: Sequence[ReplayVideo],
    last_chance: Mapping[str, str],
    category: str,
    goal_image: str,
) -> dict[str, Any]:
    """What the page's script needs to play one episode."""
    record = runs[0].record
    styles = {name: style_of(name) for name in measures if name != "success"}
    return {
        "scene": visible(record.scene),
        "episode": visible(record.episode_id),
        "distance": finite(record.start_distance) if drawing.goal else None,
        "map": map_index,
        "category": category,
        "hasGoalImage": bool(goal_image),
        **drawing.data(),
        "runs": [
            {
                "agent": visible(run.agent),
                "color": run.color,
                "outcome": _outcome(run.record),
                "facts": {
                    visible(style.title): style.one(run.record.measures[name])
                    for name, style in styles.items()
                    if name in run.record.measures  # only a search counts its steps
                }
                | dict(last_chance if i == 0 else {}),
                "x": as_changes(drawing.points[i][:, 0], 10),
                "y": as_changes(drawing.points[i][:, 1], 10),
                "headings": as_changes(drawing.headings[i], 100),
                "progress": as_changes(drawing.progress[i], 100),
                "fog": drawing.fogs[i] if i else "",  # the card contains that of the first run
                "video": None if run.video is None else videos[run.video].data(run.video),
            }
            for i, run in enumerate(runs)
        ],
    }
