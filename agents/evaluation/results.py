"""What an evaluation found: one record an episode, and the figures made of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from batchsim.scenes.atomic_files import atomic_write

COUNTED = ("collisions", "episode_length", "reward")
"""Measures that the episodes of every task have."""
MEASURES = ("success", "spl", "soft_spl", "distance_to_goal", *COUNTED)
"""PointNav's."""

_RESAMPLES = 2000
# Metres of walking from start to goal at which the table by distance is cut.
_DISTANCES = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, math.inf)


@dataclass(frozen=True)
class EpisodeRecord:
    """One finished episode.

    - `measures`: by name, at least those of its evaluation; metres, steps.
    - `path`: where the agent stood, `[steps + 1][3]`, metres; `goal` `[3]`; `start_distance`: geodesic, metres;
      nan where the task has no goal.
    - `headings`: where it looked, `[steps + 1]`, radians; `actions`: what it did, `[steps]`. Doing the same again walks
      the same way.
    """

    scene: str
    episode_id: str
    start_distance: float
    goal: list[float]
    measures: dict[str, float]
    path: list[list[float]] = field(default_factory=list, repr=False)
    headings: list[float] = field(default_factory=list, repr=False)
    actions: list[int] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class LeftOut:
    """An episode that could not be run, and why."""

    scene: str
    episode_id: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """All episodes that one agent ran.

    - `agent`: a run folder's or a baseline's name; `scenes`: the set's name.
    - `measures`: those that tables show, the one that matters most first.
    - `left_out`: episodes asked for that could not be run; no figure counts them.
    - `deterministic`: the likeliest action was taken each time, none was drawn.
    """

    agent: str
    scenes: str
    seed: int
    records: tuple[EpisodeRecord, ...]
    measures: tuple[str, ...] = MEASURES
    left_out: tuple[LeftOut, ...] = ()
    deterministic: bool = False

    def values(self, measure: str) -> np.ndarray:
        """One measure of all episodes, float64 `[E]`."""
        return np.array([record.measures[measure] for record in self.records], np.float64)

    def summary(self) -> dict[str, Any]:
        """`episodes`, and for each measure its mean with a 95% interval: `{"mean": m, "ci95": [low, high]}`."""
        return self._figures(np.ones(len(self.records), bool))

    def per_scene(self) -> dict[str, dict[str, float]]:
        """Episodes, and the mean of each measure, by scene."""
        table: dict[str, dict[str, float]] = {}
        scenes = self._scenes()
        for scene in np.unique(scenes).tolist():
            chosen = scenes == scene
            table[scene] = {"episodes": int(chosen.sum())}
            table[scene] |= {name: float(self.values(name)[chosen].mean()) for name in self.measures}
        return table

    def per_distance(self) -> list[dict[str, Any]]:
        """As `summary`, for the episodes that began `from` to below `to` metres of walking from the goal.

        Lengths without episodes have no row; the edges are the same for all evaluations.
        """
        distance = np.array([record.start_distance for record in self.records], np.float64)
        table = []
        for low, high in pairwise(_DISTANCES):
            chosen = (distance >= low) & (distance < high)
            if chosen.any():
                table.append({"from": low, "to": high, **self._figures(chosen)})
        return table

    def to_json(self) -> dict[str, Any]:
        """Everything but the records, as plain lists and numbers; None stands for what is not finite."""
        data = {"agent": self.agent, "scenes": self.scenes, "seed": self.seed, "deterministic": self.deterministic}
        data |= {**self.summary(), "per_scene": self.per_scene(), "per_distance": self.per_distance()}
        return _finite(data | {"measures": self.measures, "left_out": [asdict(episode) for episode in self.left_out]})

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        data = self.to_json() | {"records": [_finite(asdict(record)) for record in self.records]}
        atomic_write(path, json.dumps(data, allow_nan=False))

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Read what `save` wrote; infinite where it wrote null."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return Evaluation(
            *(data[name] for name in ("agent", "scenes", "seed")),
            records=tuple(_record(record) for record in data["records"]),
            measures=tuple(data.get("measures", MEASURES)),
            left_out=tuple(LeftOut(**episode) for episode in data.get("left_out", ())),
            deterministic=data.get("deterministic", False),
        )

    def save_csv(self, path: Path) -> None:
        """Write a line for each episode: scene, id, distance at the start, goal, all measures; empty = not finite."""
        others = sorted({name for record in self.records for name in record.measures} - set(self.measures))
        names = [*self.measures, *(name for name in others if name != "start_distance")]
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["scene", "episode_id", "start_distance", "goal_x", "goal_y", "goal_z", *names])
            for record in self.records:
                numbers = [record.start_distance, *record.goal, *(record.measures.get(name) for name in names)]
                lines.writerow([record.scene, record.episode_id, *_finite(numbers)])

    def _scenes(self) -> np.ndarray:
        return np.array([record.scene for record in self.records])

    def _figures(self, chosen: np.ndarray) -> dict[str, Any]:
        clusters = self._scenes()[chosen]
        figures: dict[str, Any] = {"episodes": int(chosen.sum())}
        for name in self.measures:
            values = self.values(name)[chosen]
            low, high = bootstrap_interval(values, clusters, self.seed)
            figures[name] = {"mean": float(values.mean()), "ci95": [low, high]}
        return figures


def bootstrap_interval(values: np.ndarray, clusters: Sequence[str], seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean of `values` `[E]`, by resampling whole clusters with replacement.

    Episodes in one scene resemble each other; drawing scenes rather than episodes keeps the interval honest (the
    cluster bootstrap: Field and Welsh, "Bootstrapping clustered data", 2007). Of a single cluster there is but one
    mean, which would pass for certainty: there the episodes are drawn, and the interval is for that scene alone.
    """
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    if member.max() == 0:
        member = np.arange(len(values))
    count = member.max() + 1
    totals = np.bincount(member, weights=values, minlength=count)
    sizes = np.bincount(member, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    means = totals[drawn].sum(1) / sizes[drawn].sum(1)
    # One of the means itself, since nothing lies between a finite and an infinite one.
    low, high = np.percentile(means, [2.5, 97.5], method="closest_observation")
    return float(low), float(high)


def _finite(value: Any) -> Any:
    """`value` with None in place of numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _record(data: dict[str, Any]) -> EpisodeRecord:
    measures = {name: math.inf if value is None else value for name, value in data["measures"].items()}
    distance = data["start_distance"]
    return EpisodeRecord(**{**data, "measures": measures, "start_distance": math.nan if distance is None else distance})
