"""`Motion`: turning, walking, collisions and sliding on the walkable surface."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import poses
from batchsim.control.command import Command
from batchsim.noise.actuation import ActuationNoise
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


class Motion:
    """Moves a batch of agents.

    Args:
        scenes: Scenes to move in.
        forward_step: Length of one step forward, metres.
        allow_sliding: Whether an agent that hits a wall slides along it, as in Habitat, or stops there.
        farthest: Longest walk that a command can ask for, metres; None: `forward_step`.
        noise: Noise of motion; None: none.
    """

    def __init__(
        self,
        scenes: ResidentScenes,
        forward_step: float,
        allow_sliding: bool,
        farthest: float | None = None,
        noise: ActuationNoise | None = None,
    ) -> None:
        self._scenes = scenes
        self._allow_sliding = allow_sliding
        self._forward_step = forward_step
        self._farthest = (forward_step if farthest is None else farthest) + (noise.farthest if noise else 0.0)
        self._noise = noise

    def apply(self, state: State, command: Command) -> None:
        """Moves the agents of `state` along their headings, then turns them and tilts their cameras.

        Sets `position`, `heading`, `pitch` and `collided`; adds to `path_length` (in 3D, so that stairs count) and
        `collisions`. The pitch stays between straight down and straight up.
        """
        walk, turn = command.walk, command.turn
        stride = poses.forward(state.heading) * walk.unsqueeze(-1)
        if self._noise is not None:
            walk, across, turn = self._noise.disturb(state.seed, state.episode, state.step, walk, turn)
            stride = poses.forward(state.heading) * walk.unsqueeze(-1)
            stride = stride + poses.to_the_right(state.heading) * across.unsqueeze(-1)
        before = state.position
        state.position, state.collided = self._walk(state.scene, before, stride, self._farthest)
        state.heading = poses.wrap_angle(state.heading + turn)
        state.pitch = (state.pitch + command.tilt).clamp(-math.pi / 2, math.pi / 2)
        state.path_length = state.path_length + (state.position - before).norm(dim=-1)
        state.collisions = state.collisions + state.collided

    def ahead(self, scene: Tensor, position: Tensor, heading: Tensor) -> Tensor:
        """Returns where one step forward from `position` (float32 `[M, 3]`) would lead, without moving anything."""
        stride = poses.forward(heading) * self._forward_step
        return self._walk(scene, position, stride, self._forward_step)[0]

    def _walk(self, scene: Tensor, position: Tensor, stride: Tensor, farthest: float) -> tuple[Tensor, Tensor]:
        """Returns positions after `stride` `[M, 3]`, at most `farthest` metres long, and whether it was blocked."""
        moves = (stride != 0).any(-1)
        # Split the step so that no part of it can jump over a wall one cell thick.
        parts = max(1, math.ceil(farthest / self._scenes.smallest_cell))
        stride = stride / parts
        # The whole step, then its components along the axes, longer first: a sliding agent tries them in this order.
        longer_x = (stride[:, 0].abs() >= stride[:, 2].abs()).unsqueeze(-1)
        none = torch.zeros_like(stride[:, 0])
        along_x = torch.stack((stride[:, 0], none, none), -1)
        along_z = torch.stack((none, none, stride[:, 2]), -1)
        along = torch.where(longer_x, along_x, along_z), torch.where(longer_x, along_z, along_x)
        offsets = torch.stack((stride, *along))
        grids = self._scenes.grids(scene)
        collided = torch.zeros_like(moves)
        for _ in range(parts):
            cell, candidates = self._scenes.floor_at(grids, position + offsets)
            free = cell >= 0
            # A diagonal step must not pass between two blocked cells that touch at a corner.
            free[0] &= free[1] | free[2]
            for k in reversed(range(len(offsets) if self._allow_sliding else 1)):
                position = torch.where(free[k].unsqueeze(-1), candidates[k], position)
            collided = collided | ~free[0]
        return position, collided & moves
