"""Adds curved shapes to `Parts`: lathed bodies, tubes, pillows, cloth, leaves, as fine as its detail asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from batchsim.scenes.homes.geometry.shapes import Parts

SIDES = (5, 12, 36)  # of a round object, by detail
WEAVE = (2, 8, 40)  # cells along an edge of a pillow or a cloth, by detail


def sheet(parts: Parts, points: np.ndarray, surface: str, label: str, uv: np.ndarray | None = None) -> None:
    """Adds a curved surface through a grid of points `[rows, columns, 3]`.

    Its front is where turning left leads from the direction of the rows to that of the columns. Texture coordinates
    default to the lengths along the grid's lines.
    """
    if uv is None:
        across = np.linalg.norm(np.diff(points, axis=1), axis=-1).mean(0)
        down = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1)
        u, v = np.concatenate([[0.0], np.cumsum(across)]), np.concatenate([[0.0], np.cumsum(down)])
        uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), -1)
    rows, columns = points.shape[:2]
    cell = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = cell[:-1, :-1].ravel(), cell[1:, :-1].ravel(), cell[1:, 1:].ravel(), cell[:-1, 1:].ravel()
    triangles = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1).reshape(-1, 3)
    corners = points.reshape(-1, 3)[triangles]
    solid = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 1e-10
    parts.add(corners[solid], uv.reshape(-1, 2)[triangles[solid]], surface, label)


def lathe(
    parts: Parts,
    centre: ArrayLike,
    profile: Sequence[tuple[float, float]],
    surface: str,
    label: str,
    smooth: bool = False,
    sides: int | None = None,
) -> None:
    """Adds a body of revolution about the vertical line through `centre` (x, y, z).

    `profile` lists (radius, height above the centre) from the bottom up on the outside; `smooth` rounds it at high
    detail. `sides` overrides the number of sides.
    """
    outline = np.asarray(profile, float)
    if smooth:
        outline = _smoothed(outline, (1, 1, 3)[parts.detail])
    sides = sides or SIDES[parts.detail]
    turn = np.linspace(0.0, 2 * np.pi, sides + 1)
    radius, height = outline[::-1, 0][:, None], outline[::-1, 1][:, None]
    # Walking down the profile and counter-clockwise as seen from above keeps the front outside.
    points = np.stack(np.broadcast_arrays(radius * np.sin(turn), height, radius * np.cos(turn)), -1)
    points[:, -1] = points[:, 0]
    sheet(parts, points + np.asarray(centre), surface, label)


def tube(parts: Parts, path: ArrayLike, radius: float, surface: str, label: str, sides: int | None = None) -> None:
    """Adds a round rod along a path `[P, 3]`, open at its ends."""
    points = np.asarray(path, float)
    sides = sides or (3, 6, 18)[parts.detail]
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.eye(3)[np.abs(along).sum(0).argmin()]
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    turn = np.linspace(0.0, 2 * np.pi, sides + 1)[:, None]
    ring = np.cos(turn) * first[:, None] + np.sin(turn) * second[:, None]
    ring[:, -1] = ring[:, 0]
    sheet(parts, (points[:, None] + radius * ring)[:, ::-1], surface, label)


def loft(
    parts: Parts,
    centre: ArrayLike,
    sections: Sequence[tuple[float, float, float, float]],
    surface: str,
    label: str,
) -> None:
    """Adds a body through level rounded rectangles, listed from the bottom up on the outside.

    Each section is (half width, half depth, corner radius, height above the centre).
    """
    corner = np.linspace(0.0, np.pi / 2, (1, 4, 14)[parts.detail] + 1)
    angles = np.concatenate([corner + k * np.pi / 2 for k in range(4)] + [corner[:1]])
    signs = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    quadrant = np.append(np.repeat(np.arange(4), len(corner)), 0)
    shape = np.asarray(sections, float)[::-1]
    half, radius, height = shape[:, None, :2], shape[:, None, 2:3], shape[:, None, 3:]
    # Angle 0 points along +z and turns towards +x: counter-clockwise as seen from above.
    turn = np.stack([np.sin(angles), np.cos(angles)], -1)
    flat = signs[(quadrant + 0) % 4] * (half - radius) + radius * turn
    points = np.stack([flat[..., 0], np.broadcast_to(height[..., 0], flat.shape[:2]), flat[..., 1]], -1)
    sheet(parts, points + np.asarray(centre), surface, label)


def pillow(parts: Parts, lo: ArrayLike, hi: ArrayLike, surface: str, label: str) -> None:
    """Adds a pillow that lies flat in a box: thick in the middle, thin at its seam."""
    low, high = np.asarray(lo, float), np.asarray(hi, float)
    t = np.sin(np.linspace(-np.pi / 2, np.pi / 2, WEAVE[parts.detail] + 1))
    u, v = np.meshgrid(t, t)
    thickness = ((1 - u**4) * (1 - v**4)) ** 0.5
    pinch = 1 - 0.08 * (1 - thickness)
    u, v = u * pinch, v * pinch
    for side in (1, -1):
        points = low + (high - low) * (np.stack([u, side * thickness, v], -1) + 1) / 2
        sheet(parts, points[::side], surface, label)


def leaf(parts: Parts, root: np.ndarray, tip: np.ndarray, width: float, sag: float, surface: str, label: str) -> None:
    """Adds a leaf from root to tip that bends down by `sag` metres."""
    cells = (1, 4, 20)[parts.detail]
    t = np.linspace(0.0, 1.0, cells + 1)[:, None]
    across = np.cross(tip - root, (0.0, 1.0, 0.0))
    across = across / (np.linalg.norm(across) + 1e-9) * width / 2
    spine = root + (tip - root) * t - np.array([0.0, sag, 0.0]) * t**2
    spread = np.sin(np.pi * np.clip(t, 0.02, 1.0) ** 0.8)
    points = np.stack([spine + spread * across, spine - 0.15 * spread * (0.0, width, 0.0), spine - spread * across], 1)
    sheet(parts, points, surface, label)


def _smoothed(outline: np.ndarray, times: int) -> np.ndarray:
    """Returns more points on the same outline, by Catmull-Rom interpolation with the ends repeated."""
    if times <= 1:
        return outline
    padded = np.concatenate([outline[:1], outline, outline[-1:]])
    t = (np.arange(times) / times)[:, None, None]
    p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    spans = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.concatenate([spans.swapaxes(0, 1).reshape(-1, 2), outline[-1:]])
