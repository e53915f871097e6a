"""Files of an evaluation: evaluation.json, which can be read back, and episodes.csv."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

from msgspec import Meta

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation, LeftOut, finite_or_none
from batchsim.scenes.atomic_files import atomic_write
from batchsim.scenes.categories import CATEGORIES
from batchsim.scenes.user_files import read_json

_MAX_BYTES = 1 << 30
_EXPECTED = "an evaluation written by batchsim-eval"

_Point = Annotated[list[float], Meta(min_length=3, max_length=3)]
_Velocities = Annotated[list[float], Meta(min_length=1, max_length=16)]


class _RecordJson(TypedDict):
    scene: str
    episode_id: str
    start_distance: float | None
    goal: _Point
    measures: dict[str, float | None]
    path: list[_Point]
    headings: list[float]
    actions: list[Annotated[int, Meta(ge=0, le=255)] | _Velocities]


class _RequiredJson(TypedDict):
    agent: str
    scenes: str
    seed: Annotated[int, Meta(ge=0, lt=2**32)]
    records: list[_RecordJson]


class _EvaluationJson(_RequiredJson, total=False):
    measures: Annotated[list[str], Meta(min_length=1)]
    left_out: list[LeftOut]
    deterministic: bool
    setting: dict[str, Any]
    categories: Annotated[list[str], Meta(min_length=1)]


def save_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `evaluation.json` and `episodes.csv` into `folder`, which is created if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    data = evaluation.to_json() | {"records": [finite_or_none(asdict(record)) for record in evaluation.records]}
    atomic_write(folder / "evaluation.json", json.dumps(data, allow_nan=False))
    atomic_write(folder / "episodes.csv", _csv(evaluation))


def load_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`.

    Measures that were not finite come back as inf, start distances as nan.

    Raises:
        AgentError: If the file cannot be read, or holds anything but an evaluation.
    """
    data: _EvaluationJson = read_json(path, _EvaluationJson, _EXPECTED, AgentError, _MAX_BYTES)
    measures = tuple(data.get("measures", MEASURES))
    return Evaluation(
        data["agent"],
        data["scenes"],
        data["seed"],
        records=tuple(_record(path, record, measures) for record in data["records"]),
        measures=measures,
        left_out=tuple(data.get("left_out", ())),
        deterministic=data.get("deterministic", False),
        setting=data.get("setting"),
        categories=tuple(data.get("categories", CATEGORIES)),
    )


def _record(path: Path, data: _RecordJson, measures: tuple[str, ...]) -> EpisodeRecord:
    count = len(data["path"])
    if len(data["headings"]) not in (0, count) or len(data["actions"]) not in (0, count - 1):
        raise AgentError(
            f"{path}: episode {data['episode_id']!r} has {count} positions, {len(data['headings'])} headings and "
            f"{len(data['actions'])} actions; expected one heading per position, and one action less, or none."
        )
    if len({len(action) if isinstance(action, list) else 0 for action in data["actions"]}) > 1:
        raise AgentError(f"{path}: episode {data['episode_id']!r} has actions of different kinds; expected one.")
    if missing := sorted(set(measures) - data["measures"].keys()):
        raise AgentError(f"{path}: episode {data['episode_id']!r} lacks the measures {', '.join(missing)}.")
    distance = data["start_distance"]
    return EpisodeRecord(
        scene=data["scene"],
        episode_id=data["episode_id"],
        start_distance=math.nan if distance is None else distance,
        goal=data["goal"],
        measures={name: math.inf if value is None else value for name, value in data["measures"].items()},
        path=data["path"],
        headings=data["headings"],
        actions=cast("list[int] | list[list[float]]", data["actions"]),
    )


def _csv(evaluation: Evaluation) -> str:
    """One line per episode: scene, id, start distance, goal and all measures; empty where a number is not finite."""
    others = sorted({name for record in evaluation.records for name in record.measures} - set(evaluation.measures))
    names = [*evaluation.measures, *(name for name in others if name != "start_distance")]
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(["scene", "episode_id", "start_distance", "goal_x", "goal_y", "goal_z", *names])
    for record in evaluation.records:
        numbers = [record.start_distance, *record.goal, *(record.measures.get(name) for name in names)]
        lines.writerow([record.scene, record.episode_id, *finite_or_none(numbers)])
    return text.getvalue()
