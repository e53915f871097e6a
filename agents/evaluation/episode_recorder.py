"""Builds episode records from the steps of many environments: tensors while they run, lists when they have ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.scenes import EpisodeSet

# Steps kept on the device before they are copied to the host together.
_BLOCK = 64
_NAMES = {"episode_return": "reward"}


class EpisodeRecorder:
    """Records `episodes`, of which each environment runs one at a time."""

    def __init__(self, episodes: EpisodeSet) -> None:
        self._episodes = episodes
        self._pending: list[dict[str, Tensor]] = []
        # Steps `[T, N]` since the start of the oldest running episode, and each running episode's first step in them.
        self._steps: dict[str, np.ndarray] = {}
        self._first: np.ndarray | None = None
        self._records: dict[int, EpisodeRecord] = {}

    def add(
        self,
        number: Tensor,
        done: Tensor,
        action: Tensor,
        info: dict[str, Any],
        own: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Record one step of N environments.

        Args:
            number: Index of each environment's episode, int64 `[N]`; beyond the set for environments without one.
            done: Whether the episode ended with this step, bool `[N]`.
            action: The actions, int64 `[N]`, or velocities, float32 `[N, A]`.
            info: The `info` of `NavVectorEnv.step`.
            own: Measures of the agent itself in the episodes before the step's end, `[N]` each.
        """
        step = {"number": number, "done": done, "action": action}
        step |= {"position": info["position"], "heading": info["heading"]}
        measures = {name: value for name, value in info["final_info"].items() if not name.startswith("_")} | dict(own)
        step |= {f"episode/{name}": value for name, value in measures.items() if name not in step}
        # Cloned, because the environment may reuse its tensors.
        self._pending.append({name: value.clone() for name, value in step.items()})
        if len(self._pending) == _BLOCK:
            self._collect()

    def records(self) -> tuple[EpisodeRecord, ...]:
        """One record for each episode of the set that has ended, in the set's order."""
        self._collect()
        return tuple(self._records[number] for number in sorted(self._records))

    def _collect(self) -> None:
        if not self._pending:
            return
        names = self._pending[0]
        new = {name: torch.stack([step[name] for step in self._pending]).cpu().numpy() for name in names}
        self._pending = []
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
        """Make the record of the episode that ran in `env` in the steps [`first`, `last`)."""
        steps, episodes = self._steps, self._episodes
        index = int(steps["number"][last - 1, env])
        if index >= len(episodes):
            return
        path = np.concatenate((episodes.start_position[index, None], steps["position"][first:last, env]))
        headings = np.append(episodes.start_heading[index], steps["heading"][first:last, env])
        measures = {name.partition("/")[2]: value for name, value in steps.items() if name.startswith("episode/")}
        distance = measures.get("start_distance")
        self._records[index] = EpisodeRecord(
            scene=episodes.scene_names[episodes.scene_index[index]],
            episode_id=episodes.episode_id[index],
            # As `distance_to_goal`; the distance of the episode set may be interpolated differently.
            start_distance=math.nan if distance is None else float(distance[last - 1, env]),
            goal=episodes.goal[index].tolist(),
            measures={_NAMES.get(name, name): float(value[last - 1, env]) for name, value in measures.items()},
            path=path.astype(np.float64).round(3).tolist(),
            headings=headings.astype(np.float64).round(4).tolist(),
            actions=steps["action"][first:last, env].tolist(),
        )
