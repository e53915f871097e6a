"""Habitat's ObjectNav and InstanceImageNav episode files (json.gz) to episodes and back, with view points.

A data set is `{split}.json.gz` and, a scene each, `content/{scene}.json.gz` beside it: episodes, and the goals that
they name by key. Old files have goals inside of episodes; these are read too.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.categories import CATEGORIES, category_name
from batchsim.scenes.episodes.episode_json import episode_task, read_document, read_numbers
from batchsim.scenes.episodes.episode_set import EpisodeSet
from batchsim.scenes.episodes.habitat_files import FAR, located_scene
from batchsim.scenes.episodes.linking import BadEpisode
from batchsim.scenes.episodes.object_episodes import rows_of
from batchsim.scenes.errors import SceneError
from batchsim.scenes.objects.find import objects_from_views
from batchsim.scenes.objects.image_goals import IMAGE_HFOV
from batchsim.scenes.sources.library import resolve

_IMAGE_SIDE = 512


@dataclass(frozen=True, eq=False)
class FileGoal:
    """An object of a scene, as a file describes it.

    Attributes:
        category: Its category.
        position: float64 `[3]`, metres.
        view_points: float64 `[V, 3]`, metres, on the floor.
        image_poses: float64 `[Q, 5]`: x, y, z of the camera, heading and pitch, of the images that show it.
    """

    category: str
    position: np.ndarray
    view_points: np.ndarray
    image_poses: np.ndarray

    def moved(self, by: np.ndarray) -> FileGoal:
        """Returns the object moved by `by` `[3]`, metres."""
        poses = self.image_poses + np.array([*by, 0.0, 0.0])
        return replace(self, position=self.position + by, view_points=self.view_points + by, image_poses=poses)


@dataclass(frozen=True, eq=False)
class ObjectEpisodes:
    """Episodes of a file before they are fitted to scenes.

    Attributes:
        episodes: Starts and headings; goals are still missing (`goal_index` is -1).
        asked: What each episode asks for: the key of its goals. Episodes of one category share a key.
        image: Number of the image of the goal for each episode; -1 for ObjectNav.
        goals: By scene name and key, the objects.
    """

    episodes: EpisodeSet
    asked: tuple[str, ...]
    image: np.ndarray
    goals: Mapping[str, Mapping[str, tuple[FileGoal, ...]]]


def load_object_episodes(
    path: str | PathLike[str], scene_folder: str | PathLike[str] | None = None, bad: list[BadEpisode] | None = None
) -> ObjectEpisodes:
    """Reads ObjectNav or InstanceImageNav episodes; `link_object_goals` fits them to their scenes.

    Args:
        path: The file `{split}.json.gz`.
        scene_folder: Where the scenes' files are, as for `load_episodes`.
        bad: A list to which episodes are added that are malformed or whose scene is missing; None: they raise.

    Raises:
        SceneError: If the file is damaged or holds no episodes, or, without `bad`, for the first bad episode.
    """
    path, folder = Path(path), None if scene_folder is None else Path(scene_folder)
    documents = [read_document(path)]
    if not documents[0].get("episodes"):
        documents += [read_document(part) for part in sorted((path.parent / "content").glob("*.json.gz"))]
    rows: list[tuple[Any, ...]] = []
    goals: dict[str, dict[str, tuple[FileGoal, ...]]] = {}
    names: dict[str, int] = {}
    found: dict[str, str | SceneError] = {}
    for document in documents:
        for number, entry in enumerate(document.get("episodes", [])):
            try:
                scene_id, row = _episode(path, number, entry)
                if scene_id not in found:
                    found[scene_id] = located_scene(path, scene_id, folder)
                name = found[scene_id]
                if isinstance(name, SceneError):
                    raise name
                known = goals.setdefault(name, {})
                if row.key not in known:
                    known[row.key] = _goals(path, document, entry, row.key)
            except SceneError as error:
                if bad is None:
                    raise
                known_entry = entry if isinstance(entry, dict) else {}
                about = str(known_entry.get("scene_id", "")), str(known_entry.get("episode_id", f"number {number}"))
                bad.append(BadEpisode(*about, str(error)))
                continue
            rows.append((names.setdefault(name, len(names)), row))
    if not rows:
        reason = (
            f"All {len(bad)} are bad; the first: {bad[0].reason}" if bad else "Habitat's have episodes in content/."
        )
        raise SceneError(f"{path}: contains no episodes that can be used. {reason}")
    return _collected(tuple(names), rows, goals)


@dataclass(frozen=True)
class _Row:
    episode_id: str
    start: list[float]
    heading: float
    key: str
    image: int
    distance: float


def _episode(path: Path, number: int, entry: Any) -> tuple[str, _Row]:
    try:
        scene_id, category = str(entry["scene_id"]), str(entry["object_category"])
        x, y, z, w = read_numbers(entry["start_rotation"], 4)
        heading = float(np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y)))
        base = scene_id.replace("\\", "/").rsplit("/", 1)[-1]
        single = entry.get("goal_object_id")
        key = f"{base}_{category}" if single is None else f"{_stem(base)}_{single}"
        info = entry.get("info") or {}
        return scene_id, _Row(
            str(entry["episode_id"]),
            read_numbers(entry["start_position"], 3),
            heading,
            key,
            -1 if single is None else int(entry.get("goal_image_id", -1)),
            float(info.get("geodesic_distance", np.nan)),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SceneError(f"{path}: episode {number} is malformed ({error!r}).") from None


def _goals(path: Path, document: dict[str, Any], entry: dict[str, Any], key: str) -> tuple[FileGoal, ...]:
    single = entry.get("goal_object_id") is not None
    listed = (document.get("goals") or {}).get(key) if single else (document.get("goals_by_category") or {}).get(key)
    listed = [listed] if isinstance(listed, dict) else listed or entry.get("goals")
    if not listed:
        raise SceneError(f"{path}: no goals are listed under {key!r}, which episode {entry.get('episode_id')} needs.")
    try:
        return tuple(_goal(goal, str(entry["object_category"])) for goal in listed)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SceneError(f"{path}: the goals under {key!r} are malformed ({error!r}).") from None


def _goal(goal: dict[str, Any], category: str) -> FileGoal:
    views = [read_numbers(view["agent_state"]["position"], 3) for view in goal.get("view_points") or []]
    images = [_image_pose(image) for image in goal.get("image_goals") or []]
    position = np.array(read_numbers(goal["position"], 3))
    return FileGoal(
        str(goal.get("object_category") or category),
        position,
        np.array(views).reshape(-1, 3),
        np.array(images).reshape(-1, 5),
    )


def _image_pose(image: dict[str, Any]) -> list[float]:
    """x, y, z, heading and pitch; a roll, which cameras do not have, is dropped."""
    x, y, z, w = read_numbers(image["rotation"], 4)
    # The axis -z, turned by the quaternion.
    ahead = -np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    pitch = float(np.arcsin(np.clip(ahead[1] / np.linalg.norm(ahead), -1, 1)))
    return [*read_numbers(image["position"], 3), float(np.arctan2(-ahead[0], -ahead[2])), pitch]


def _collected(
    names: tuple[str, ...], rows: list[tuple[Any, ...]], goals: dict[str, dict[str, tuple[FileGoal, ...]]]
) -> ObjectEpisodes:
    count = len(rows)
    starts = np.array([row.start for _, row in rows])
    # Positions far from the origin would lose their digits in float32.
    offset = np.where(np.abs(starts) > FAR, np.round(starts), 0.0)
    start = (starts - offset).astype(np.float32)
    episodes = EpisodeSet(
        scene_names=names,
        scene_index=np.array([scene for scene, _ in rows], np.int32),
        start_position=start,
        start_heading=np.array([row.heading for _, row in rows], np.float32),
        goal=start,
        goal_index=np.full(count, -1, np.int32),
        geodesic_distance=np.array([row.distance for _, row in rows], np.float32),
        episode_id=tuple(row.episode_id for _, row in rows),
        offset=offset,
        goal_image=np.array([row.image for _, row in rows], np.int32),
    )
    return ObjectEpisodes(episodes, tuple(row.key for _, row in rows), episodes.goal_image, goals)


def link_object_goals(
    loaded: ObjectEpisodes, scenes: Sequence[Scene] | None = None
) -> tuple[EpisodeSet, list[Scene], list[BadEpisode]]:
    """Fits episodes to their scenes: the view points of the file become the goals.

    Args:
        loaded: What `load_object_episodes` returned.
        scenes: One for each of its scene names; None loads them by name.

    Returns:
        The episodes that can be walked, the scenes with the file's objects in place of their own, and the episodes
        that cannot be walked.
    """
    episodes, bad, fitted = loaded.episodes, [], []
    numbers, walks, places = episodes.goal_index.copy(), episodes.geodesic_distance.copy(), episodes.goal.copy()
    starts, offset = episodes.start_position.copy(), episodes.offset.copy()
    for k, name in enumerate(episodes.scene_names):
        mine = np.flatnonzero(episodes.scene_index == k)
        try:
            scene = scenes[k] if scenes is not None else resolve(name)[0].load()
            moved = np.array(scene.offset)
            keys = {key: tuple(goal.moved(-moved) for goal in listed) for key, listed in loaded.goals[name].items()}
            starts[mine] += (offset[mine] - moved).astype(np.float32)
            offset[mine] = moved
            scene, number_of = _with_file_goals(scene, keys, loaded.image[mine].max() >= 0)
        except SceneError as error:
            bad += [BadEpisode(name, episodes.episode_id[e], f"its scene cannot be loaded: {error}") for e in mine]
            continue
        fitted.append(scene)
        for e in mine:
            number = number_of.get(loaded.asked[e], -1)
            cell = int(scene.walkable.locate(starts[e]))
            field = _field(scene, number)
            walk = float(field[cell]) if cell >= 0 and field is not None else np.inf
            if np.isfinite(walk):
                numbers[e], walks[e] = number, walk
                views = np.concatenate([goal.view_points for goal in keys[loaded.asked[e]]])
                places[e] = views[np.linalg.norm(views - starts[e], axis=1).argmin()]
                continue
            reason = "its start is not on walkable floor" if cell < 0 else "its goal is out of reach"
            reason = "its goal has no view point on walkable floor" if field is None else reason
            bad.append(BadEpisode(name, episodes.episode_id[e], reason))
    linked = replace(
        episodes,
        start_position=starts,
        offset=offset,
        goal_index=numbers,
        geodesic_distance=walks,
        goal=places.astype(np.float32),
    )
    return linked.select(numbers >= 0), fitted, bad


def _field(scene: Scene, number: int) -> np.ndarray | None:
    objects, first = scene.objects, len(scene.goals)
    if number < 0:
        return None
    fields = np.concatenate([objects.category_distances, objects.goal_distances])
    return fields[number - first]


def _with_file_goals(
    scene: Scene, keys: Mapping[str, tuple[FileGoal, ...]], single: bool
) -> tuple[Scene, dict[str, int]]:
    """Returns the scene with the objects of a file, and the number of the goal that each key stands for."""
    goals = [(key, goal) for key, listed in keys.items() for goal in listed]
    names = list(scene.label_names)
    for _, goal in goals:
        if category_name(goal.category) not in set(map(category_name, names)):
            names.append(goal.category)
    label_of = {category_name(name): k for k, name in reversed(list(enumerate(names)))}
    labels = np.array([label_of[category_name(goal.category)] for _, goal in goals], np.int32)
    cells = [np.unique(scene.walkable.locate(goal.view_points)) for _, goal in goals]
    cells = [own[own >= 0].astype(np.int32) for own in cells]
    categories = [category_name(goal.category) for _, goal in goals]
    objects = objects_from_views(
        scene.walkable,
        labels,
        np.array([goal.position for _, goal in goals], np.float32),
        cells,
        [name if len(own) else None for name, own in zip(categories, cells, strict=True)],
        [goal.image_poses for _, goal in goals] if single else None,
    )
    number_of = {}
    for row, (key, _) in enumerate(goals):
        if single and row in objects.goals:
            number = len(objects.categories) + objects.goals.tolist().index(row)
            number_of[key] = len(scene.goals) + number
        elif not single and categories[row] in objects.categories:
            number_of[key] = len(scene.goals) + objects.categories.index(categories[row])
    plain = np.zeros(len(scene.triangles), np.int32)
    return replace(scene, label_names=tuple(names), instances=plain, objects=objects), number_of


def save_object_episodes(episodes: EpisodeSet, scenes: Sequence[Scene], path: str | PathLike[str]) -> None:
    """Writes episodes whose goals are objects, as Habitat's ObjectNav or InstanceImageNav files.

    The kind follows from the goals: categories, or single objects. View points are written with the rotation that looks
    at the object; their `iou` is not measured and is 0.

    Args:
        episodes: Episodes with goals that are objects, such as those of `ObjectNav.prepare`.
        scenes: Their scenes.
        path: The file `{split}.json.gz`; scenes are written to `content/` beside it.

    Raises:
        SceneError: If a goal is not an object, both kinds are mixed, or a file cannot be written.
    """
    path, by_name = Path(path), {scene.name: scene for scene in scenes}
    kinds = {_kind(by_name[episodes.scene_names[k]], int(n)) for k, n in zip(episodes.scene_index, episodes.goal_index)}  # noqa: B905
    if len(kinds) != 1 or kinds == {"point"}:
        raise SceneError(
            f"{path}: the goals are {' and '.join(sorted(kinds))}s; expected categories, or single objects."
        )
    single = kinds == {"object"}
    numbers = {name: k for k, name in enumerate(CATEGORIES)}
    head: dict[str, Any] = (
        {}
        if single
        else {
            "category_to_task_category_id": numbers,
            "category_to_scene_annotation_category_id": numbers,
        }
    )
    _write(path, {"episodes": []} | head)
    for k, name in enumerate(episodes.scene_names):
        mine = np.flatnonzero(episodes.scene_index == k)
        if len(mine):
            content = _content(by_name[name], episodes, mine, single)
            _write(path.parent / "content" / f"{_slug(name)}.json.gz", content | head)


def _content(scene: Scene, episodes: EpisodeSet, mine: np.ndarray, single: bool) -> dict[str, Any]:
    objects, base = scene.objects, scene.name.replace("\\", "/").rsplit("/", 1)[-1]
    goals: dict[str, Any] = {}
    entries = []
    for e in mine.tolist():
        number = int(episodes.goal_index[e]) - len(scene.goals)
        if single:
            row = int(objects.goals[number - len(objects.categories)])
            category, key = _category(scene, row), f"{_stem(base)}_{row + 1}"
            goals.setdefault(key, _goal_entry(scene, row, number - len(objects.categories)))
        else:
            category = objects.categories[number]
            key = f"{base}_{category}"
            if key not in goals:
                goals[key] = [_goal_entry(scene, row, None) for row in rows_of(scene, category)]
        entry = {
            "episode_id": episodes.episode_id[e],
            "scene_id": scene.name,
            "scene_dataset_config": "",
            "additional_obj_config_paths": [],
            "start_position": (episodes.start_position[e] + episodes.offset[e]).tolist(),
            "start_rotation": episodes.start_rotation[e].tolist(),
            "info": {"geodesic_distance": float(episodes.geodesic_distance[e])},
            "goals": [],
            "start_room": None,
            "shortest_paths": None,
            "object_category": category,
        }
        if single:
            entry |= {"goal_object_id": str(row + 1), "goal_image_id": int(max(episodes.goal_image[e], 0))}
        entries.append(entry)
    return {"episodes": entries, "goals" if single else "goals_by_category": goals}


def _goal_entry(scene: Scene, row: int, number: int | None) -> dict[str, Any]:
    """An object as Habitat writes it; `number`: its place among single goals, for its images."""
    objects, category = scene.objects, _category(scene, row)
    offset = np.array(scene.offset)
    center = objects.centers[row] + offset
    places = scene.walkable.positions[objects.view_cells_of(row)] + offset
    half = np.arctan2(-(center - places)[:, 0], -(center - places)[:, 2]) / 2
    entry: dict[str, Any] = {
        "position": center.tolist(),
        "radius": None,
        "object_id": row + 1,
        "object_name": f"{category}_{row + 1}",
        "object_name_id": None,
        "object_category": category,
        "room_id": None,
        "room_name": None,
        "view_points": [
            {"agent_state": {"position": place, "rotation": [0.0, float(np.sin(a)), 0.0, float(np.cos(a))]}, "iou": 0.0}
            for place, a in zip(places.tolist(), half, strict=True)
        ],
    }
    if number is None:
        return entry
    shown_by = np.flatnonzero(objects.image_goals == number)
    entry["object_surface_area"] = float(objects.areas[row])
    entry["image_goals"] = [
        {
            "position": (objects.image_poses[q, :3] + offset).tolist(),
            "rotation": _rotation(*objects.image_poses[q, 3:].tolist()),
            "hfov": IMAGE_HFOV,
            "image_dimensions": [_IMAGE_SIDE, _IMAGE_SIDE],
            "frame_coverage": float(objects.image_coverage[q, 0]),
            "object_coverage": float(objects.image_coverage[q, 1]),
        }
        for q in shown_by
    ]
    return entry


def _rotation(heading: float, pitch: float) -> list[float]:
    """The quaternion x, y, z, w that tilts by `pitch` and then turns by `heading`."""
    sy, cy, sx, cx = np.sin(heading / 2), np.cos(heading / 2), np.sin(pitch / 2), np.cos(pitch / 2)
    return [float(cy * sx), float(sy * cx), float(-sy * sx), float(cy * cx)]


def _kind(scene: Scene, number: int) -> str:
    number -= len(scene.goals)
    return "point" if number < 0 else "category" if number < len(scene.objects.categories) else "object"


def _category(scene: Scene, row: int) -> str:
    return category_name(scene.label_names[scene.objects.labels[row]])


def _stem(base: str) -> str:
    """`TEEsavR23oF.basis.glb` as `TEEsavR23oF`."""
    return base.removesuffix(".glb").removesuffix(".basis")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _write(path: Path, document: dict[str, Any]) -> None:
    # Without a time in the header, equal episodes give equal files.
    write_user_file(path, gzip.compress(json.dumps(document).encode(), mtime=0))


def holds_objects(path: str | PathLike[str]) -> bool:
    """Whether an episode file's goals are objects, not points.

    Raises:
        SceneError: If it is no episode file.
    """
    path = Path(path)
    task, has_episodes = episode_task(path)
    content = sorted((path.parent / "content").glob("*.json.gz"))
    if task is None and not has_episodes and content:
        task, _ = episode_task(content[0])
    return task in ("ObjectNav", "InstanceImageNav")
