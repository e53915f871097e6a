"""How a sensor is mounted on an agent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from batchsim import poses
from batchsim.errors import OptionError
from batchsim.option_checks import real_number


@dataclass(frozen=True, kw_only=True)
class Mounted:
    """The place of a sensor in the frame of the rendered pose.

    Attributes:
        name: With several sensors, their images are called `NAME_depth`, `NAME_rgb`, `NAME_semantic`.
        position: Offset from the rendered pose in its own frame, metres: right, up, backwards.
        yaw: Degrees turned to the left.
        pitch: Degrees tilted up, after the turn.
    """

    name: str = ""
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0

    def __post_init__(self) -> None:
        try:
            position = [real_number("position", value, -1000, 1000, "metres") for value in self.position]
        except TypeError:  # not a sequence
            position = []
        if len(position) != 3:
            raise OptionError(f"position={self.position!r}: expected three numbers of metres.")
        object.__setattr__(self, "position", tuple(position))
        for name in ("yaw", "pitch"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), -360, 360, "degrees"))

    @property
    def mount(self) -> torch.Tensor | None:
        """The sensor's pose in the frame of the rendered pose, float32 `[7]`; None if the two are the same."""
        if not any((*self.position, self.yaw, self.pitch)):
            return None
        yaw, pitch = math.radians(self.yaw) / 2, math.radians(self.pitch) / 2
        turn = torch.tensor([0.0, math.sin(yaw), 0.0, math.cos(yaw)])
        tilt = torch.tensor([math.sin(pitch), 0.0, 0.0, math.cos(pitch)])
        return torch.cat([torch.tensor(self.position, dtype=torch.float32), poses.multiply(turn, tilt)])

    def key(self, sensor: str) -> str:
        """Returns the name of the image of `sensor`."""
        return f"{self.name}_{sensor}" if self.name else sensor
