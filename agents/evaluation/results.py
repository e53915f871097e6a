"""Results of an evaluation: one record per episode, and the statistics computed from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from batchsim.scenes.categories import CATEGORIES

COUNTED = ("collisions", "episode_length", "reward")
"""Measures of every task."""
MEASURES = ("success", "spl", "soft_spl", "distance_to_goal", *COUNTED)
"""PointNav's measures."""

_RESAMPLES = 2000
# Edges of the table by geodesic start distance, metres.
_DISTANCES = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, math.inf)


@dataclass(frozen=True)
class EpisodeRecord:
    """One finished episode.

    Attributes:
        scene: The scene's name.
        episode_id: The episode's id, unique in its scene.
        start_distance: Geodesic distance from start to goal, metres; nan for tasks without a goal.
        goal: The goal's position `[3]`, metres.
        measures: Final values by name, at least the measures of its `Evaluation`.
        path: The agent's positions `[steps + 1][3]`, metres.
        headings: The agent's headings `[steps + 1]`, radians.
        actions: The agent's actions `[steps]`, numbers or lists of velocities. Repeating them reproduces the path.
    """

    scene: str
    episode_id: str
    start_distance: float
    goal: list[float]
    measures: dict[str, float]
    path: list[list[float]] = field(default_factory=list, repr=False)
    headings: list[float] = field(default_factory=list, repr=False)
    actions: list[int] | list[list[float]] = field(default_factory=list, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Scene and episode id, which identify the episode in a set."""
        return self.scene, self.episode_id

    @property
    def has_goal(self) -> bool:
        """Whether the task is to reach the goal."""
        return "distance_to_goal" in self.measures

    @property
    def has_success(self) -> bool:
        """Whether the task defines success."""
        return "success" in self.measures

    @property
    def succeeded(self) -> bool:
        """Whether the episode was a success; False if the task does not define success."""
        return self.measures.get("success", 0.0) > 0.5


@dataclass(frozen=True)
class LeftOut:
    """An episode that could not be run, and the reason."""

    scene: str
    episode_id: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """All episodes that one agent ran.

    Attributes:
        agent: The name of a run folder or a baseline.
        scenes: The name of the scene set or episode file.
        seed: Seed of the agent's random numbers and of the bootstrap.
        records: One record per episode, in the set's order.
        measures: The measures that tables show, most important first.
        left_out: Requested episodes that could not be run; no statistic counts them.
        deterministic: Whether the agent always took its most likely action instead of sampling.
        setting: The named setting, with its version and all its options; None if there was none.
        categories: Names of the categories of objects that the measure `category` numbers.
    """

    agent: str
    scenes: str
    seed: int
    records: tuple[EpisodeRecord, ...]
    measures: tuple[str, ...] = MEASURES
    left_out: tuple[LeftOut, ...] = ()
    deterministic: bool = False
    setting: dict[str, Any] | None = None
    categories: tuple[str, ...] = CATEGORIES

    def values(self, measure: str) -> np.ndarray:
        """One measure of all episodes, float64 `[E]`."""
        return np.array([record.measures[measure] for record in self.records], np.float64)

    def summary(self) -> dict[str, Any]:
        """`episodes`, and for each measure its mean with a 95% interval: `{"mean": m, "ci95": [low, high]}`."""
        return self._statistics(np.ones(len(self.records), bool))

    def per_scene(self) -> dict[str, dict[str, float]]:
        """The number of episodes and the mean of each measure, by scene."""
        table: dict[str, dict[str, float]] = {}
        scenes = self._scenes()
        for scene in np.unique(scenes).tolist():
            chosen = scenes == scene
            table[scene] = {"episodes": int(chosen.sum())}
            table[scene] |= {name: float(self.values(name)[chosen].mean()) for name in self.measures}
        return table

    def per_category(self) -> dict[str, dict[str, Any]]:
        """As `summary`, by the category of the object that was the goal; empty for tasks without."""
        if any("category" not in record.measures for record in self.records):
            return {}
        names = np.array([self.category_of(record) for record in self.records])
        order = [name for name in self.categories if (names == name).any()]
        return {name: self._statistics(names == name) for name in [*order, *sorted({*names.tolist()} - {*order})]}

    def category_of(self, record: EpisodeRecord) -> str:
        """The category of the object that was the goal of an episode; empty if there was none."""
        number = record.measures.get("category", -1.0)
        known = 0 <= number < len(self.categories)
        return self.categories[int(number)] if known else f"category {number:.0f}" if number >= 0 else ""

    def per_distance(self) -> list[dict[str, Any]]:
        """As `summary`, for episodes with a geodesic start distance in [`from`, `to`) metres, one row per bin.

        The bins are the same for all evaluations; empty ones are left out.
        """
        distance = np.array([record.start_distance for record in self.records], np.float64)
        table = []
        for low, high in pairwise(_DISTANCES):
            chosen = (distance >= low) & (distance < high)
            if chosen.any():
                table.append({"from": low, "to": high, **self._statistics(chosen)})
        return table

    def to_json(self) -> dict[str, Any]:
        """Everything but the records as plain lists and numbers; None replaces numbers that are not finite."""
        data = {"agent": self.agent, "scenes": self.scenes, "seed": self.seed, "deterministic": self.deterministic}
        data |= {"setting": self.setting} if self.setting else {}
        data |= {**self.summary(), "per_scene": self.per_scene(), "per_distance": self.per_distance()}
        by_category = self.per_category()
        data |= {"per_category": by_category, "categories": self.categories} if by_category else {}
        return finite_or_none(data | {"measures": self.measures, "left_out": [asdict(each) for each in self.left_out]})

    def _scenes(self) -> np.ndarray:
        return np.array([record.scene for record in self.records])

    def _statistics(self, chosen: np.ndarray) -> dict[str, Any]:
        clusters = self._scenes()[chosen]
        statistics: dict[str, Any] = {"episodes": int(chosen.sum())}
        for name in self.measures:
            values = self.values(name)[chosen]
            low, high = bootstrap_interval(values, clusters, self.seed)
            statistics[name] = {"mean": float(values.mean()), "ci95": [low, high]}
        return statistics


def bootstrap_interval(values: np.ndarray, clusters: Sequence[str] | np.ndarray, seed: int) -> tuple[float, float]:
    """95% percentile interval of a mean by the cluster bootstrap, which resamples whole clusters with replacement.

    Episodes of one scene are correlated; resampling scenes instead of episodes accounts for that (Field and Welsh,
    "Bootstrapping clustered data", 2007). With a single cluster all resampled means would be equal and the interval
    would have no width, so its episodes are resampled instead; the interval then holds for that scene alone.

    Args:
        values: One value per episode `[E]`.
        clusters: The cluster (scene) of each episode `[E]`.
        seed: Seed of the resampling.

    Returns:
        The interval's ends.
    """
    means = bootstrap_means(values, clusters, seed)
    # closest_observation, because interpolation between a finite and an infinite mean gives nan
    low, high = np.percentile(means, [2.5, 97.5], method="closest_observation")
    return float(low), float(high)


def bootstrap_means(values: np.ndarray, clusters: Sequence[str] | np.ndarray, seed: int) -> np.ndarray:
    """The resampled means of `bootstrap_interval`, float64 `[R]`."""
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    if member.max() == 0:
        member = np.arange(len(values))
    count = member.max() + 1
    totals = np.bincount(member, weights=values, minlength=count)
    sizes = np.bincount(member, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    return totals[drawn].sum(1) / sizes[drawn].sum(1)


def finite_or_none(value: Any) -> Any:
    """`value` with None in place of floats that are not finite, which JSON cannot hold; lists and dicts are copied."""
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_none(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
