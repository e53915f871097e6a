"""What an evaluation found: one record an episode, and the figures made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MEASURES = ("success", "spl", "soft_spl", "distance_to_goal", "collisions", "episode_length", "reward")

_RESAMPLES = 2000


@dataclass(frozen=True)
class EpisodeRecord:
    """One finished episode.

    - `measures`: by name, at least `MEASURES`; metres, steps.
    - `path`: where the agent stood, `[steps + 1][3]`, metres; `goal` `[3]`; `start_distance`: geodesic, metres.
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
class Evaluation:
    """All episodes that one agent ran. `agent`: a run folder's or a baseline's name; `scenes`: the set's name."""

    agent: str
    scenes: str
    seed: int
    records: tuple[EpisodeRecord, ...]

    def values(self, measure: str) -> np.ndarray:
        """One measure of all episodes, float64 `[E]`."""
        return np.array([record.measures[measure] for record in self.records], np.float64)

    def summary(self) -> dict[str, Any]:
        """`episodes`, and for each measure its mean with a 95% interval: `{"mean": m, "ci95": [low, high]}`."""
        clusters = [record.scene for record in self.records]
        figures: dict[str, Any] = {"episodes": len(self.records)}
        for name in MEASURES:
            values = self.values(name)
            low, high = bootstrap_interval(values, clusters, self.seed)
            figures[name] = {"mean": float(values.mean()), "ci95": [low, high]}
        return figures

    def per_scene(self) -> dict[str, dict[str, float]]:
        """Episodes, and the mean of each measure, by scene."""
        table: dict[str, dict[str, float]] = {}
        scenes = np.array([record.scene for record in self.records])
        for scene in sorted(set(scenes.tolist())):
            chosen = scenes == scene
            table[scene] = {"episodes": int(chosen.sum())}
            table[scene] |= {name: float(self.values(name)[chosen].mean()) for name in MEASURES}
        return table

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        data = {"agent": self.agent, "scenes": self.scenes, "seed": self.seed, **self.summary()}
        data |= {"per_scene": self.per_scene(), "records": [asdict(record) for record in self.records]}
        path.write_text(json.dumps(data), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Read what `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(EpisodeRecord(**record) for record in data["records"])
        return Evaluation(data["agent"], data["scenes"], data["seed"], records)


def bootstrap_interval(values: np.ndarray, clusters: Sequence[str], seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean of `values` `[E]`, by resampling whole clusters with replacement.

    Episodes in one scene resemble each other; drawing scenes rather than episodes keeps the interval honest (the
    cluster bootstrap: Field and Welsh, "Bootstrapping clustered data", 2007).
    """
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    count = member.max() + 1
    totals = np.bincount(member, weights=values, minlength=count)
    sizes = np.bincount(member, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    means = totals[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
