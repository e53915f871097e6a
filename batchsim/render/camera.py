"""Pinhole cameras, and how they sit on an agent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from batchsim import poses
from batchsim.errors import OptionError

NEAR = 0.02  # metres; surfaces nearer than this to the image plane are not drawn


@dataclass(frozen=True)
class Camera:
    """Looks along -z of its pose, y up; square pixels, row 0 on top.

    - `width`, `height`: pixels. `hfov`: degrees from the left edge to the right.
    - `name`: where there are several cameras, its images are called `NAME_depth`, `NAME_rgb`, `NAME_semantic`.
    - `position`: metres from the pose that is rendered, in its own frame: to the right, up, and backwards.
    - `yaw`, `pitch`: degrees that it is turned to the left, and then tilted up.
    """

    width: int = 64
    height: int = 64
    hfov: float = 90.0
    name: str = ""
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if not (isinstance(size, int) and 1 <= size <= 4096):
                raise OptionError(f"{name}={size!r}: expected a whole number of pixels from 1 to 4096.")
        if not 1 <= self.hfov <= 170:
            raise OptionError(f"hfov={self.hfov!r}: expected degrees from 1 to 170.")
        if len(self.position) != 3 or not all(map(math.isfinite, (*self.position, self.yaw, self.pitch))):
            raise OptionError(
                f"position={self.position!r}, yaw={self.yaw!r}, pitch={self.pitch!r}: expected three numbers of metres "
                "and two of degrees."
            )

    @property
    def tan_half_width(self) -> float:
        """Half the image plane's width at distance 1."""
        return math.tan(math.radians(self.hfov) / 2)

    @property
    def tan_half_height(self) -> float:
        """Half the image plane's height at distance 1."""
        return self.tan_half_width * self.height / self.width

    @property
    def mount(self) -> torch.Tensor | None:
        """The camera's pose in the frame of what carries it, float32 `[7]`; None if it is that frame itself."""
        if not any((*self.position, self.yaw, self.pitch)):
            return None
        yaw, pitch = math.radians(self.yaw) / 2, math.radians(self.pitch) / 2
        turn = torch.tensor([0.0, math.sin(yaw), 0.0, math.cos(yaw)])
        tilt = torch.tensor([math.sin(pitch), 0.0, 0.0, math.cos(pitch)])
        return torch.cat([torch.tensor(self.position, dtype=torch.float32), poses.multiply(turn, tilt)])

    def key(self, sensor: str) -> str:
        """What its image of `sensor` is called."""
        return f"{self.name}_{sensor}" if self.name else sensor


def several_cameras(cameras: Sequence[Camera | Mapping[str, Any]]) -> tuple[Camera, ...]:
    """`cameras` checked: each a `Camera`, or a mapping of its fields, with a name of its own.

    Raises `OptionError`, naming the camera.
    """
    known = [field.name for field in fields(Camera)]
    made = []
    for number, camera in enumerate(cameras):
        if isinstance(camera, Mapping):
            unknown = [str(name) for name in camera if name not in known]
            if unknown:
                raise OptionError(f"cameras[{number}]: {', '.join(unknown)}: expected some of {', '.join(known)}.")
            camera = Camera(**camera)
        if not isinstance(camera, Camera):
            raise OptionError(f"cameras[{number}]={camera!r}: expected a batchsim.Camera or a mapping of its fields.")
        made.append(camera)
    names = [camera.name for camera in made]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names) or not names:
        raise OptionError(f"cameras are named {names!r}: expected at least one, each with a name of its own.")
    return tuple(made)
