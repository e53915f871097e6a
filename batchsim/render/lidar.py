"""A lidar: a fan of rays at given angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from batchsim.errors import OptionError
from batchsim.option_checks import real_number, sequence
from batchsim.render import ray_table
from batchsim.render.mounted import Mounted

_NEAR = 0.02  # metres
_MOST_ANGLES = 4096


@dataclass(frozen=True)
class Lidar(Mounted):
    """Measures distances along rays at given angles.

    Its image `NAME_depth` has one column for each horizontal angle and one row for each vertical one, in the given
    order. It holds the distance along each ray. A lidar has no other images.

    Attributes:
        horizontal: Angles to the left of the mount's axis, degrees; by default a circle that starts behind, from left
            to right.
        vertical: Angles above the horizontal plane of the mount, degrees.
        name: The image is called `NAME_depth`.
    """

    horizontal: Sequence[float] = tuple(range(180, -180, -1))
    vertical: Sequence[float] = (0.0,)

    projection: ClassVar[str] = "lidar"
    near: ClassVar[float] = _NEAR

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, limit in (("horizontal", 360), ("vertical", 90)):
            given = sequence(name, getattr(self, name), "(-10, 0, 10)")
            if not 1 <= len(given) <= _MOST_ANGLES:
                raise OptionError(f"{name} has {len(given)} angles: expected 1 to {_MOST_ANGLES}.")
            object.__setattr__(self, name, tuple(real_number(name, value, -limit, limit, "degrees") for value in given))

    @property
    def width(self) -> int:
        """Columns of the image."""
        return len(self.horizontal)

    @property
    def height(self) -> int:
        """Rows of the image."""
        return len(self.vertical)

    def sees(self, sensors: Sequence[str]) -> tuple[str, ...]:
        """Returns the images of this sensor if an agent has `sensors`."""
        return ("depth",)

    def rays(self) -> ray_table.RayTable:
        """Returns the direction of each ray."""
        return ray_table.fan(np.radians(self.horizontal), np.radians(self.vertical))
