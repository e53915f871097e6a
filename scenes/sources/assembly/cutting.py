"""Cuts surfaces along the outline that their texture's alpha leaves, so that what is clear has no triangles at all.

Both renderers, depth, labels and the floor then see the same holes, and pay for them with some more triangles.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from batchsim.scenes.mesh import CLAMP, MIRROR
from batchsim.scenes.sources.assembly.outlines import clip, fan, solid_triangles
from batchsim.scenes.sources.surfaces.surface import Surface, Texture

_SIZES = (256, 128, 64, 32)  # texels; coarser outlines for surfaces that would have too many triangles
_MOST_TRIANGLES = 100_000  # of one surface, about
_MOST_TILES = 100_000
_CHUNK = 50_000  # pairs of triangles cut at once


def cut_out(surface: Surface, cutoff: float, path: Path) -> Surface:
    """Returns what is left of a surface where its texture's alpha is at least `cutoff`, in (0, 1]."""
    texture, uvs = surface.look.texture, surface.uvs
    assert texture is not None
    assert uvs is not None
    uvs = np.nan_to_num(uvs.astype(np.float64), posinf=0.0, neginf=0.0)
    tiles = [_tiles(uvs, texture, axis) for axis in (0, 1)]
    count = int(np.prod([last - first + 1 for first, last in tiles], axis=0).sum())
    for size in _SIZES:
        solid = solid_triangles(texture, cutoff, size)
        if count <= _MOST_TILES and count * len(solid) <= 4 * _MOST_TRIANGLES:
            break
    else:
        if count > _MOST_TILES or count * len(solid) > 40 * _MOST_TRIANGLES:
            warnings.warn(
                f"{path}: the material {surface.look.name!r} has too fine an alpha to be cut out; it is solid.",
                stacklevel=2,
            )
            return surface
    pieces = [_cut(uvs, *pair) for pair in _pairs(uvs, solid, tiles, texture)]
    owner = np.concatenate([found for _, found in pieces]) if pieces else np.zeros(0, np.int64)
    weights = np.concatenate([found for found, _ in pieces]) if pieces else np.zeros((0, 3, 3))
    return replace(
        surface,
        triangles=weights @ surface.triangles[owner],
        uvs=(weights @ uvs[owner]).astype(np.float32),
        tints=None if surface.tints is None else surface.tints[owner],
    )


def _tiles(uvs: np.ndarray, texture: Texture, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last of the texture's repeats that each triangle touches along an axis."""
    if texture.wrap[axis] == CLAMP:
        return np.zeros(len(uvs), np.int64), np.zeros(len(uvs), np.int64)
    low, high = np.clip(uvs[..., axis].min(1), -1e6, 1e6), np.clip(uvs[..., axis].max(1), -1e6, 1e6)
    first = np.floor(low).astype(np.int64)
    return first, np.maximum(np.ceil(high).astype(np.int64) - 1, first)


def _pairs(
    uvs: np.ndarray, solid: np.ndarray, tiles: list[tuple[np.ndarray, np.ndarray]], texture: Texture
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields chunks of triangles of the surface, by number, and of solid triangles `[P, 3, 2]` that may overlap."""
    widths = [last - first + 1 for first, last in tiles]
    number = widths[0] * widths[1]
    owner = np.repeat(np.arange(len(uvs)), number)
    local = np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
    tile = np.stack([tiles[0][0][owner] + local % widths[0][owner], tiles[1][0][owner] + local // widths[0][owner]], 1)
    step = max(1, _CHUNK // max(1, len(solid)))
    for start in range(0, len(owner) if len(solid) else 0, step):
        mine, at = owner[start : start + step], tile[start : start + step]
        placed = np.broadcast_to(solid, (len(mine), *solid.shape)).copy()
        for axis, wrap in enumerate(texture.wrap):
            if wrap == MIRROR:
                odd = at[:, axis] % 2 == 1
                placed[odd, ..., axis] = 1 - placed[odd, ..., axis]
        placed += at[:, None, None]
        low, high = uvs[mine].min(1)[:, None], uvs[mine].max(1)[:, None]
        near = ((placed.min(2) <= high) & (placed.max(2) >= low)).all(-1)
        which, _ = np.nonzero(near)
        yield mine[which], placed[near]


def _cut(uvs: np.ndarray, owner: np.ndarray, polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clips polygons by the triangles `owner` in texture space.

    Returns:
        Barycentric weights `[T, 3, 3]` of the corners of each piece, and the triangle it belongs to.
    """
    frame = uvs[owner]
    area = _cross(frame[:, 1] - frame[:, 0], frame[:, 2] - frame[:, 0])
    usable = np.abs(area) > 1e-14
    owner, polygons, frame, area = owner[usable], polygons[usable], frame[usable], area[usable]
    counts = np.full(len(owner), 3)
    edges = []
    for corner in range(3):
        # The weight of a corner is 0 on the opposite edge and 1 at the corner.
        start, end = frame[:, (corner + 1) % 3], frame[:, (corner + 2) % 3]
        normal = np.stack([start[:, 1] - end[:, 1], end[:, 0] - start[:, 0]], 1) / area[:, None]
        line = np.concatenate([normal, -(normal * start).sum(1, keepdims=True)], 1)
        edges.append(line)
        polygons, counts = clip(polygons, counts, line)
    pieces, number = fan(polygons, counts)
    lines = np.stack(edges, 1)[number]
    weights = np.einsum("tcx,tkx->tck", pieces, lines[..., :2]) + lines[:, None, :, 2]
    size = np.abs(_cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0]))
    flipped = _cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0]) * area[number] < 0
    weights[flipped] = weights[flipped][:, ::-1]
    kept = size > 1e-9 * np.abs(area[number])
    return weights[kept], owner[number[kept]]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
