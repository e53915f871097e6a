"""How Habitat turns, scales and places 3D files: by an up and a front direction, then scale, rotation, translation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.habitat.configs import Instance, Quaternion, Vector

Y_UP: Vector = (0.0, 1.0, 0.0)
Z_UP: Vector = (0.0, 0.0, 1.0)


def frame_rotation(up: Vector | None, front: Vector | None, path: Path) -> np.ndarray:
    """Returns the rotation float64 `[3, 3]` that turns `up` to +y and `front` to -z.

    Args:
        up: The upward direction in the 3D file; None for +y.
        front: The direction in the 3D file that becomes -z; None takes the shortest rotation of `up` to +y.
        path: The file that states them, for messages.

    Raises:
        SceneError: If they are zero or not perpendicular.
    """
    upward = _unit(up or Y_UP, "up", path)
    if front is None:
        forward = _default_front(upward)
    else:
        forward = _unit(front, "front", path)
        if abs(upward @ forward) > 1e-3:
            raise SceneError(f"{path}: up {up} and front {front} are not perpendicular.")
        forward = forward - upward * (upward @ forward)
        forward /= np.linalg.norm(forward)
    return np.stack([np.cross(forward, upward), upward, -forward])


def rotation_of(quaternion: Quaternion, path: Path) -> np.ndarray:
    """Returns the rotation float64 `[3, 3]` of a quaternion w, x, y, z; it need not have length 1."""
    length = float(np.linalg.norm(quaternion))
    if not 0 < length < np.inf:
        raise SceneError(f"{path}: rotation {quaternion} is no rotation; expected a quaternion w, x, y, z.")
    w, x, y, z = np.array(quaternion) / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def scale_of(scale: Vector, instance: Instance, path: Path) -> np.ndarray:
    """Returns the scale of an instance along x, y and z: the template's, times the uniform and non-uniform scale."""
    product = np.array(scale) * instance.uniform_scale * np.array(instance.non_uniform_scale)
    if not (np.isfinite(product) & (product != 0)).all():
        raise SceneError(f"{path}: {instance.template_name!r} has the scale {product.tolist()}; expected no zeros.")
    return product


def _default_front(upward: np.ndarray) -> np.ndarray:
    """The direction that becomes -z by the shortest rotation of `upward` to +y."""
    y, minus_z = np.array(Y_UP), np.array([0.0, 0.0, -1.0])
    if upward[1] < -1 + 1e-9:
        return minus_z
    axis = np.cross(y, upward)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return minus_z + skew @ minus_z + skew @ skew @ minus_z / (1 + upward[1])


def _unit(direction: Vector, name: str, path: Path) -> np.ndarray:
    length = float(np.linalg.norm(direction))
    if not 0 < length < np.inf:
        raise SceneError(f"{path}: {name} is {direction}; expected a direction.")
    return np.array(direction, np.float64) / length
