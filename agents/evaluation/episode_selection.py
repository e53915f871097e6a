"""What agents are evaluated on: the episodes of a scene set or of a file, their scenes, and what had to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import LeftOut
from batchsim.scenes import (
    EpisodeSet,
    Scene,
    SceneError,
    bake_many,
    link_goals,
    load_episodes,
    resolve,
    standard_episodes,
)
from batchsim.scenes.episodes.habitat_files import BadEpisode


@dataclass(frozen=True)
class EvalEpisodes:
    """Episodes that can be run, with their scenes; at least one.

    `name`: what they are called in reports. `left_out`: those that were asked for and cannot be run.
    """

    name: str
    episodes: EpisodeSet
    scenes: tuple[Scene, ...]
    left_out: tuple[LeftOut, ...] = ()


def episodes_of_set(scenes: str, count: int) -> EvalEpisodes:
    """The first `count` of the standard episodes of a scene set.

    Scenes that cannot be had, or have no room for episodes, are left out with their episodes; the other scenes keep
    theirs. Raises `AgentError` where nothing is left, `SceneError` for an unknown set.
    """
    if count < 1:
        raise AgentError(f"episodes is {count}; expected at least 1.")
    sources = resolve(scenes)[:count]
    _bake(sources)
    kept: list[Scene] = []
    parts: list[EpisodeSet] = []
    turns: list[np.ndarray] = []
    left_out: list[LeftOut] = []
    for k, source in enumerate(sources):
        # Episode e lies in scene e mod S.
        share = len(range(k, count, len(sources)))
        try:
            scene = source.load()
            parts.append(standard_episodes(scene, share))
        except SceneError as error:
            left_out += [LeftOut(source.name, str(i), str(error)) for i in range(share)]
            continue
        kept.append(scene)
        turns.append(np.arange(share) * len(sources) + k)
    if not kept:
        raise AgentError(f"None of the {count} episodes of {scenes} can be run. The first: {left_out[0].reason}")
    together = EpisodeSet.concatenate(parts)
    return EvalEpisodes(scenes, together.select(np.argsort(np.concatenate(turns))), tuple(kept), tuple(left_out))


def episodes_of_file(file: Path, scene_folder: Path | None, count: int | None = None) -> EvalEpisodes:
    """The episodes of a Habitat PointNav file (json.gz), or the first `count` of them.

    `scene_folder`: where the scenes lie that the file names by their files. Episodes that are malformed, whose scene
    is missing or damaged, or whose goal is out of reach, are left out. Raises `AgentError` where nothing is left,
    `SceneError` for a file that is none.
    """
    if count is not None and count < 1:
        raise AgentError(f"episodes is {count}; expected at least 1.")
    bad: list[BadEpisode] = []
    named = load_episodes(file, scene_folder, bad)
    named = named.select(slice(count)).without_idle_scenes()
    _bake(resolve(list(named.scene_names)))
    linked, scenes, unlinked = link_goals(named)
    left_out = tuple(LeftOut(episode.scene_name, episode.episode_id, episode.reason) for episode in [*bad, *unlinked])
    if len(linked) == 0:
        raise AgentError(f"{file}: none of its {len(left_out)} episodes can be run. The first: {left_out[0].reason}")
    linked = linked.without_idle_scenes()
    used = tuple(scene for scene in scenes if scene.name in set(linked.scene_names))
    return EvalEpisodes(file.name.removesuffix(".json.gz"), linked, used, left_out)


def _bake(sources: Sequence) -> None:
    """Bake in parallel what is not in the cache; what fails here fails again, by its name, when it is loaded."""
    with suppress(SceneError):
        bake_many(sources)
