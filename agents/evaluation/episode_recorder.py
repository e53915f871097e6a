"""Steps of many environments in, records of episodes out: tensors while they run, lists when they have ended."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.scenes import EpisodeSet

# Steps that are kept on the device before they are fetched together.
_BLOCK = 64
_NAMES = {"l": "episode_length", "r": "reward"}


class EpisodeRecorder:
    """Keeps what happened in `episodes`, of which each environment runs one at a time."""

    def __init__(self, episodes: EpisodeSet) -> None:
        self._episodes = episodes
        self._waiting: list[dict[str, Tensor]] = []
        # The steps `[T, N]` since the longest-running of the episodes under way began, and where in them each began.
        self._steps: dict[str, np.ndarray] = {}
        self._first: np.ndarray | None = None
        self._records: dict[int, EpisodeRecord] = {}

    def add(self, number: Tensor, done: Tensor, action: Tensor, info: dict[str, Any]) -> None:
        """One step of N environments.

        - `number` int64 `[N]`: which episode each is in; beyond the set for those that have none.
        - `done` bool `[N]`: whose episode ended; `action` int64 `[N]`; `info`: what `NavVectorEnv.step` gave.
        """
        step = {"number": number, "done": done, "action": action}
        step |= {"position": info["position"], "heading": info["heading"]}
        # The environment may write its tensors again.
        step |= {f"episode/{name}": value for name, value in info["episode"].items()}
        self._waiting.append({name: value.clone() for name, value in step.items()})
        if len(self._waiting) == _BLOCK:
            self._collect()

    def records(self) -> tuple[EpisodeRecord, ...]:
        """One record for each episode of the set that has ended, in the set's order."""
        self._collect()
        return tuple(self._records[number] for number in sorted(self._records))

    def _collect(self) -> None:
        if not self._waiting:
            return
        names = self._waiting[0]
        new = {name: torch.stack([step[name] for step in self._waiting]).cpu().numpy() for name in names}
        self._waiting = []
        before = len(self._steps["done"]) if self._steps else 0
        self._steps = {
            name: np.concatenate((self._steps[name], value)) if before else value for name, value in new.items()
        }
        if self._first is None:
            self._first = np.zeros(new["done"].shape[1], np.int64)
        for t, env in np.argwhere(new["done"]):
            self._keep(env, self._first[env], before + t + 1)
            self._first[env] = before + t + 1
        settled = self._first.min()
        self._steps = {name: value[settled:] for name, value in self._steps.items()}
        self._first -= settled

    def _keep(self, env: int, first: int, last: int) -> None:
        """Make the record of the episode that ran in `env` in the steps from `first` to before `last`."""
        steps, episodes = self._steps, self._episodes
        index = int(steps["number"][last - 1, env])
        if index >= len(episodes):
            return
        path = np.concatenate((episodes.start_position[index, None], steps["position"][first:last, env]))
        headings = np.append(episodes.start_heading[index], steps["heading"][first:last, env])
        measures = {name.partition("/")[2]: value for name, value in steps.items() if name.startswith("episode/")}
        self._records[index] = EpisodeRecord(
            scene=episodes.scene_names[episodes.scene_index[index]],
            episode_id=episodes.episode_id[index],
            start_distance=float(episodes.geodesic_distance[index]) if "start_distance" in measures else math.nan,
            goal=episodes.goal[index].tolist(),
            measures={_NAMES.get(name, name): float(value[last - 1, env]) for name, value in measures.items()},
            path=path.astype(np.float64).round(3).tolist(),
            headings=headings.astype(np.float64).round(4).tolist(),
            actions=steps["action"][first:last, env].tolist(),
        )
