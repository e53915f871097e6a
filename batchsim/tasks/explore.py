"""Explore: visit as much of the floor as one can, in squares of a metre (Shacklett et al., ICLR 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from batchsim.tasks.task import Task
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class Explore(Task):
    """Reward: `square_reward` for each square of 1 m x 1 m that was not visited before. Ends when time is up.

    Squares are those of `batchsim.scenes.maps.coverage_grid`, counted once an episode; that of the start counts as visited from the
    beginning. Starts are drawn from the whole floor.
    """

    square_reward: float = 0.25

    headline_measures: ClassVar[tuple[str, ...]] = ("explored_share", "cells_visited")

    def begin(self, scenes: ResidentScenes, state: State, episode_start: Tensor, episode: dict[str, Tensor]) -> None:
        """Forget what was visited, and visit the start."""
        super().begin(scenes, state, episode_start, episode)
        self._visited(scenes, state).masked_fill_(episode_start.unsqueeze(-1), False)
        state.keep(episode_start, cells_visited=torch.zeros_like(state.heading))
        self._visit(scenes, state)

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Squares newly visited, times their worth; never terminated."""
        return self.square_reward * self._visit(scenes, state), torch.zeros_like(action, dtype=torch.bool)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Squares visited, and their share of all in the scene."""
        count = state.task["cells_visited"]
        return {"explored_share": count / scenes.square_count[state.scene], "cells_visited": count}

    def _visit(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Tick off the squares that the bodies stand in; returns 1 where that is a new one, else 0, float32 `[N]`."""
        visited = self._visited(scenes, state)
        square = scenes.square(state.scene, state.position).unsqueeze(-1)
        known = square >= 0
        square = square.clamp(min=0)
        before = visited.gather(-1, square)
        visited.scatter_(-1, square, before | known)
        new = (known & ~before).squeeze(-1).float()
        state.task["cells_visited"] = state.task["cells_visited"] + new
        return new

    @staticmethod
    def _visited(scenes: ResidentScenes, state: State) -> Tensor:
        """What each environment has visited, bool `[N, S]`, as wide as the largest resident scene asks for."""
        visited = state.task.get("visited")
        if visited is None:
            visited = torch.zeros((len(state.heading), scenes.most_squares), dtype=torch.bool, device=scenes.device)
        elif visited.shape[1] < scenes.most_squares:
            visited = torch.nn.functional.pad(visited, (0, scenes.most_squares - visited.shape[1]))
        state.task["visited"] = visited
        return visited
