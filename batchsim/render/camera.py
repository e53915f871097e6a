"""Pinhole cameras and how they are mounted on an agent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from batchsim import poses
from batchsim.errors import OptionError
from batchsim.option_checks import real_number, sequence, whole_number

NEAR = 0.02  # metres, for fields of view of at most 90 degrees
_MAX_FIELD_OF_VIEW = 170  # degrees


@dataclass(frozen=True)
class Camera:
    """A camera that looks along -z of its pose, y up; pixels are square, row 0 is the top.

    Attributes:
        width: Pixels.
        height: Pixels.
        hfov: Horizontal field of view, degrees. The vertical one follows from `height` / `width`; both are limited to
            170 degrees.
        name: With several cameras, their images are called `NAME_depth`, `NAME_rgb`, `NAME_semantic`.
        position: Offset from the rendered pose in its own frame, metres: right, up, backwards.
        yaw: Degrees turned to the left.
        pitch: Degrees tilted up, after the turn.
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
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1, 4096, "pixels"))
        object.__setattr__(self, "hfov", real_number("hfov", self.hfov, 1, _MAX_FIELD_OF_VIEW, "degrees"))
        vertical = 2 * math.degrees(math.atan(self.tan_half_height))
        if vertical > _MAX_FIELD_OF_VIEW:
            raise OptionError(
                f"width={self.width}, height={self.height} and hfov={self.hfov} give a vertical field of view of "
                f"{vertical:.1f} degrees: expected at most {_MAX_FIELD_OF_VIEW}."
            )
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
    def tan_half_width(self) -> float:
        """Half the image plane's width at distance 1."""
        return math.tan(math.radians(self.hfov) / 2)

    @property
    def tan_half_height(self) -> float:
        """Half the image plane's height at distance 1."""
        return self.tan_half_width * self.height / self.width

    @property
    def near(self) -> float:
        """Distance of the near plane, metres along the axis; surfaces in front of it are not drawn.

        2 cm, and less for wide fields of view, where a surface beside the camera is seen at a small depth.
        """
        return NEAR / max(1.0, self.tan_half_width, self.tan_half_height)

    @property
    def mount(self) -> torch.Tensor | None:
        """The camera's pose in the frame of the rendered pose, float32 `[7]`; None if the two are the same."""
        if not any((*self.position, self.yaw, self.pitch)):
            return None
        yaw, pitch = math.radians(self.yaw) / 2, math.radians(self.pitch) / 2
        turn = torch.tensor([0.0, math.sin(yaw), 0.0, math.cos(yaw)])
        tilt = torch.tensor([math.sin(pitch), 0.0, 0.0, math.cos(pitch)])
        return torch.cat([torch.tensor(self.position, dtype=torch.float32), poses.multiply(turn, tilt)])

    def key(self, sensor: str) -> str:
        """Returns the name of the camera's image of `sensor`."""
        return f"{self.name}_{sensor}" if self.name else sensor


def read_cameras(cameras: Sequence[Camera | Mapping[str, Any]]) -> tuple[Camera, ...]:
    """Checks several cameras.

    Args:
        cameras: Each a `Camera` or a mapping of its fields, with a unique name.

    Raises:
        OptionError: A camera is invalid; the message names it.
    """
    known = [field.name for field in fields(Camera)]
    made = []
    for number, camera in enumerate(sequence("cameras", cameras, "[Camera(name='front')]")):
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
        raise OptionError(f"cameras have the names {names!r}: expected at least one camera, each with a unique name.")
    return tuple(made)
