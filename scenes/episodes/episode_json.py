"""Reads the JSON of Habitat's episode files: unpacked to a limit, every value typed, other tasks recognised.

Memory stays proportional to the valid episodes: values that PointNav does not use are skipped, not built, and reading
stops at `MAX_MALFORMED` malformed episodes.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.user_files import reading

MAX_UNPACKED_BYTES = 256 << 20
MAX_MALFORMED = 10_000
MAX_VALUES = 10_000_000
"""Most values of a file that is read as a whole; each takes up to 100 bytes of memory."""
MAX_GOALS_BYTES = 1 << 20
"""Largest size of the goals of one episode."""

_KIND = "a gzip file of episodes"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError)  # msgspec raises the second for text that is not UTF-8
_NON_FINITE = re.compile(rb"(?<=[\[,:\s])-?(?:NaN|Infinity)(?=[\],}\s])")

Text = Annotated[str, Meta(max_length=4096)]
Metres = Annotated[float, Meta(ge=-1e7, le=1e7)]
Whole = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
_Other = Raw | UnsetType


class JsonGoal(Struct):
    """A goal of an episode."""

    position: tuple[Metres, Metres, Metres]
    radius: Annotated[float, Meta(gt=0, le=1e7)] | None = None


class JsonInfo(Struct):
    """Additional facts of an episode."""

    geodesic_distance: float | None = None


class JsonEpisode(Struct):
    """A PointNav episode as it is stored. The last fields only occur in episodes of other tasks."""

    episode_id: Text | Whole
    scene_id: Text
    start_position: tuple[Metres, Metres, Metres]
    start_rotation: tuple[Metres, Metres, Metres, Metres]
    goals: Raw
    info: JsonInfo | None = None

    def first_goal(self) -> JsonGoal:
        """Returns the first goal; raises ValueError if there is none, or goals are malformed."""
        if len(memoryview(self.goals)) > MAX_GOALS_BYTES:
            raise ValueError(f"its goals have more than {MAX_GOALS_BYTES:,} bytes")
        goals = msgspec.json.decode(self.goals, type=list[JsonGoal])
        if not goals:
            raise ValueError("it has no goal")
        return goals[0]

    def heading(self) -> float:
        """Returns the heading, radians, of the rotated forward axis -z; raises ValueError for a rotation of zeros."""
        rotation = np.array(self.start_rotation)
        norm = float(np.linalg.norm(rotation))
        if norm < 1e-3:
            raise ValueError("its start_rotation is zero")
        x, y, z, w = rotation / norm
        return float(np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y)))

    def distance(self) -> float:
        """Returns the geodesic distance, metres, nan if it is missing or impossible."""
        value = self.info.geodesic_distance if self.info else None
        return value if value is not None and 0 <= value <= 1e7 else float("nan")


class _Marks(Struct):
    """Fields of an episode that tell which task it belongs to."""

    goal_image_id: _Other = UNSET
    object_category: _Other = UNSET
    instruction: _Other = UNSET
    question: _Other = UNSET
    rigid_objs: _Other = UNSET
    tasks: _Other = UNSET


_TASK_OF_MARK = {
    "goal_image_id": "InstanceImageNav",
    "object_category": "ObjectNav",
    "instruction": "vision-and-language navigation (VLN)",
    "question": "embodied question answering (EQA)",
    "rigid_objs": "rearrangement",
    "tasks": "GOAT",
}


class _File(Struct):
    """The whole file; the fields after `episodes` only occur in files of other tasks."""

    episodes: Raw
    goals: _Other = UNSET
    goals_by_category: _Other = UNSET
    category_to_task_category_id: _Other = UNSET
    category_to_mp3d_category_id: _Other = UNSET
    instruction_vocab: _Other = UNSET
    question_vocab: _Other = UNSET

    def task(self) -> str | None:
        """Returns the task that the file is for, None if it may be PointNav."""
        if any(_has(mark) for mark in (self.goals_by_category, self.category_to_task_category_id)):
            return "ObjectNav"
        if _has(self.category_to_mp3d_category_id):
            return "ObjectNav"
        if _has(self.goals):
            return "InstanceImageNav"
        if _has(self.instruction_vocab):
            return "vision-and-language navigation (VLN)"
        return "embodied question answering (EQA)" if _has(self.question_vocab) else None


class MalformedEpisode(Struct):
    """An entry of the list of episodes that is no PointNav episode."""

    reason: str
    episode_id: str = ""
    scene_id: str = ""


class _Names(Struct):
    episode_id: Text | Whole = ""
    scene_id: Text = ""


def read_episodes(path: Path) -> Iterator[JsonEpisode | MalformedEpisode]:
    """Yields the episodes of a `.json.gz` file in order.

    Raises:
        SceneError: If the file is missing, no gzip file, too large, not JSON, not a list of episodes, of another task,
            or has more than `MAX_MALFORMED` malformed episodes.
    """
    document = _document(path, _unpacked(path))
    _check_task(path, document.task() or _task_of(next(_items(document.episodes), b"")))
    try:
        yield from msgspec.json.decode(document.episodes, type=list[JsonEpisode])
        return
    except _BROKEN:
        pass  # At least one is malformed: find out which.
    malformed = 0
    for number, item in enumerate(_items(document.episodes)):
        episode = _episode(number, item)
        if isinstance(episode, MalformedEpisode):
            malformed += 1
            if malformed > MAX_MALFORMED:
                raise SceneError(
                    f"{path}: more than {MAX_MALFORMED:,} episodes are malformed, such as {episode.reason}."
                )
        yield episode


def episode_task(path: Path) -> tuple[str | None, bool]:
    """Finds out which task a file is for, without building its episodes.

    Returns:
        The task, such as "ObjectNav", None if it may be PointNav; and whether the file has episodes.

    Raises:
        SceneError: If it is not an episode file.
    """
    document = _document(path, _unpacked(path))
    first = next(_items(document.episodes), b"")
    return document.task() or _task_of(first), bool(first)


def read_document(path: Path) -> dict[str, Any]:
    """Returns the whole content of an episode file of any task: an object with a list `episodes`.

    Raises:
        SceneError: If it is anything else, or holds more than `MAX_VALUES` values.
    """
    data = _unpacked(path)
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > MAX_VALUES:
        raise SceneError(f"{path} holds about {values:,} values, more than {MAX_VALUES:,}; split it by scene.")
    _document(path, data)
    try:
        return msgspec.json.decode(_NON_FINITE.sub(b"null", data))
    except (*_BROKEN, RecursionError) as error:
        raise SceneError(f"{path} is malformed JSON: {first_line(error)}.") from error


def read_numbers(values: Any, count: int) -> list[float]:
    """Returns `count` numbers between -1e7 and 1e7; raises ValueError for anything else."""
    numbers = msgspec.convert(values, list[Metres])
    if len(numbers) != count:
        raise ValueError(f"expected {count} numbers, got {len(numbers)}")
    return numbers


def _unpacked(path: Path) -> bytes:
    with reading(path, _KIND), gzip.open(path) as file:
        data = file.read(MAX_UNPACKED_BYTES + 1)
    if len(data) > MAX_UNPACKED_BYTES:
        raise SceneError(f"{path} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; split it by scene.")
    return data


def _document(path: Path, data: bytes) -> _File:
    try:
        try:
            document = msgspec.json.decode(data, type=_File)
        except msgspec.ValidationError:
            raise
        except _BROKEN:
            # Python writes NaN and Infinity, which JSON does not have.
            document = msgspec.json.decode(_NON_FINITE.sub(b"null", data), type=_File)
        if bytes(memoryview(document.episodes)[:1]) != b"[":
            raise msgspec.ValidationError("`episodes` is not a list")
        return document
    except msgspec.ValidationError as error:
        raise SceneError(f"{path} is not an episode file: {first_line(error)}; expected a list 'episodes'.") from error
    except (*_BROKEN, RecursionError) as error:
        raise SceneError(f"{path} is malformed JSON: {first_line(error)}.") from error


def _check_task(path: Path, task: str | None) -> None:
    if task:
        hint = " Use load_object_episodes." if task in ("ObjectNav", "InstanceImageNav") else ""
        raise SceneError(f"{path} holds episodes of {task}; expected PointNav episodes, with positions as goals.{hint}")


def _task_of(item: bytes) -> str | None:
    try:
        marks = msgspec.json.decode(item, type=_Marks)
    except _BROKEN:
        return None
    return next((task for name, task in _TASK_OF_MARK.items() if _has(getattr(marks, name))), None)


def _has(mark: _Other) -> bool:
    """Returns whether a field has a value: not null, [] or {}."""
    return isinstance(mark, Raw) and bytes(memoryview(mark)[:64]).translate(None, b" \t\r\n") not in (
        b"null",
        b"[]",
        b"{}",
    )


def _episode(number: int, item: bytes) -> JsonEpisode | MalformedEpisode:
    try:
        return msgspec.json.decode(item, type=JsonEpisode)
    except _BROKEN as error:
        reason = f"episode {number} is malformed ({first_line(error)})"
    try:
        names = msgspec.json.decode(item, type=_Names)
        return MalformedEpisode(reason, str(names.episode_id) or f"number {number}", names.scene_id)
    except _BROKEN:
        return MalformedEpisode(reason, f"number {number}")


def _items(array: Raw) -> Iterator[bytes]:
    """Yields the items of a valid JSON array as they are written, without building them."""
    data = memoryview(array)
    depth, start = 0, 1
    for token in _TOKEN.finditer(data):
        kind = data[token.start()]
        depth += (kind in b"[{") - (kind in b"]}")
        if depth == 0 or (depth == 1 and kind == ord(",")):
            if item := bytes(data[start : token.start()]).strip():
                yield item
            start = token.end()
