"""`Control`: the interface of action modes."""

from __future__ import annotations

from typing import Protocol

import gymnasium as gym
from torch import Tensor

from batchsim.control.command import Command


class Control(Protocol):
    """Maps actions to commands.

    Attributes:
        farthest: Metres that a command can ask to walk at most.
    """

    farthest: float

    @property
    def action_space(self) -> gym.Space:
        """The space of one agent's actions."""

    def __call__(self, action: Tensor) -> Command:
        """Returns the commands of N agents."""
