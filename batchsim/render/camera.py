"""The pinhole camera that all views of a renderer share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchsim.errors import OptionError

NEAR = 0.02  # metres; surfaces nearer than this to the image plane are not drawn


@dataclass(frozen=True)
class Camera:
    """Looks along -z of its pose, y up; `hfov` in degrees, square pixels, row 0 on top."""

    width: int = 64
    height: int = 64
    hfov: float = 90.0

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if not (isinstance(size, int) and 1 <= size <= 4096):
                raise OptionError(f"{name}={size!r}: expected a whole number of pixels from 1 to 4096.")
        if not 1 <= self.hfov <= 170:
            raise OptionError(f"hfov={self.hfov!r}: expected degrees from 1 to 170.")

    @property
    def tan_half_width(self) -> float:
        """Half the image plane's width at distance 1."""
        return math.tan(math.radians(self.hfov) / 2)

    @property
    def tan_half_height(self) -> float:
        """Half the image plane's height at distance 1."""
        return self.tan_half_width * self.height / self.width
