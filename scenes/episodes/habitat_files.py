"""Habitat's PointNav episode files (json.gz) to `EpisodeSet` and back.

A data set is `{split}.json.gz`, with its episodes in it or, a scene each, in `content/{scene}.json.gz` beside it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.episodes.sampling import EpisodeSet
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.library import WORLDS, SceneSet, resolve

MAX_UNPACKED_BYTES = 256 << 20
_GOAL_RADIUS = 0.2
# A goal this near to a baked one, metres, is that one.
_SAME_GOAL = 1e-3
# Metres from the origin beyond which positions are stored relative to one nearby.
FAR = 1000.0


@dataclass(frozen=True)
class BadEpisode:
    """An episode that cannot be walked, and why."""

    scene_name: str
    episode_id: str
    reason: str


def load_episodes(
    path: str | PathLike[str], scene_folder: str | PathLike[str] | None = None, bad: list[BadEpisode] | None = None
) -> EpisodeSet:
    """Read Habitat PointNav episodes; `goal_index` is -1 throughout until `link_goals` has seen the scenes.

    Scene ids that are names of this library ("homes:val/3") stay as they are; others are files under `scene_folder`,
    found by their longest trailing part that exists there ("data/scene_datasets/gibson/A.glb" as "gibson/A.glb" or
    "A.glb"). Rotations are reduced to headings. An episode's first goal counts. A missing distance becomes nan.

    `bad`: a list to which episodes are added that are malformed or whose scene is not to be had; the rest is read.
    Without it, they raise `SceneError`, naming file and episode. That is always raised for a file that is no gzip or
    JSON, holds no episodes (or none but bad ones), or unpacks to more than 256 MiB.
    """
    path, folder = Path(path), None if scene_folder is None else Path(scene_folder)
    entries = _entries(path)
    if not entries:
        raise SceneError(f"{path}: holds no episodes.")
    names: dict[str, int] = {}
    located: dict[str, str | SceneError] = {}
    rows = []
    for number, entry in enumerate(entries):
        try:
            scene_id, *row = _row(path, number, entry)
            if scene_id not in located:
                located[scene_id] = located_scene(path, scene_id, folder)
            if isinstance(name := located[scene_id], SceneError):
                raise name
        except SceneError as error:
            if bad is None:
                raise
            bad.append(_bad_entry(entry, number, error))
            continue
        rows.append((names.setdefault(name, len(names)), *row))
    if bad and not rows:
        raise SceneError(f"{path}: all {len(bad)} episodes are bad. The first: {bad[0].reason}")
    scene_index, episode_id, start, heading, goal, distance = zip(*rows, strict=True)
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
    )


def save_episodes(episodes: EpisodeSet, path: str | PathLike[str]) -> None:
    """Write `episodes` as one Habitat PointNav file, with each scene's name as its id.

    The same episodes give the same bytes. Raises `SceneError` if it cannot be written.
    """
    rotations = episodes.start_rotation
    entries = [
        {
            "episode_id": episodes.episode_id[e],
            "scene_id": episodes.scene_names[episodes.scene_index[e]],
            "start_position": (episodes.start_position[e] + episodes.offset[e]).tolist(),
            "start_rotation": rotations[e].tolist(),
            "goals": [{"position": (episodes.goal[e] + episodes.offset[e]).tolist(), "radius": _GOAL_RADIUS}],
            "info": _info(float(episodes.geodesic_distance[e])),
        }
        for e in range(len(episodes))
    ]
    text = json.dumps({"episodes": entries}).encode()
    # Without a time in the header, equal episodes are equal files.
    write_user_file(Path(path), gzip.compress(text, mtime=0))


def link_goals(
    episodes: EpisodeSet, scenes: SceneSet | Sequence[Scene] | None = None
) -> tuple[EpisodeSet, list[Scene], list[BadEpisode]]:
    """Fit `episodes` to their scenes: what can be walked, the scenes with all goals, and what cannot be walked.

    `scenes`: one for each of `episodes.scene_names`; None loads them by name. The scenes returned have distance
    fields for every goal, to which `goal_index` points, and `geodesic_distance` is measured on them anew. Episodes
    whose start or goal is off the walkable floor, whose goal is out of reach, or whose scene cannot be had, are left
    out and reported.
    """
    scene_set = resolve(list(episodes.scene_names) if scenes is None else scenes)
    if len(scene_set) != len(episodes.scene_names):
        raise SceneError(f"{len(scene_set)} scenes given for episodes in {len(episodes.scene_names)}.")
    goal_index, distance = episodes.goal_index.copy(), episodes.geodesic_distance.copy()
    start, goal, offset = episodes.start_position.copy(), episodes.goal.copy(), episodes.offset.copy()
    whole, bad = [], []
    for number, source in enumerate(scene_set):
        mine = np.flatnonzero(episodes.scene_index == number)
        try:
            scene = source.load()
            shift = episodes.offset[mine] - np.array(scene.offset)
            start[mine], goal[mine], offset[mine] = start[mine] + shift, goal[mine] + shift, scene.offset
            moved = replace(episodes, start_position=start, goal=goal, offset=offset)
            scene, goal_index[mine], distance[mine], reasons = _link(scene, moved.select(mine))
            whole.append(scene)
        except SceneError as error:
            goal_index[mine], reasons = -1, [f"its scene cannot be had: {error}"] * len(mine)
        bad += [
            BadEpisode(episodes.scene_names[number], episodes.episode_id[e], reason)
            for e, reason in zip(mine, reasons, strict=True)
            if reason
        ]
    linked = replace(
        episodes, start_position=start, goal=goal, offset=offset, goal_index=goal_index, geodesic_distance=distance
    )
    return linked.select(goal_index >= 0), whole, bad


def _info(distance: float) -> dict[str, float]:
    # JSON has no inf or nan.
    return {"geodesic_distance": distance} if np.isfinite(distance) else {}


def _link(scene: Scene, episodes: EpisodeSet) -> tuple[Scene, np.ndarray, np.ndarray, list[str]]:
    start_cell = scene.walkable.locate(episodes.start_position)
    goal_cell = scene.walkable.locate(episodes.goal)
    on_floor = (start_cell >= 0) & (goal_cell >= 0)
    wanted = np.unique(episodes.goal[on_floor], axis=0)
    new = [goal for goal in wanted if np.linalg.norm(scene.goals - goal, axis=1).min(initial=np.inf) > _SAME_GOAL]
    scene = scene.with_goals(np.array(new).reshape(-1, 3))
    goal_index = np.full(len(episodes), -1, np.int32)
    distance = np.full(len(episodes), np.inf, np.float32)
    for e in np.flatnonzero(on_floor):
        nearest = np.linalg.norm(scene.goals - episodes.goal[e], axis=1).argmin()
        distance[e] = scene.goal_distances[nearest, start_cell[e]]
        goal_index[e] = nearest if np.isfinite(distance[e]) else -1
    reasons = np.select(
        [start_cell < 0, goal_cell < 0, np.isinf(distance)],
        ["its start is not on walkable floor", "its goal is not on walkable floor", "its goal is out of reach"],
        "",
    )
    return scene, goal_index, distance, reasons.tolist()


def _entries(path: Path) -> list[dict]:
    entries = _episode_list(path)
    content = path.parent / "content"
    if not entries and content.is_dir():
        entries = [entry for part in sorted(content.glob("*.json.gz")) for entry in _episode_list(part)]
    return entries


def _episode_list(path: Path) -> list[dict]:
    return read_document(path)["episodes"]


def read_document(path: Path) -> dict:
    """Returns the content of an episode file: an object with a list `episodes`.

    Raises:
        SceneError: If it is anything else.
    """
    try:
        document = json.loads(_unpacked(path))
    except ValueError as error:
        raise SceneError(f"{path}: malformed JSON ({error}).") from None
    except RecursionError:
        raise SceneError(f"{path}: malformed JSON (nested too deeply).") from None
    if not isinstance(document, dict) or not isinstance(document.get("episodes"), list):
        raise SceneError(f"{path}: not an episode file; expected an object with a list 'episodes'.")
    return document


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(MAX_UNPACKED_BYTES + 1)
    except FileNotFoundError:
        raise SceneError(f"{path}: no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SceneError(f"{path}: not a whole gzip file ({error}).") from None
    if len(data) > MAX_UNPACKED_BYTES:
        raise SceneError(f"{path}: unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; split it by scene.")
    return data


def _row(path: Path, number: int, entry: dict) -> tuple[str, str, list[float], float, list[float], float]:
    try:
        return _fields(entry)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SceneError(f"{path}: episode {number} is malformed ({error!r}).") from None


def _bad_entry(entry: object, number: int, error: SceneError) -> BadEpisode:
    known = entry if isinstance(entry, dict) else {}
    return BadEpisode(str(known.get("scene_id", "")), str(known.get("episode_id", f"number {number}")), str(error))


def _fields(entry: dict) -> tuple[str, str, list[float], float, list[float], float]:
    start, goal = read_numbers(entry["start_position"], 3), read_numbers(entry["goals"][0]["position"], 3)
    x, y, z, w = read_numbers(entry["start_rotation"], 4)
    # The heading of the turned forward axis -z; of any rotation, that about y.
    heading = np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    distance = float((entry.get("info") or {}).get("geodesic_distance", np.nan))
    return str(entry["scene_id"]), str(entry["episode_id"]), start, float(heading), goal, distance


def read_numbers(values: list, count: int) -> list[float]:
    """Returns `count` finite numbers; raises ValueError for others."""
    numbers = [float(value) for value in values]
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite numbers, got {values!r}")
    return numbers


def located_scene(path: Path, scene_id: str, folder: Path | None) -> str | SceneError:
    """The scene's name, or why there is none."""
    try:
        return _scene_name(path, scene_id, folder)
    except SceneError as error:
        return error


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
    if folder is None:
        raise SceneError(f"{path}: scene {scene_id!r} is a file; say in which folder scenes lie (scene_folder).")
    parts = PurePosixPath(scene_id.replace("\\", "/")).parts
    if ".." in parts:
        raise SceneError(f"{path}: scene {scene_id!r} leads out of {folder}; scene ids must stay inside.")
    root = folder.resolve()
    for first in range(len(parts)):
        candidate = root.joinpath(*parts[first:]).resolve()
        if candidate.is_file() and candidate.is_relative_to(root):
            return str(folder / candidate.relative_to(root))
    raise SceneError(f"{path}: scene {scene_id!r} is not in {folder}.")
