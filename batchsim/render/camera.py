"""Cameras that are mounted on an agent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from batchsim import defaults
from batchsim.errors import OptionError
from batchsim.option_checks import one_of, real_number, sequence, whole_number
from batchsim.render import ray_table
from batchsim.render.lidar import Lidar
from batchsim.render.mounted import Mounted

NEAR = 0.02  # metres, for fields of view of at most 90 degrees
PROJECTIONS = ("pinhole", "equirectangular", "fisheye")

_HFOV = {"pinhole": defaults.HFOV, "equirectangular": 360.0, "fisheye": 180.0}  # degrees
_MAX_PINHOLE_HFOV = 170  # degrees


@dataclass(frozen=True)
class Camera(Mounted):
    """A camera that looks along -z of its pose, y up; row 0 is the top.

    The depth of a pinhole camera is the distance along its axis. That of the other two is the distance along each ray.
    These two need the ray casting backend.

    Attributes:
        width: Pixels.
        height: Pixels.
        hfov: Horizontal field of view, degrees (default: 90; equirectangular 360, fisheye 180).
        projection: "pinhole": pixels are square; the vertical field of view follows from `height` / `width`, and both
            are limited to 170 degrees. "equirectangular": columns are equal steps of longitude over `hfov`, and rows of
            latitude over `vfov` = `hfov` * `height` / `width`, at most 180 degrees. "fisheye": an equidistant lens
            (angle to the axis proportional to the distance from the image's centre) whose circle of `hfov` is as wide
            as the image; pixels outside of it see nothing.
        name: With several cameras, their images are called `NAME_depth`, `NAME_rgb`, `NAME_semantic`.
        position: Offset from the rendered pose in its own frame, metres: right, up, backwards.
        yaw: Degrees turned to the left.
        pitch: Degrees tilted up, after the turn.
    """

    width: int = 64
    height: int = 64
    hfov: float = None  # type: ignore[assignment]  # becomes the default of the projection
    projection: str = "pinhole"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("projection", self.projection, PROJECTIONS)
        for name in ("width", "height"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1, 4096, "pixels"))
        hfov = _HFOV[self.projection] if self.hfov is None else self.hfov
        largest = _MAX_PINHOLE_HFOV if self.projection == "pinhole" else 360
        object.__setattr__(self, "hfov", real_number("hfov", hfov, 1, largest, "degrees"))
        if self.projection == "pinhole" and self.vfov > _MAX_PINHOLE_HFOV:
            raise OptionError(
                f"width={self.width}, height={self.height} and hfov={self.hfov} give a vertical field of view of "
                f"{self.vfov:.1f} degrees: expected at most {_MAX_PINHOLE_HFOV}."
            )

    @property
    def vfov(self) -> float:
        """Vertical field of view, degrees."""
        if self.projection == "pinhole":
            return 2 * math.degrees(math.atan(self.tan_half_height))
        vfov = self.hfov * self.height / self.width
        return min(vfov, 180.0) if self.projection == "equirectangular" else vfov

    @property
    def tan_half_width(self) -> float:
        """Half the image plane's width at distance 1; for pinhole cameras."""
        return math.tan(math.radians(self.hfov) / 2)

    @property
    def tan_half_height(self) -> float:
        """Half the image plane's height at distance 1; for pinhole cameras."""
        return self.tan_half_width * self.height / self.width

    @property
    def near(self) -> float:
        """Smallest depth that is drawn, metres.

        2 cm, and less for wide pinhole cameras, where a surface beside the camera is seen at a small depth.
        """
        if self.projection != "pinhole":
            return NEAR
        return NEAR / max(1.0, self.tan_half_width, self.tan_half_height)

    def sees(self, sensors: Sequence[str]) -> tuple[str, ...]:
        """Returns the images of this camera if an agent has `sensors`."""
        return tuple(sensors)

    def rays(self) -> ray_table.RayTable | None:
        """Returns the ray of each pixel; None for a pinhole camera, whose rays are linear in the pixels."""
        hfov, vfov = math.radians(self.hfov), math.radians(self.vfov)
        if self.projection == "equirectangular":
            return ray_table.equirectangular(self.width, self.height, hfov, vfov)
        return ray_table.fisheye(self.width, self.height, hfov) if self.projection == "fisheye" else None


AnyCamera = Camera | Lidar
"""What a renderer draws views with."""


def require_pinhole(camera: AnyCamera) -> Camera:
    """Returns `camera`; raises `OptionError` if it is not a pinhole camera, which alone can be rasterised."""
    if isinstance(camera, Camera) and camera.projection == "pinhole":
        return camera
    what = f"has projection={camera.projection!r}" if isinstance(camera, Camera) else "is a lidar"
    name = f"{camera.name!r} " if camera.name else ""
    raise OptionError(f"cameras: {name}{what}, which renderer='raster' cannot draw; use 'raycast' or 'auto'.")


def read_cameras(cameras: Sequence[AnyCamera | Mapping[str, Any]]) -> tuple[AnyCamera, ...]:
    """Checks the cameras of an agent.

    Args:
        cameras: Each a `Camera`, a `Lidar` or a mapping of the fields of one. If there are several, each needs a name.

    Raises:
        OptionError: A camera is invalid; the message names it.
    """
    given = sequence("cameras", cameras, "[Camera(name='front')]")
    made = [_read_camera(number, camera) for number, camera in enumerate(given)]
    names = [camera.name for camera in made]
    is_named = all(isinstance(name, str) and (name or len(made) == 1) for name in names)
    if not is_named or len(set(names)) < len(names) or not names:
        raise OptionError(
            f"cameras have the names {names!r}: expected at least one camera and, if there are several, each with a "
            "unique name."
        )
    return tuple(made)


def _read_camera(number: int, camera: Any) -> AnyCamera:
    if isinstance(camera, Mapping):
        kind = Lidar if {"horizontal", "vertical"} & set(camera) else Camera
        known = sorted((field.name for field in fields(kind)), key=lambda name: name in _MOUNT)
        if unknown := [str(name) for name in camera if name not in known]:
            raise OptionError(f"cameras[{number}]: {', '.join(unknown)}: expected some of {', '.join(known)}.")
        return kind(**camera)
    if not isinstance(camera, AnyCamera):
        raise OptionError(
            f"cameras[{number}]={camera!r}: expected a batchsim.Camera, a batchsim.Lidar or a mapping of its fields."
        )
    return camera


_MOUNT = {field.name for field in fields(Mounted)}
