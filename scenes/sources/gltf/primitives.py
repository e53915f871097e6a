"""Primitives of glTF meshes to triangles: lists, strips and fans, indexed or not, compressed or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.gltf.accessors import Accessors, normalized
from batchsim.scenes.sources.gltf.compression import DRACO_NAME, decode_draco
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.header import DracoPrimitive, Primitive, extension
from batchsim.scenes.sources.gltf.materials import GltfLook, Materials

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_JOINT_SETS = 4


@dataclass(frozen=True)
class Triangles:
    """A primitive's triangles in the space of its mesh.

    `positions` float32 `[V, 3]`, `faces` int64 `[T, 3]`, `uvs` float32 `[V, 2]` or None, `colors` float32 `[V, 4]` or
    None, linear; `joints` int64 `[V, K]` and their `weights` float32 `[V, K]` of a mesh with a skin, else None.
    """

    positions: np.ndarray
    faces: np.ndarray
    look: GltfLook
    uvs: np.ndarray | None
    colors: np.ndarray | None
    joints: np.ndarray | None = None
    weights: np.ndarray | None = None


class Primitives:
    """Reads the primitives of a glTF file; `full_size` as in `Textures`."""

    def __init__(self, container: Container, full_size: bool = False) -> None:
        self._container = container
        self._path = container.path
        self._accessors = Accessors(container)
        self._materials = Materials(container, full_size)

    @property
    def accessors(self) -> Accessors:
        """The accessors, for what else needs them."""
        return self._accessors

    def read(self, primitive: Primitive, weights: list[float]) -> Triangles | None:
        """Returns the triangles of a primitive; None for points, lines and primitives without positions.

        Args:
            primitive: The primitive.
            weights: How far each morph target is applied.
        """
        if primitive.mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in primitive.attributes:
            return None
        corners, decoded = self._corners_and_draco(primitive)
        positions = self._attribute(primitive, decoded, "POSITION")
        if positions is None or positions.shape[1] != 3:
            raise SceneError(f"{self._path}: damaged: positions are not of three numbers.")
        for weight, target in zip(weights, primitive.targets, strict=False):
            if weight and "POSITION" in target:
                positions = positions + np.float32(weight) * self._accessors.floats(target["POSITION"])
        if corners is None:
            corners = np.arange(len(positions))
        restart = -1 if primitive.indices is None or decoded else self._accessors.restart_index(primitive.indices)
        faces = np.concatenate([_faces(run, primitive.mode) for run in _runs(corners, restart)])
        corners = faces.reshape(-1)
        if len(corners) and not 0 <= int(corners.min()) <= int(corners.max()) < len(positions):
            raise SceneError(f"{self._path}: damaged: a triangle uses a corner that does not exist.")
        look = self._materials.look(primitive.material)
        return Triangles(
            positions,
            faces,
            look,
            self._uvs(primitive, decoded, look),
            self._colors(primitive, decoded),
            *self._skinning(primitive, decoded),
        )

    def _skinning(
        self, primitive: Primitive, decoded: dict[str, np.ndarray]
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Joints and weights, whose sum is 1, of all sets of four."""
        joints, weights = [], []
        for number in range(_MAX_JOINT_SETS):
            joint = self._attribute(primitive, decoded, f"JOINTS_{number}")
            weight = self._attribute(primitive, decoded, f"WEIGHTS_{number}", normalize=True)
            if joint is None or weight is None or joint.shape != weight.shape:
                break
            joints.append(joint.astype(np.int64))
            weights.append(weight)
        if not joints:
            return None, None
        total = np.concatenate(weights, 1)
        size = total.sum(1, keepdims=True)
        total = np.divide(total, size, out=np.zeros_like(total), where=size > 0)
        total[size[:, 0] <= 0, 0] = 1
        return np.concatenate(joints, 1), total

    def _corners_and_draco(self, primitive: Primitive) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        packed = extension(primitive.extensions, DRACO_NAME, DracoPrimitive)
        if packed is not None:
            return decode_draco(self._container, packed)
        return None if primitive.indices is None else self._accessors.integers(primitive.indices), {}

    def _attribute(
        self, primitive: Primitive, decoded: dict[str, np.ndarray], name: str, normalize: bool = False
    ) -> np.ndarray | None:
        if name in decoded:
            accessor = self._container.header.accessors[primitive.attributes[name]]
            return normalized(decoded[name], normalize or accessor.normalized)
        if name not in primitive.attributes:
            return None
        return self._accessors.floats(primitive.attributes[name], normalize)

    def _uvs(self, primitive: Primitive, decoded: dict[str, np.ndarray], look: GltfLook) -> np.ndarray | None:
        uvs = self._attribute(primitive, decoded, f"TEXCOORD_{look.uv_set}")
        if uvs is None or uvs.shape[1] != 2:
            return None
        return uvs if look.transform is None else uvs @ look.transform[:, :2].T + look.transform[:, 2]

    def _colors(self, primitive: Primitive, decoded: dict[str, np.ndarray]) -> np.ndarray | None:
        colors = self._attribute(primitive, decoded, "COLOR_0", normalize=True)
        if colors is None or colors.shape[1] not in (3, 4):
            return None
        if colors.shape[1] == 3:
            colors = np.concatenate([colors, np.ones((len(colors), 1), np.float32)], 1)
        return np.clip(colors, 0, 1)


def _runs(corners: np.ndarray, restart: int) -> list[np.ndarray]:
    """Splits corners at the number `restart`, as OpenGL ES 3 and WebGL 2 do."""
    ends = np.flatnonzero(corners == restart)
    if not len(ends):
        return [corners]
    return [run[run != restart] for run in np.split(corners, ends)]


def _faces(corners: np.ndarray, mode: int) -> np.ndarray:
    """Triangles int64 `[T, 3]`; every second one of a strip is turned over, so that all face the same side."""
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    count = max(0, len(corners) - 2)
    if mode == _FAN:
        return np.stack([corners[1 : count + 1], corners[2 : count + 2], np.broadcast_to(corners[:1], count)], 1)
    odd = np.arange(count) % 2
    place = np.arange(count)
    return np.stack([corners[place], corners[place + 1 + odd], corners[place + 2 - odd]], 1)
