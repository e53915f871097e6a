"""What a reader of 3D files returns: triangles with a look, before they are assembled into a `Mesh`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import REPEAT, Wrap

MAX_TRIANGLES = 20_000_000


class AlphaMode(Enum):
    """How a look's alpha is meant, as in glTF."""

    OPAQUE = "OPAQUE"
    MASK = "MASK"
    BLEND = "BLEND"


@dataclass(frozen=True)
class Texture:
    """An image and how it continues outside [0, 1].

    `pixels` is uint8 `[height, width, 3]` or, with alpha, `[height, width, 4]`, sRGB. Surfaces that show the same image
    share the array.
    """

    pixels: np.ndarray
    wrap: tuple[Wrap, Wrap] = (REPEAT, REPEAT)


@dataclass(frozen=True)
class Look:
    """A material: linear base colour times texture, and what its alpha means."""

    name: str = ""
    base_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: Texture | None = None
    alpha: float = 1.0
    alpha_mode: AlphaMode = AlphaMode.OPAQUE
    alpha_cutoff: float = 0.5


PLAIN = Look()


@dataclass(frozen=True)
class Surface:
    """Triangles of one object that share a look.

    Attributes:
        triangles: float64 `[T, 3, 3]`, corners in the units and axes of the file; front faces counter-clockwise.
        uvs: float32 `[T, 3, 2]`, v growing downwards; None if there are none.
        look: The material.
        names: What the file calls this part, the most telling name first.
        object_key: Surfaces with equal keys belong to one object.
        tints: float32 `[T, 4]`, linear colour and alpha that multiply the look's; None for white.
        label: A label that the file states explicitly; it takes precedence over `names`.
    """

    triangles: np.ndarray
    uvs: np.ndarray | None = None
    look: Look = PLAIN
    names: tuple[str, ...] = ()
    object_key: Hashable = None
    tints: np.ndarray | None = None
    label: str = field(default="")


def check_count(path: object, count: int) -> None:
    """Raises `SceneError` if `count` triangles are more than can be used."""
    if count > MAX_TRIANGLES:
        raise SceneError(
            f"{path}: has {count:,} triangles or more; at most {MAX_TRIANGLES:,} can be used. Decimate it first."
        )
