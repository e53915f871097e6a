"""Discrete actions: steps and turns of a fixed size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor

from batchsim.control.command import Command


class DiscreteControl:
    """Actions by number.

    Args:
        names: Name of each action; "forward", "left", "right", "look_up" and "look_down" move the agent.
        forward_step: Metres.
        turn_angle: Degrees.
        tilt_angle: Degrees.
        device: Where the tensors are.
    """

    def __init__(
        self,
        names: Sequence[str],
        forward_step: float,
        turn_angle: float,
        tilt_angle: float,
        device: torch.device,
    ) -> None:
        self.names = tuple(names)
        self.farthest = forward_step
        turn, tilt = math.radians(turn_angle), math.radians(tilt_angle)

        def table(**amounts: float) -> Tensor:
            return torch.tensor([amounts.get(name, 0.0) for name in names], device=device)

        self._walk = table(forward=forward_step)
        self._turn = table(left=turn, right=-turn)
        self._tilt = table(look_up=tilt, look_down=-tilt)

    @property
    def action_space(self) -> gym.Space:
        """The space of one agent's actions."""
        return gym.spaces.Discrete(len(self.names))

    def __call__(self, action: Tensor) -> Command:
        """Looks the amounts up."""
        return Command(action, self._walk[action], self._turn[action], self._tilt[action])
