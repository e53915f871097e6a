"""A growing pile of triangles, and the solid shapes from which walls and furniture are put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenes.labels import LABEL_ID

LOW, MEDIUM, HIGH = 0, 1, 2

# The faces of a box: name, the axis it is perpendicular to, and which end of that axis.
FACES = {"left": (0, 0), "right": (0, 1), "bottom": (1, 0), "top": (1, 1), "back": (2, 0), "front": (2, 1)}


def _unit_box() -> tuple[np.ndarray, np.ndarray]:
    """Triangles `[6, 2, 3, 3]` of the unit cube in the order of FACES, and the two axes of each face `[6, 2]`."""
    triangles, axes = np.zeros((6, 2, 3, 3)), np.zeros((6, 2), int)
    for f, (axis, end) in enumerate(FACES.values()):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        quad = np.zeros((4, 3))
        quad[:, axis] = end
        quad[:, u], quad[:, v] = (0, 1, 1, 0), (0, 0, 1, 1)
        if end == 0:
            quad = quad[::-1]
        triangles[f] = quad[[[0, 1, 2], [0, 2, 3]]]
        axes[f] = (0, 2) if axis == 1 else (2 - axis, 1)
    return triangles, axes


UNIT_BOX, FACE_AXES = _unit_box()


class Parts:
    """Triangles gathered piece by piece, each with texture coordinates, a surface name and a label.

    Texture coordinates are metres along the surface; the palette turns them into repeats of its textures.
    `detail` is LOW, MEDIUM or HIGH and decides how finely the shapes are rounded.
    """

    def __init__(self, detail: int = LOW) -> None:
        self.detail = detail
        self.triangles: list[np.ndarray] = []
        self.uvs: list[np.ndarray] = []
        self.surfaces: list[tuple[str, int]] = []
        self.labels: list[tuple[int, int]] = []

    def __len__(self) -> int:
        """Number of triangles."""
        return sum(len(t) for t in self.triangles)

    def add(self, triangles: np.ndarray, uvs: np.ndarray, surface: str, label: str) -> None:
        """Append triangles `[T, 3, 3]` with texture coordinates `[T, 3, 2]` in metres."""
        self.triangles.append(triangles)
        self.uvs.append(uvs)
        self.surfaces.append((surface, len(triangles)))
        self.labels.append((LABEL_ID[label], len(triangles)))

    def take(self, other: Parts, origin: Sequence[float], quarter: int) -> None:
        """Append another pile, turned by `quarter` quarter turns to the right about y, then moved to `origin`."""
        if not other.triangles:
            return
        cos, sin = ((1, 0), (0, -1), (-1, 0), (0, 1))[quarter % 4]
        turn = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        self.triangles.append(np.concatenate(other.triangles) @ turn + np.asarray(origin))
        self.uvs.append(np.concatenate(other.uvs))
        self.surfaces += other.surfaces
        self.labels += other.labels

    def box(self, lo: Sequence[float], hi: Sequence[float], surface: str, label: str, skip: str = "") -> None:
        """A box between two corners; `skip` names the faces that are left out, by the names in FACES."""
        keep = [f for f, name in enumerate(FACES) if name not in skip]
        lo, hi = np.asarray(lo, float), np.asarray(hi, float)
        triangles = lo + UNIT_BOX[keep] * (hi - lo)
        axes = FACE_AXES[keep][:, None, None, :]
        uvs = np.take_along_axis(triangles, np.broadcast_to(axes, (*triangles.shape[:3], 2)), 3)
        uvs = uvs * (1.0, -1.0)
        self.add(triangles.reshape(-1, 3, 3), uvs.reshape(-1, 3, 2), surface, label)

    def legs(self, lo: Sequence[float], hi: Sequence[float], width: float, surface: str, label: str) -> None:
        """Four upright legs of the given width in the corners of a box, open at both ends."""
        for x in (lo[0], hi[0] - width):
            for z in (lo[2], hi[2] - width):
                self.box((x, lo[1], z), (x + width, hi[1], z + width), surface, label, skip="top bottom")
