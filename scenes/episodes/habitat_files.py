"""Converts between Habitat's PointNav episode files (json.gz) and `EpisodeSet`.

A data set is `{split}.json.gz`, with its episodes in it or, for each scene, in `content/{scene}.json.gz` beside it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import chain
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.episodes.episode_json import JsonEpisode, MalformedEpisode, read_episodes
from batchsim.scenes.episodes.episode_set import EpisodeSet
from batchsim.scenes.episodes.linking import BadEpisode
from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.habitat.locate import handle_spec, stage_spec
from batchsim.scenes.sources.library import WORLDS, resolve

FAR = 1000.0
"""Distance from the origin, metres, beyond which positions are stored relative to one nearby."""
_MOST_PARTS = 16
"""Trailing parts of a scene id among which its file is searched."""


def load_episodes(
    path: str | PathLike[str], scene_folder: str | PathLike[str] | None = None, bad: list[BadEpisode] | None = None
) -> EpisodeSet:
    """Reads Habitat PointNav episodes. Call `link_goals` before running them.

    Until then `goal_index` is -1, and positions are in the frame of the scene files. Rotations are reduced to headings,
    only an episode's first goal is used, and a missing distance is nan.

    Args:
        path: The file. If its list of episodes is empty, the files in the folder `content` beside it are read.
        scene_folder: The folder of the scene files. A scene id is found by its longest trailing part that exists there:
            "data/scene_datasets/gibson/A.glb" as "gibson/A.glb" or "A.glb". Names of this library, such as
            "homes:val/3", need no folder.
        bad: A list to which malformed episodes and episodes of missing scenes are appended; the others are read.
            Without it, such an episode raises `SceneError`.

    Raises:
        SceneError: If the file is missing, damaged, too large, of another task, or has no episodes (that are not bad).
    """
    path, folder = Path(path), None if scene_folder is None else Path(scene_folder)
    located: dict[str, str | SceneError] = {}
    names: dict[str, int] = {}
    rows = []
    for number, episode in enumerate(_all_episodes(path)):
        try:
            row = _row(path, number, episode)
            if row[0] not in located:
                located[row[0]] = located_scene(path, row[0], folder)
            if isinstance(name := located[row[0]], SceneError):
                raise name
        except SceneError as error:
            if bad is None:
                raise
            bad.append(BadEpisode(episode.scene_id, str(episode.episode_id), str(error)))
            continue
        rows.append((names.setdefault(name, len(names)), *row[1:]))
    if not rows:
        reason = f"all {len(bad)} episodes are bad. The first: {bad[0].reason}" if bad else "holds no episodes."
        raise SceneError(f"{path}: {reason}")
    scene_index, episode_id, start, heading, goal, radius, distance = zip(*rows, strict=True)
    starts, goals = np.array(start, np.float64), np.array(goal, np.float64)
    # Positions far from the origin, such as survey coordinates, are exact in float32 only relative to one nearby.
    offset = np.where(np.abs(starts) > FAR, np.round(starts), 0.0)
    return EpisodeSet(
        scene_names=tuple(names),
        scene_index=np.array(scene_index, np.int32),
        start_position=(starts - offset).astype(np.float32),
        start_heading=np.array(heading, np.float32),
        goal=(goals - offset).astype(np.float32),
        goal_index=np.full(len(rows), -1, np.int32),
        geodesic_distance=np.array(distance, np.float32),
        episode_id=tuple(episode_id),
        offset=offset,
        goal_radius=np.array(radius, np.float32),
    )


def save_episodes(episodes: EpisodeSet, path: str | PathLike[str]) -> None:
    """Writes `episodes` as one Habitat PointNav file, with each scene's name as its id.

    The same episodes give the same bytes.

    Raises:
        SceneError: If the file cannot be written.
    """
    rotations = episodes.start_rotation
    starts, goals = episodes.start_position + episodes.offset, episodes.goal + episodes.offset
    entries = [
        {
            "episode_id": episodes.episode_id[e],
            "scene_id": episodes.scene_names[episodes.scene_index[e]],
            "start_position": starts[e].tolist(),
            "start_rotation": rotations[e].tolist(),
            "goals": [{"position": goals[e].tolist(), "radius": _finite(episodes.goal_radius[e])}],
            "info": _info(float(episodes.geodesic_distance[e])),
        }
        for e in range(len(episodes))
    ]
    text = json.dumps({"episodes": entries}, allow_nan=False).encode()
    # Without a time in the header, equal episodes give equal files.
    write_user_file(Path(path), gzip.compress(text, mtime=0))


def _finite(value: float) -> float | None:
    """Returns a number, or None (JSON's null) for nan and inf."""
    return float(value) if np.isfinite(value) else None


def _info(distance: float) -> dict[str, float]:
    return {"geodesic_distance": distance} if np.isfinite(distance) else {}


def _all_episodes(path: Path) -> Iterator[JsonEpisode | MalformedEpisode]:
    """Yields the episodes of a file or, if it has none, those of its content folder."""
    episodes = read_episodes(path)
    first = next(episodes, None)
    if first is not None:
        yield from chain([first], episodes)
        return
    content = path.parent / "content"
    for part in sorted(content.glob("*.json.gz")) if content.is_dir() else ():
        yield from read_episodes(part)


def _row(path: Path, number: int, episode: JsonEpisode | MalformedEpisode) -> tuple:
    """Returns scene id, episode id, start, heading, goal, its radius and the distance."""
    if isinstance(episode, MalformedEpisode):
        raise SceneError(f"{path}: {episode.reason}.")
    try:
        goal, heading = episode.first_goal(), episode.heading()
    except ValueError as error:
        raise SceneError(f"{path}: episode {number} is malformed ({first_line(error)}).") from None
    radius = float("nan") if goal.radius is None else goal.radius
    identity = episode.scene_id, str(episode.episode_id)
    return (*identity, episode.start_position, heading, goal.position, radius, episode.distance())


def located_scene(path: Path, scene_id: str, folder: Path | None) -> str | SceneError:
    """Returns the scene's name, or why there is none."""
    try:
        return _scene_name(path, scene_id, folder)
    except SceneError as error:
        return error
    except (OSError, ValueError) as error:
        return SceneError(f"{path}: scene {scene_id[:200]!r} cannot be searched for: {first_line(error)}.")


def _known_name(path: Path, scene_id: str) -> str:
    try:
        found = resolve(scene_id)
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None
    if len(found) != 1:
        raise SceneError(f"{path}: scene {scene_id!r} stands for {len(found)} scenes; an episode has one.")
    return found[0].name


def _scene_name(path: Path, scene_id: str, folder: Path | None) -> str:
    if scene_id.startswith("homes:") or scene_id in WORLDS:
        return _known_name(path, scene_id)
    shown = repr(scene_id[:200])
    if folder is None:
        raise SceneError(f"{path}: scene {shown} is a file; say in which folder scenes are (scene_folder).")
    parts = PurePosixPath(scene_id.replace("\\", "/")).parts
    if ".." in parts:
        raise SceneError(f"{path}: scene {shown} is outside of {folder}; scene ids must stay inside.")
    for first in range(max(0, len(parts) - _MOST_PARTS), len(parts)):
        candidate = folder.joinpath(*parts[first:])
        # Links in the folder are the user's own: Habitat's downloads put links to data sets there.
        if candidate.is_relative_to(folder) and candidate.is_file():
            return stage_spec(candidate, folder)
    named = handle_spec(scene_id, folder)
    if named is not None:
        return named
    raise SceneError(f"{path}: scene {shown} is not in {folder}.")
