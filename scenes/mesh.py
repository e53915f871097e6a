"""Triangles with the surface properties a renderer needs: the raw material that is baked into a `Scene`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from batchsim.scenes.errors import SceneError

NO_TEXTURE = -1


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    `base_color` is linear (not sRGB) red, green, blue in [0, 1] and multiplies the texture, as in glTF.
    `texture` is an index into `Mesh.textures`, or `NO_TEXTURE`.
    """

    name: str
    base_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: int = NO_TEXTURE


@dataclass(frozen=True)
class Mesh:
    """A triangle soup in metres, y up, right-handed; front faces wind counter-clockwise.

    - `triangles`: float32 `[T, 3, 3]`, corner positions.
    - `uvs`: float32 `[T, 3, 2]`, texture coordinates of the corners (v grows downwards, as in glTF).
    - `materials`: int32 `[T]`, indices into `material_table`.
    - `labels`: int32 `[T]`, semantic labels, 0 = nothing (`batchsim.scenes.labels`).
    - `textures`: uint8 `[height, width, 3]` each, sRGB.
    """

    triangles: np.ndarray
    uvs: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    material_table: tuple[Material, ...] = (Material("default"),)
    textures: tuple[np.ndarray, ...] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.triangles)
        expected = {"triangles": (count, 3, 3), "uvs": (count, 3, 2), "materials": (count,), "labels": (count,)}
        for name, shape in expected.items():
            dtype = np.float32 if len(shape) > 1 else np.int32
            value = np.ascontiguousarray(getattr(self, name), dtype)
            if value.shape != shape:
                raise SceneError(f"Mesh.{name} has shape {value.shape}; expected {shape}.")
            object.__setattr__(self, name, value)
        if not np.isfinite(self.triangles).all():
            bad = int((~np.isfinite(self.triangles)).any((1, 2)).sum())
            raise SceneError(f"{bad} of {count} triangles have a NaN or infinite corner; repair the mesh first.")
        if count and not 0 <= self.materials.min() <= self.materials.max() < len(self.material_table):
            raise SceneError(
                f"Mesh.materials must lie in [0, {len(self.material_table)}), the material table's length."
            )

    def __len__(self) -> int:
        """Number of triangles."""
        return len(self.triangles)

    @property
    def bounds(self) -> np.ndarray:
        """float32 `[2, 3]`: lowest and highest corner of the axis-aligned bounding box, metres."""
        corners = self.triangles.reshape(-1, 3)
        return np.stack([corners.min(0), corners.max(0)])

    @staticmethod
    def from_triangles(triangles: np.ndarray, label: int = 0) -> Mesh:
        """A mesh of bare triangles `[T, 3, 3]` with one plain material and one label."""
        count = len(triangles)
        return Mesh(triangles, np.zeros((count, 3, 2)), np.zeros(count, np.int32), np.full(count, label, np.int32))

    @staticmethod
    def concatenate(meshes: Iterable[Mesh]) -> Mesh:
        """One mesh of all triangles; material tables and textures are laid end to end."""
        meshes = list(meshes)
        table: list[Material] = []
        textures: list[np.ndarray] = []
        materials = []
        for mesh in meshes:
            materials.append(mesh.materials + len(table))
            for m in mesh.material_table:
                texture = m.texture if m.texture == NO_TEXTURE else m.texture + len(textures)
                table.append(Material(m.name, m.base_color, texture))
            textures.extend(mesh.textures)
        return Mesh(
            np.concatenate([m.triangles for m in meshes]),
            np.concatenate([m.uvs for m in meshes]),
            np.concatenate(materials),
            np.concatenate([m.labels for m in meshes]),
            tuple(table),
            tuple(textures),
        )
