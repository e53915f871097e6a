"""What alpha does to surfaces: every point is solid or left out, in images, labels, depth and floor alike.

By default, as glTF's `alphaMode` says: MASK is cut out where alpha is below the cutoff; BLEND is left out where alpha
is below one half and is solid elsewhere; OPAQUE ignores alpha. Alpha is the product of the material's, the vertices'
and the texture's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from batchsim.scenes.mesh import CLAMP, REPEAT
from batchsim.scenes.sources.assembly.cutting import cut_out
from batchsim.scenes.sources.surfaces.surface import AlphaMode, Surface, Texture

AlphaPolicy = Literal["auto", "solid", "clear"]
ALPHA_POLICIES: tuple[AlphaPolicy, ...] = ("auto", "solid", "clear")
"""auto: as the file says. solid: everything is. clear: whatever blends is left out, whatever its alpha."""

_HALF = 0.5


def visible_parts(surface: Surface, policy: AlphaPolicy, path: Path) -> list[Surface]:
    """Returns what is left of a surface; `path` is the file, for warnings."""
    look = surface.look
    if policy == "solid" or look.alpha_mode is AlphaMode.OPAQUE:
        return [surface]
    if policy == "clear" and look.alpha_mode is AlphaMode.BLEND:
        return []
    needed = look.alpha_cutoff if look.alpha_mode is AlphaMode.MASK else _HALF
    if needed <= 0:
        return [surface]
    factor = np.full(len(surface.triangles), look.alpha)
    if surface.tints is not None:
        factor = factor * surface.tints[:, 3]
    texture = look.texture
    # A texture can only lower alpha.
    surface, factor = _only(surface, factor >= needed), factor[factor >= needed]
    if not len(factor) or texture is None or texture.pixels.shape[2] == 3 or surface.uvs is None:
        return [surface] * bool(len(factor))
    # The texture's alpha from which on a point is solid.
    cutoff = needed / float(np.median(factor))
    below = _share_below(texture, surface.uvs, cutoff)
    parts = [_only(surface, below == 0), cut_out(_only(surface, (below > 0) & (below < 1)), cutoff, path)]
    return [part for part in parts if len(part.triangles)]


def _only(surface: Surface, keep: np.ndarray) -> Surface:
    if keep.all():
        return surface
    return replace(
        surface,
        triangles=surface.triangles[keep],
        uvs=None if surface.uvs is None else surface.uvs[keep],
        tints=None if surface.tints is None else surface.tints[keep],
    )


def _share_below(texture: Texture, uvs: np.ndarray, cutoff: float) -> np.ndarray:
    """Of the texels in the box around each triangle's texture coordinates, the share with alpha below `cutoff`.

    The box holds every texel that the triangle shows, so that 0 and 1 are certain: all are solid, or none is.
    """
    below = texture.pixels[..., 3] < cutoff * 255
    tiled = np.tile(below, (2, 2))  # so that a box may reach over the border of a repeating texture
    sums = np.zeros((tiled.shape[0] + 1, tiled.shape[1] + 1), np.int64)
    sums[1:, 1:] = tiled.cumsum(0).cumsum(1)
    rows = _texels(uvs[..., 1], below.shape[0], texture.wrap[1])
    columns = _texels(uvs[..., 0], below.shape[1], texture.wrap[0])
    (top, bottom), (left, right) = rows, columns
    found = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return found / ((bottom - top) * (right - left))


def _texels(values: np.ndarray, size: int, wrap: str) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 of the texels that coordinates float `[T, 3]` span along one axis."""
    low, high = values.min(1).astype(np.float64), values.max(1).astype(np.float64)
    if wrap == CLAMP:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    whole = ~(high - low < 1) | ((wrap != REPEAT) & ((low < 0) | (high > 1)))
    shift = np.where(whole, 0, np.floor(np.where(whole, 0, low)))
    low, high = np.where(whole, 0, low - shift), np.where(whole, 1, high - shift)
    first = np.clip(np.floor(low * size), 0, size - 1).astype(np.int64)
    last = np.clip(np.ceil(high * size), first + 1, 2 * size).astype(np.int64)
    return first, last
