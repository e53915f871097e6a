"""Surfaces to one `Mesh`: materials, textures, labels and objects are collected and numbered."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import NO_TEXTURE, REPEAT, Material, Mesh
from batchsim.scenes.sources.assembly.label_names import label_of
from batchsim.scenes.sources.assembly.placement import Placement
from batchsim.scenes.sources.assembly.transparency import AlphaPolicy, visible_parts
from batchsim.scenes.sources.surfaces.color import linear_to_srgb, srgb_to_linear
from batchsim.scenes.sources.surfaces.surface import Surface

_SHADES = 255  # of each colour component
_FEWER_SHADES = 31  # for scans that have a colour of its own for each vertex: some thousand materials at most
_MANY_COLORS = 4096


def assemble(
    surfaces: Iterable[Surface], path: Path, placement: Placement, alpha: AlphaPolicy
) -> tuple[Mesh, tuple[str, ...]]:
    """Builds a mesh of `surfaces`.

    Args:
        surfaces: What the file at `path` holds, in the file's units and axes.
        path: The file, for messages and because its name is no label.
        placement: How the file's axes and units become metres with y up.
        alpha: What becomes of transparent surfaces.

    Returns:
        The mesh and the names of its labels: `LABELS`, then those of the file, sorted.

    Raises:
        SceneError: If there is no triangle, or a corner is not finite.
    """
    parts = [part for surface in surfaces if len(surface.triangles) for part in visible_parts(surface, alpha, path)]
    if not parts:
        raise SceneError(f"{path}: contains no triangles that can be seen.")
    labels = [part.label or label_of((*part.names, part.look.name), path) for part in parts]
    label_names = (*LABELS, *sorted(set(labels) - set(LABELS)))
    number = {name: i for i, name in enumerate(label_names)}
    counts = [len(part.triangles) for part in parts]
    palette = _Palette()
    materials = np.concatenate([palette.materials_of(part) for part in parts])
    triangles, offset = placement.place(np.concatenate([part.triangles for part in parts]), path)
    uvs = np.concatenate([_uvs(part) for part in parts])
    try:
        mesh = Mesh(
            triangles,
            uvs,
            materials,
            np.repeat([number[label] for label in labels], counts),
            tuple(palette.table),
            tuple(palette.textures),
            np.repeat(_objects(parts, labels), counts),
            offset,
        )
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None
    return mesh, label_names


def _objects(parts: list[Surface], labels: list[str]) -> list[int]:
    """Numbers from 1: surfaces of one object, and of one label, have the same."""
    numbers: dict[Hashable, int] = {}
    keys = ((part.object_key, label) for part, label in zip(parts, labels, strict=True))
    return [numbers.setdefault(key, len(numbers) + 1) for key in keys]


def _uvs(surface: Surface) -> np.ndarray:
    """Texture coordinates float32 `[T, 3, 2]`, moved by whole repeats to near zero, where float32 is finest."""
    if surface.uvs is None:
        return np.zeros((len(surface.triangles), 3, 2), np.float32)
    uvs = np.nan_to_num(surface.uvs.astype(np.float64), posinf=0.0, neginf=0.0)
    texture = surface.look.texture
    for axis, wrap in enumerate(() if texture is None else texture.wrap):
        if wrap == REPEAT:
            uvs[..., axis] -= np.floor(uvs[..., axis].min(1, keepdims=True))
    return uvs.astype(np.float32)


def _distinct(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the colours that occur, rounded, linear `[C, 3]`, and which of them each has, int `[T]`."""
    srgb = linear_to_srgb(colors)
    for shades in (_SHADES, _FEWER_SHADES):
        levels = np.round(srgb * shades).astype(np.int64)
        codes, which = np.unique(levels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
        if len(codes) <= _MANY_COLORS:
            break
    distinct = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)
    return srgb_to_linear(distinct / shades), which.reshape(-1)


class _Palette:
    """Collects materials and textures, each once."""

    def __init__(self) -> None:
        self.table: list[Material] = []
        self.textures: list[np.ndarray] = []
        self._material_number: dict[Material, int] = {}
        self._texture_number: dict[int, int] = {}
        self._held: list[np.ndarray] = []

    def materials_of(self, surface: Surface) -> np.ndarray:
        """Returns the numbers in the table, int `[T]`, for the triangles of `surface`."""
        look = surface.look
        wrap, texture = (REPEAT, REPEAT), NO_TEXTURE
        if look.texture is not None and surface.uvs is not None:
            wrap, texture = look.texture.wrap, self._texture(look.texture.pixels)
        if surface.tints is None:
            material = Material(look.name, look.base_color, texture, wrap)
            return np.full(len(surface.triangles), self._number(material))
        colors, which = _distinct(surface.tints[:, :3])
        colors = colors * look.base_color
        numbers = [
            self._number(Material(look.name, (float(r), float(g), float(b)), texture, wrap)) for r, g, b in colors
        ]
        return np.array(numbers)[which]

    def _number(self, material: Material) -> int:
        if material not in self._material_number:
            self._material_number[material] = len(self.table)
            self.table.append(material)
        return self._material_number[material]

    def _texture(self, pixels: np.ndarray) -> int:
        if id(pixels) not in self._texture_number:
            self._texture_number[id(pixels)] = len(self.textures)
            self._held.append(pixels)  # an id is only unique while its object lives
            self.textures.append(np.ascontiguousarray(pixels[..., :3]))
        return self._texture_number[id(pixels)]
