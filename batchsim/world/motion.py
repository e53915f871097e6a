"""`Motion`: turning, walking, collisions and sliding on the walkable surface."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import poses
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


class Motion:
    """Moves a batch of agents.

    Args:
        scenes: Scenes to move in.
        forward_step: Length of one step forward, metres.
        turn_angle: Angle of one turn, radians.
        allow_sliding: Whether an agent that hits a wall slides along it, as in Habitat, or stops there.
    """

    def __init__(self, scenes: ResidentScenes, forward_step: float, turn_angle: float, allow_sliding: bool) -> None:
        self._scenes = scenes
        self._turn_angle = turn_angle
        self._allow_sliding = allow_sliding
        self._forward_step = forward_step

    def apply(self, state: State, turn: Tensor, walk: Tensor) -> None:
        """Turns the agents of `state`, then moves them forward.

        Sets `position`, `heading` and `collided`; adds to `path_length` (in 3D, so that stairs count) and `collisions`.

        Args:
            state: The state to change.
            turn: float32 `[N]`, number of turns to the left (-1: one turn to the right).
            walk: bool `[N]`, whether to take a step forward.
        """
        state.heading = poses.wrap_angle(state.heading + turn * self._turn_angle)
        before = state.position
        state.position, state.collided = self._walk(state.scene, before, state.heading, walk)
        state.path_length = state.path_length + (state.position - before).norm(dim=-1)
        state.collisions = state.collisions + state.collided

    def ahead(self, scene: Tensor, position: Tensor, heading: Tensor) -> Tensor:
        """Returns where one step forward from `position` (float32 `[M, 3]`) would lead, without moving anything."""
        return self._walk(scene, position, heading, torch.ones_like(scene, dtype=torch.bool))[0]

    def _walk(self, scene: Tensor, position: Tensor, heading: Tensor, walk: Tensor) -> tuple[Tensor, Tensor]:
        # Split the step so that no part of it can jump over a wall one cell thick.
        parts = max(1, math.ceil(self._forward_step / self._scenes.smallest_cell))
        stride = poses.forward(heading) * (self._forward_step / parts * walk).unsqueeze(-1)
        # The whole step, then its components along the axes, longer first: a sliding agent tries them in this order.
        longer_x = (stride[:, 0].abs() >= stride[:, 2].abs()).unsqueeze(-1)
        none = torch.zeros_like(stride[:, 0])
        along_x = torch.stack((stride[:, 0], none, none), -1)
        along_z = torch.stack((none, none, stride[:, 2]), -1)
        along = torch.where(longer_x, along_x, along_z), torch.where(longer_x, along_z, along_x)
        offsets = torch.stack((stride, *along))
        scenes = scene.expand(len(offsets), -1)
        collided = torch.zeros_like(walk)
        for _ in range(parts):
            cell = self._scenes.locate(scenes, position + offsets)
            candidates = self._scenes.at_height(cell, position + offsets)
            free = cell >= 0
            # A diagonal step must not pass between two blocked cells that touch at a corner.
            free[0] &= free[1] | free[2]
            for k in reversed(range(len(offsets) if self._allow_sliding else 1)):
                position = torch.where(free[k].unsqueeze(-1), candidates[k], position)
            collided = collided | ~free[0]
        return position, collided & walk
