"""Explore: visit as many 1 m cells of floor as possible (Shacklett et al., ICLR 2021)."""

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
    """Rewards each newly visited cell of the coverage grid with `cell_reward`; ends at the time limit.

    The grid (`batchsim.scenes.maps.coverage_grid`) has cells of 1 m x 1 m. Each cell counts once per episode, and the
    cell of the start counts as visited. Starts are sampled from the whole floor.
    """

    cell_reward: float = 0.25

    headline_measures: ClassVar[tuple[str, ...]] = ("explored_share", "cells_visited")

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Clears the visited cells of new episodes, then marks the cell of their start."""
        super().begin(scenes, state, mask, episode)
        self._visited(scenes, state).masked_fill_(mask.unsqueeze(-1), False)
        state.keep(mask, cells_visited=torch.zeros_like(state.heading))
        self._visit(scenes, state)

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `cell_reward` for each newly visited cell; never terminates."""
        return self.cell_reward * self._visit(scenes, state), torch.zeros_like(action, dtype=torch.bool)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns the number of visited cells and their share of all cells of the scene."""
        count = state.task["cells_visited"]
        return {"explored_share": count / scenes.coverage_cell_count[state.scene], "cells_visited": count}

    def _visit(self, scenes: ResidentScenes, state: State) -> Tensor:
        """Marks the agents' cells as visited; returns float32 `[N]`, 1 where the cell is new, else 0."""
        visited = self._visited(scenes, state)
        cell = scenes.coverage_cell(state.scene, state.position).unsqueeze(-1)
        known = cell >= 0
        cell = cell.clamp(min=0)
        before = visited.gather(-1, cell)
        visited.scatter_(-1, cell, before | known)
        new = (known & ~before).squeeze(-1).float()
        state.task["cells_visited"] = state.task["cells_visited"] + new
        return new

    @staticmethod
    def _visited(scenes: ResidentScenes, state: State) -> Tensor:
        """Returns the visited cells, bool `[N, S]`, where S is the largest cell count of the resident scenes."""
        visited = state.task.get("visited")
        if visited is None:
            shape = (len(state.heading), scenes.max_coverage_cells)
            visited = torch.zeros(shape, dtype=torch.bool, device=scenes.device)
        elif visited.shape[1] < scenes.max_coverage_cells:
            visited = torch.nn.functional.pad(visited, (0, scenes.max_coverage_cells - visited.shape[1]))
        state.task["visited"] = visited
        return visited
