"""Collects triangles, and adds the solid shapes that walls and furniture consist of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from batchsim.scenes.labels import LABEL_ID

LOW, MEDIUM, HIGH = 0, 1, 2

# Points along a quarter of a rounded edge's half, by detail.
ROUNDING = (0, 1, 4)

# The faces of a box: name, the axis it is perpendicular to, and which end of that axis.
FACES = {"left": (0, 0), "right": (0, 1), "bottom": (1, 0), "top": (1, 1), "back": (2, 0), "front": (2, 1)}
FACE_NORMALS = np.array([axis for axis, _ in FACES.values()])
FACE_AXES = np.array([(2, 1), (2, 1), (0, 2), (0, 2), (0, 1), (0, 1)])  # texture u and v run along these

Corner = Sequence[float] | np.ndarray


class Parts:
    """A growing list of triangles, each with texture coordinates, a surface name and a label.

    Texture coordinates are metres along the surface; the palette converts them to repeats of its textures.
    `detail` is LOW, MEDIUM or HIGH and decides how finely shapes are rounded.
    """

    def __init__(self, detail: int = LOW) -> None:
        self.detail = detail
        self.triangles: list[np.ndarray] = []
        self.uvs: list[np.ndarray] = []
        self.surfaces: list[tuple[str, int]] = []
        self.labels: list[tuple[int, int]] = []
        self.objects: list[tuple[int, int]] = []
        self._object = 0
        self._num_objects = 0

    def begin_object(self) -> None:
        """Number the triangles that follow as a new object."""
        self._num_objects += 1
        self._object = self._num_objects

    def end_object(self) -> None:
        """Let the triangles that follow belong to no object."""
        self._object = 0

    def __len__(self) -> int:
        """Number of triangles."""
        return sum(len(t) for t in self.triangles)

    def add(self, triangles: np.ndarray, uvs: np.ndarray, surface: str, label: str) -> None:
        """Appends triangles `[T, 3, 3]` with texture coordinates `[T, 3, 2]` in metres."""
        self.triangles.append(triangles)
        self.uvs.append(uvs)
        self.surfaces.append((surface, len(triangles)))
        self.labels.append((LABEL_ID[label], len(triangles)))
        self.objects.append((self._object, len(triangles)))

    def take(self, other: Parts, origin: Corner, quarter: int = 0) -> None:
        """Appends `other`, turned by `quarter` quarter turns to the right about y, then moved to `origin`."""
        cos, sin = ((1, 0), (0, -1), (-1, 0), (0, 1))[quarter % 4]
        self.take_turned(other, origin, np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]]))

    def take_turned(self, other: Parts, origin: Corner, turn: np.ndarray) -> None:
        """Appends `other`, turned by a rotation matrix (which multiplies columns), then moved to `origin`."""
        if not other.triangles:
            return
        self.triangles.append(np.concatenate(other.triangles) @ turn.T + np.asarray(origin))
        self.uvs.append(np.concatenate(other.uvs))
        self.surfaces += other.surfaces
        self.labels += other.labels
        self.objects.append((self._object, len(other)))

    def box(self, lo: Corner, hi: Corner, surface: str, label: str, skip: str = "") -> None:
        """Adds a box between two corners; `skip` names the faces to leave out, by the names in FACES."""
        self.boxes(np.array([lo], float), np.array([hi], float), surface, label, skip)

    def cupboard(self, lo: Corner, hi: Corner, surface: str, label: str) -> None:
        """Adds a tall plain box against a wall, with a closed bottom inside so that the floor in it is not walkable."""
        self.box(lo, hi, surface, label, skip="bottom back")
        self.box((lo[0], lo[1] + 0.4, lo[2]), hi, surface, label, skip="left right top back front")

    def boxes(self, lo: np.ndarray, hi: np.ndarray, surface: str, label: str, skip: str = "") -> None:
        """Adds many boxes at once: corners `[N, 3]`."""
        shape = _template(0)
        keep = _kept_faces(skip)[shape.faces]
        ends = np.stack([lo, hi], 1)
        corners = np.stack([ends[:, shape.ends[:, axis], axis] for axis in range(3)], -1)
        triangles = corners[:, shape.triangles[keep]]
        uvs = _planar(triangles, shape.faces[keep], hi - lo)
        self.add(triangles.reshape(-1, 3, 3), uvs.reshape(-1, 3, 2), surface, label)

    def block(self, lo: Corner, hi: Corner, surface: str, label: str, radius: float = 0.01, skip: str = "") -> None:
        """Adds a box with edges rounded at higher detail; edges of skipped faces stay sharp."""
        rounding = ROUNDING[self.detail]
        if not rounding:
            self.box(lo, hi, surface, label, skip)
            return
        shape, kept = _template(rounding), _kept_faces(skip)
        low, high = np.array(lo, float), np.array(hi, float)
        open_lo, open_hi = ~kept[[0, 2, 4]], ~kept[[1, 3, 5]]
        radius = min(radius, *(0.499 * (high - low) / np.where(open_lo | open_hi, 0.5, 1.0)))
        inner = np.stack(
            [np.where(open_lo, low - radius, low) + radius, np.where(open_hi, high + radius, high) - radius]
        )
        inner = inner[shape.ends, np.arange(3)]
        corners = np.clip(inner + radius * shape.directions, low, high)
        triangles = corners[shape.triangles]
        cut_off = np.zeros(len(triangles), bool)
        for plane, is_open in ((low, open_lo), (high, open_hi)):
            flat = (triangles == plane).all(1)
            cut_off |= (flat & is_open).any(1)
        triangles, faces = triangles[~cut_off], shape.faces[~cut_off]
        self.add(triangles, _planar(triangles, faces, high - low), surface, label)


class _Template:
    """A box with rounded edges, independent of its size.

    - `ends` `[V, 3]`: which end of each axis a vertex belongs to.
    - `directions` `[V, 3]`: unit vectors from the centre of a vertex's rounding.
    - `triangles` `[T, 3]` and the face `[T]` of each.
    """

    def __init__(self, rounding: int) -> None:
        angles = np.linspace(-np.pi / 4, 0.0, rounding + 1)
        steps = np.tan(np.concatenate([angles, -angles[::-1]]) if rounding else np.array([-np.pi / 4, np.pi / 4]))
        side = len(steps)
        ends, directions, triangles, faces = [], [], [], []
        cell = np.arange(side * side).reshape(side, side)
        a, b, c, d = cell[:-1, :-1].ravel(), cell[1:, :-1].ravel(), cell[1:, 1:].ravel(), cell[:-1, 1:].ravel()
        quads = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        for face, (axis, end) in enumerate(FACES.values()):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            direction, which = np.zeros((side, side, 3)), np.zeros((side, side, 3), int)
            direction[..., axis] = 2 * end - 1
            direction[..., u], direction[..., v] = steps[:, None], steps
            which[..., axis] = end
            which[side // 2 :, :, u] = 1
            which[:, side // 2 :, v] = 1
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            triangles.append((quads if end else quads[:, ::-1]) + face * side * side)
            ends.append(which.reshape(-1, 3))
            directions.append(direction.reshape(-1, 3))
            faces.append(np.full(len(quads), face))
        self.ends, self.directions = np.concatenate(ends), np.concatenate(directions)
        self.triangles, self.faces = np.concatenate(triangles), np.concatenate(faces)


@lru_cache(maxsize=8)
def _template(rounding: int) -> _Template:
    return _Template(rounding)


@lru_cache(maxsize=64)
def _kept_faces(skip: str) -> np.ndarray:
    words = skip.split()
    return np.array([name not in words for name in FACES])


def _planar(triangles: np.ndarray, faces: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns texture coordinates `[.., T, 3, 2]` in metres: projects each face straight on, v along its longer side.

    So grain along v follows boards and legs in any orientation.
    """
    axes = FACE_AXES[faces]
    longest_last = np.take_along_axis(np.broadcast_to(size[..., None, :], (*size.shape[:-1], len(faces), 3)),
                                      np.broadcast_to(axes, (*size.shape[:-1], len(faces), 2)), -1)  # fmt: skip
    swap = longest_last[..., :1] > longest_last[..., 1:]
    axes = np.where(swap, axes[..., ::-1], axes)
    axes = np.broadcast_to(axes[..., None, :], (*triangles.shape[:-1], 2))
    return np.take_along_axis(triangles, axes, -1) * (1.0, -1.0)
