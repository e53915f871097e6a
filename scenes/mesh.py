"""`Mesh`: triangles with the surface properties that a renderer needs; the input of baking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from batchsim.scenes.errors import SceneError

NO_TEXTURE = -1

Wrap = Literal["repeat", "clamp", "mirror"]
REPEAT: Wrap = "repeat"
CLAMP: Wrap = "clamp"
MIRROR: Wrap = "mirror"
WRAPS: tuple[Wrap, ...] = (REPEAT, CLAMP, MIRROR)


@dataclass(frozen=True)
class Material:
    """The look of a surface.

    Attributes:
        name: For people.
        base_color: Linear (not sRGB) red, green, blue in [0, 1]; multiplies the texture, as in glTF.
        texture: An index into `Mesh.textures`, or `NO_TEXTURE`.
        wrap: How the texture continues outside [0, 1] along u and v.
    """

    name: str
    base_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: int = NO_TEXTURE
    wrap: tuple[Wrap, Wrap] = (REPEAT, REPEAT)


@dataclass(frozen=True)
class Mesh:
    """A triangle soup in metres, y up, right-handed; front faces wind counter-clockwise.

    - `triangles`: float32 `[T, 3, 3]`, corner positions.
    - `uvs`: float32 `[T, 3, 2]`, texture coordinates of the corners (v grows downwards, as in glTF). NaN and infinity
      become 0.
    - `materials`: int32 `[T]`, indices into `material_table`.
    - `labels`: int32 `[T]`, semantic labels, 0 = nothing (`batchsim.scenes.labels`).
    - `textures`: uint8 `[height, width, 3]` each, sRGB.
    - `instances`: int32 `[T]`, the number of the object that a triangle belongs to, 0 = none (the default for all).
      The triangles of one object share one label.
    - `offset`: metres; a point of the mesh plus `offset` is that point in the file that the mesh came from. Files far
      from the origin are moved there, because float32 is too coarse for them.
    """

    triangles: np.ndarray
    uvs: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    material_table: tuple[Material, ...] = (Material("default"),)
    textures: tuple[np.ndarray, ...] = field(default=())
    instances: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        count = len(self.triangles)
        if len(self.instances) == 0:
            object.__setattr__(self, "instances", np.zeros(count, np.int32))
        expected: dict[str, tuple[int, ...]] = {"triangles": (count, 3, 3), "uvs": (count, 3, 2)}
        expected |= {"materials": (count,), "labels": (count,), "instances": (count,)}
        for name, shape in expected.items():
            dtype = np.float32 if len(shape) > 1 else np.int32
            value = np.ascontiguousarray(getattr(self, name), dtype)
            if value.shape != shape:
                raise SceneError(f"Mesh.{name} has shape {value.shape}; expected {shape}.")
            object.__setattr__(self, name, value)
        if not np.isfinite(self.triangles).all():
            bad = int((~np.isfinite(self.triangles)).any((1, 2)).sum())
            raise SceneError(f"{bad} of {count} triangles have a NaN or infinite corner; repair the mesh first.")
        if not np.isfinite(self.uvs).all():
            object.__setattr__(self, "uvs", np.where(np.isfinite(self.uvs), self.uvs, np.float32(0)))
        if count and not 0 <= self.materials.min() <= self.materials.max() < len(self.material_table):
            raise SceneError(
                f"Mesh.materials must lie in [0, {len(self.material_table)}), the material table's length."
            )
        if count and self.instances.min() < 0:
            raise SceneError(f"Mesh.instances holds {self.instances.min()}; expected 0 (no object) or more.")

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
        """Returns a mesh of triangles `[T, 3, 3]` with one plain material and one label."""
        count = len(triangles)
        return Mesh(triangles, np.zeros((count, 3, 2)), np.zeros(count, np.int32), np.full(count, label, np.int32))

    @staticmethod
    def concatenate(meshes: Iterable[Mesh]) -> Mesh:
        """Joins meshes of one `offset`: material tables and textures are joined, objects keep their own numbers."""
        meshes = list(meshes)
        table: list[Material] = []
        textures: list[np.ndarray] = []
        materials, instances, num_instances = [], [], 0
        for mesh in meshes:
            materials.append(mesh.materials + len(table))
            instances.append(np.where(mesh.instances > 0, mesh.instances + num_instances, 0))
            num_instances = int(instances[-1].max(initial=num_instances))
            for m in mesh.material_table:
                texture = m.texture if m.texture == NO_TEXTURE else m.texture + len(textures)
                table.append(replace(m, texture=texture))
            textures.extend(mesh.textures)
        return Mesh(
            np.concatenate([m.triangles for m in meshes]),
            np.concatenate([m.uvs for m in meshes]),
            np.concatenate(materials),
            np.concatenate([m.labels for m in meshes]),
            tuple(table),
            tuple(textures),
            np.concatenate(instances),
            meshes[0].offset,
        )
