"""From a file's axes, units and position to metres, y up, near the origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.scenes.sources.assembly.plausibility import check_plausible

UP_AXES = {
    "y": np.eye(3),
    "z": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64),
    "-y": np.diag([1.0, -1, -1]),
    "-z": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64),
}
"""By the name of the upward axis: the rotation that turns it to y."""

FAR = 1000.0
"""Metres; a scene whose middle is farther from the origin than this along an axis is moved there along this axis.

Float32 resolves 0.06 mm at 1 km, but only 60 mm at 530 km.
"""


@dataclass(frozen=True)
class Placement:
    """How a file is placed.

    Attributes:
        up: The file's upward axis, a key of `UP_AXES`.
        scale: Metres per unit of the file.
        force: Skip the check whether the size is plausible.
    """

    up: str = "y"
    scale: float = 1.0
    force: bool = False

    def place(self, triangles: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
        """Places triangles.

        Args:
            triangles: float64 `[T, 3, 3]`, in the file's axes and units; changed in place.
            path: The file, for messages.

        Returns:
            float32 `[T, 3, 3]`, metres, and the offset, metres, to add for positions in the file's frame.

        Raises:
            SceneError: If the file appears to have other units or axes, and `force` is off.
        """
        triangles *= self.scale
        if self.up != "y":
            triangles = triangles @ UP_AXES[self.up].T
        if not np.isfinite(triangles).all():
            return triangles.astype(np.float32), (0.0, 0.0, 0.0)
        corners = triangles.reshape(-1, 3)
        middle = (corners.min(0) + corners.max(0)) / 2
        shift = np.where(np.abs(middle) > FAR, np.round(middle), 0.0)
        if shift.any():
            triangles -= shift
        if not self.force:
            check_plausible(triangles, path, self.up, self.scale)
        x, y, z = (float(value) for value in shift)
        return triangles.astype(np.float32), (x, y, z)
