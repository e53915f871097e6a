"""Selects the episodes of an evaluation, from a scene set or from a file, with their scenes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import LeftOut
from batchsim.scenes import (
    AgentBody,
    EpisodeSet,
    Scene,
    SceneError,
    bake_many,
    link_goals,
    link_object_goals,
    load_episodes,
    load_object_episodes,
    resolve,
    standard_episodes,
)
from batchsim.scenes.episodes.habitat_files import BadEpisode
from batchsim.scenes.episodes.habitat_object_files import holds_objects

MAX_EPISODES = 1_000_000


@dataclass(frozen=True)
class EvalEpisodes:
    """Episodes that can be run, at least one, with their scenes.

    Attributes:
        name: The name of the set or file in reports.
        episodes: The episodes.
        scenes: The scenes that they need.
        left_out: Requested episodes that cannot be run.
    """

    name: str
    episodes: EpisodeSet
    scenes: tuple[Scene, ...]
    left_out: tuple[LeftOut, ...] = ()


def episodes_of_set(scenes: str, count: int, body: AgentBody | None = None) -> EvalEpisodes:
    """Select the first `count` standard episodes of a scene set, for agents of the shape `body`.

    Scenes that cannot be loaded, or have no room for episodes, are left out with their episodes. The episodes of the
    other scenes do not depend on that.

    Raises:
        AgentError: If `count` is out of range, or no episode can be run.
        SceneError: If the set is unknown.
    """
    _check_count(count)
    sources = resolve(scenes, body)[:count]
    _bake(sources)
    kept: list[Scene] = []
    parts: list[EpisodeSet] = []
    places: list[np.ndarray] = []
    left_out: list[LeftOut] = []
    for k, source in enumerate(sources):
        # Episode e is in scene e mod S.
        share = len(range(k, count, len(sources)))
        try:
            scene = source.load()
            parts.append(standard_episodes(scene, share))
        except SceneError as error:
            left_out += [LeftOut(source.name, str(i), str(error)) for i in range(share)]
            continue
        kept.append(scene)
        places.append(np.arange(share) * len(sources) + k)
    if not kept:
        raise AgentError(f"None of the {count} episodes of {scenes} can be run. First reason: {left_out[0].reason}")
    together = EpisodeSet.concatenate(parts)
    return EvalEpisodes(scenes, together.select(np.argsort(np.concatenate(places))), tuple(kept), tuple(left_out))


def episodes_of_file(file: Path, scene_folder: Path | None, count: int | None = None) -> EvalEpisodes:
    """Select the episodes of a Habitat PointNav, ObjectNav or InstanceImageNav file, or the first `count` of them.

    Episodes are left out if they are malformed, if their scene is missing or damaged, or if no path leads to their
    goal.

    Args:
        file: The episode file.
        scene_folder: The folder of the scene files that it names.
        count: How many episodes; all if None.

    Raises:
        AgentError: If `count` is out of range, or no episode can be run.
        SceneError: If the file is not an episode file.
    """
    if count is not None:
        _check_count(count)
    bad: list[BadEpisode] = []
    if holds_objects(file):
        loaded = load_object_episodes(file, scene_folder, bad)
        _bake(resolve(list(loaded.episodes.scene_names)))
        linked, scenes, unlinked = link_object_goals(loaded)
        linked = linked.select(slice(count))
    else:
        named = load_episodes(file, scene_folder, bad)
        named = named.select(slice(count)).without_idle_scenes()
        _bake(resolve(list(named.scene_names)))
        linked, scenes, unlinked = link_goals(named)
    left_out = tuple(LeftOut(episode.scene_name, episode.episode_id, episode.reason) for episode in [*bad, *unlinked])
    if len(linked) == 0:
        raise AgentError(f"{file}: none of its {len(left_out)} episodes can be run. First reason: {left_out[0].reason}")
    linked = linked.without_idle_scenes()
    used = tuple(scene for scene in scenes if scene.name in set(linked.scene_names))
    return EvalEpisodes(file.name.removesuffix(".json.gz"), linked, used, left_out)


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_EPISODES:
        raise AgentError(f"episodes is {count}; expected 1 to {MAX_EPISODES:,}.")


def _bake(sources: Sequence) -> None:
    """Bake scenes that are not cached in parallel; a scene that fails here fails again, by name, when it is loaded."""
    with suppress(SceneError):
        bake_many(sources)
