"""Cuts triangles along the columns of a horizontal grid.

Each column holds two lists. *Fragments* are the occupied heights anywhere in the column. They are conservative: a wall
thinner than a cell, or a vertical one that has no area seen from above, is never lost. *Surfaces* are the heights at
which a triangle passes under the column's centre, where an agent could stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Widths below this many grid units (cells) are rounding errors.
SLIVER = 1e-6
# Number of triangle-row pairs, and of pieces, cut at once: their arrays stay in the processor's cache.
CHUNK = 20_000


@dataclass(frozen=True)
class Grid:
    """Columns over the xz-plane: `origin` is the (x, z) corner of row 0, column 0; rows along z, columns along x."""

    origin: tuple[float, float]
    cell_size: float
    rows: int
    cols: int

    @staticmethod
    def around(triangles: np.ndarray, cell_size: float) -> Grid:
        """Returns the grid around `triangles` `[T, 3, 3]`, aligned to whole cells, with a margin of one column."""
        flat = triangles.reshape(-1, 3)[:, [0, 2]].astype(np.float64)
        first = np.floor(flat.min(0) / cell_size) - 1
        last = np.floor(flat.max(0) / cell_size) + 1
        cols, rows = (last - first + 1).astype(int)
        return Grid((float(first[0] * cell_size), float(first[1] * cell_size)), float(cell_size), int(rows), int(cols))


@dataclass(frozen=True)
class Columns:
    """Contents of the columns of `grid`; a column's number is `row * cols + col`.

    Fragments, sorted by column and then by `bottom`: `bottom`, `top` float32 [F], metres; `reached` float32 [F], the
    highest top of the fragments of the column up to this one; `box` float32 [F, 4], the extent (x0, x1, z0, z1) of the
    fragment in grid units. `start` int64 [rows * cols + 1]: fragments of column k are `start[k]:start[k + 1]`.

    Surfaces, sorted by column and then by height: `surface_column` int64 [S], `surface_height` float32 [S],
    `surface_slope_cos` float32 [S] (1 = level), `surface_up` bool [S] (front face is up).
    """

    grid: Grid
    bottom: np.ndarray
    top: np.ndarray
    reached: np.ndarray
    box: np.ndarray
    start: np.ndarray
    surface_column: np.ndarray
    surface_height: np.ndarray
    surface_slope_cos: np.ndarray
    surface_up: np.ndarray


def expand(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enumerates `counts` int `[N]` items of N owners.

    Returns the owner of each item, int64 `[sum]`, and its position within the owner, 0 <= position < count.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - first[owner]


def cut_into_columns(triangles: np.ndarray, grid: Grid) -> Columns:
    """Cuts `triangles` float `[T, 3, 3]` (metres) along the columns of `grid`, which must contain all of them."""
    corners = triangles[:, :, [0, 2, 1]].astype(np.float64)
    corners[:, :, 0] = (corners[:, :, 0] - grid.origin[0]) / grid.cell_size
    corners[:, :, 1] = (corners[:, :, 1] - grid.origin[1]) / grid.cell_size
    slope_cos, up = _facing(triangles)

    low = np.floor(corners[:, :, :2].min(1)).astype(np.int64)
    high = np.floor(corners[:, :, :2].max(1)).astype(np.int64)
    inside_one = (low == high).all(1)
    parts = [_whole(corners, low, np.flatnonzero(inside_one))]
    spread = np.flatnonzero(~inside_one)
    for chunk in _chunks(spread, (high - low)[spread, 1] + 1):
        parts.append(_cut(corners, low, high, slope_cos, chunk))
    triangle, row, col, bottom, top, box = (np.concatenate(values) for values in zip(*parts, strict=True))

    column = row * grid.cols + col
    bottom, top = bottom.astype(np.float32), top.astype(np.float32)
    order = np.lexsort((bottom, column))
    start = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=grid.rows * grid.cols))])
    under, height = _surface_under_centre(corners, slope_cos, triangle, row, col)
    owner = triangle[under]
    # On ties, surfaces that face down come last: a box's bottom on the floor counts as lying on top of it.
    by_height = np.lexsort((~up[owner], height, column[under]))
    return Columns(
        grid,
        bottom[order],
        top[order],
        _highest_so_far(top[order], start),
        box[order].astype(np.float32),
        start,
        column[under][by_height],
        height[by_height].astype(np.float32),
        slope_cos[owner][by_height].astype(np.float32),
        up[owner][by_height],
    )


def _highest_so_far(top: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Returns the running maximum of `top` `[F]` within each column."""
    reached = top.copy()
    size = np.diff(start)
    place = np.arange(len(top)) - np.repeat(start[:-1], size)
    step = 1
    while step < size.max(initial=0):  # doubling: after each pass a value covers twice as many before it
        later = np.flatnonzero(place >= step)
        reached[later] = np.maximum(reached[later], reached[later - step])
        step *= 2
    return reached


def _facing(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cosine of each triangle's slope, 0 for degenerate ones, and whether its front faces up."""
    t = triangles.astype(np.float64)
    normal = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
    length = np.linalg.norm(normal, axis=1)
    vertical = np.divide(normal[:, 1], length, out=np.zeros(len(t)), where=length > 0)
    return np.abs(vertical), vertical > 0


def _chunks(items: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Splits `items`, in order, into runs of about `CHUNK` total weight."""
    if not len(items):
        return []
    run = (np.cumsum(weights) - weights) // CHUNK
    return np.split(items, np.flatnonzero(np.diff(run)) + 1)


def _whole(corners: np.ndarray, low: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the fragments of triangles that lie in one column, which need no cutting."""
    least, most = corners[index].min(1), corners[index].max(1)
    box = np.stack([least[:, 0], most[:, 0], least[:, 1], most[:, 1]], 1)
    return index, low[index, 1], low[index, 0], least[:, 2], most[:, 2], box


def _cut(
    corners: np.ndarray, low: np.ndarray, high: np.ndarray, slope_cos: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Returns the fragments of triangles in several columns: cuts along rows first, then along columns."""
    owner, step = expand((high - low)[index, 1] + 1)
    triangle = index[owner]
    row = low[triangle, 1] + step
    slices = _cut_to_rows(corners[triangle], row)  # [P, 6, 3]: the outline of the slice
    first = np.maximum(np.floor(slices[:, :, 0].min(1)).astype(np.int64), low[triangle, 0])
    last = np.minimum(np.floor(slices[:, :, 0].max(1)).astype(np.int64), high[triangle, 0])
    owner, step = expand(np.maximum(last - first + 1, 0))
    triangle, row, col = triangle[owner], row[owner], first[owner] + step

    bottom, top, box = np.empty(len(owner)), np.empty(len(owner)), np.empty((len(owner), 4))
    inner = _covers_cell(corners, slope_cos, triangle, row, col)
    bottom[inner], top[inner] = _plane_range(corners, triangle[inner], row[inner], col[inner])
    box[inner] = np.stack([col[inner], col[inner] + 1, row[inner], row[inner] + 1], 1)
    edges = np.flatnonzero(~inner)
    for edge in np.split(edges, np.arange(CHUNK, len(edges), CHUNK)):
        bottom[edge], top[edge], box[edge] = _cut_to_columns(slices[owner[edge]], col[edge])

    # Drops level triangles that only touch the next column at a grid line; vertical ones may lie on the line.
    thin = np.minimum(box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]) < SLIVER
    keep = (bottom <= top) & ~(thin & (slope_cos[triangle] > 1e-3))
    return tuple(values[keep] for values in (triangle, row, col, bottom, top, box))


def _cut_to_rows(corners: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns the outline `[P, 6, 3]` of the part of each triangle `[P, 3, 3]` in row <= z <= row + 1."""
    begin, end = corners, corners[:, [1, 2, 0]]
    enter, leave, valid = _clip(begin[:, :, 1], end[:, :, 1], row[:, None])
    along = end - begin
    # Every edge of the triangle in turn enters the row and leaves it; in between the outline follows the row's border.
    outline = np.stack([begin + enter[..., None] * along, begin + leave[..., None] * along], 2)
    # In place of an edge outside the row, the end of the last edge inside it is repeated.
    edge = np.arange(3)
    inside = np.where(valid, edge, np.where(np.roll(valid, 1, 1), edge - 1, edge - 2) % 3)
    rows = np.arange(len(outline))[:, None]
    outline[:, :, 0] = np.where(valid[..., None], outline[:, :, 0], outline[rows, inside, 1])
    outline[:, :, 1] = outline[rows, inside, 1]
    return outline.reshape(-1, 6, 3)


def _clip(begin: np.ndarray, end: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the first and last t in [0, 1] with begin + t (end - begin) in [low, low + 1], and if there is one."""
    along = end - begin
    flat = np.abs(along) < 1e-12
    along = np.where(flat, 1.0, along)
    a, b = (low - begin) / along, (low + 1 - begin) / along
    enter = np.where(flat, 0.0, np.maximum(np.minimum(a, b), 0.0))
    leave = np.where(flat, 1.0, np.minimum(np.maximum(a, b), 1.0))
    # A flat segment is inside or outside as a whole.
    valid = np.where(flat, (begin >= low - SLIVER) & (begin <= low + 1 + SLIVER), enter <= leave)
    return enter, leave, valid


def _cut_to_columns(points: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns height range and horizontal box of convex outlines `[F, 6, 3]` between x = col and x = col + 1.

    The extremes of a convex shape over a slab lie on its outline.
    """
    least = np.full((3, len(points)), np.inf)
    most = np.full((3, len(points)), -np.inf)
    corners = np.ascontiguousarray(points.transpose(1, 2, 0))  # [6, 3, F]
    for k, begin in enumerate(corners):
        end = corners[(k + 1) % len(corners)]
        enter, leave, valid = _clip(begin[0], end[0], col)
        along = end - begin
        for t in (enter, leave):
            at = begin + t * along
            np.minimum(least, at, out=least, where=valid)
            np.maximum(most, at, out=most, where=valid)
    return least[2], most[2], np.stack([least[0], most[0], least[1], most[1]], 1)


def _edges(corners: np.ndarray, triangle: np.ndarray, x: np.ndarray, z: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Computes edge functions of points, seen from above.

    Returns twice the signed areas of the triangles of each edge and the point, the edge vectors, and the sign of the
    areas' sum.
    """
    c = corners[triangle]
    areas, vectors = [], []
    for k in range(3):
        p, q = c[:, k], c[:, (k + 1) % 3]
        ex, ez = q[:, 0] - p[:, 0], q[:, 1] - p[:, 1]
        areas.append(ex * (z - p[:, 1]) - ez * (x - p[:, 0]))
        vectors.append((ex, ez))
    sign = np.sign(areas[0] + areas[1] + areas[2])
    return areas, vectors, sign


def _covers_cell(corners: np.ndarray, slope_cos: np.ndarray, triangle, row, col) -> np.ndarray:
    """Returns whether each triangle is gentle and, seen from above, contains the whole cell."""
    areas, vectors, sign = _edges(corners, triangle, col + 0.5, row + 0.5)
    inside = slope_cos[triangle] > 0.5
    for area, (ex, ez) in zip(areas, vectors, strict=True):
        inside &= area * sign >= 0.5 * (np.abs(ex) + np.abs(ez))
    return inside


def _plane_range(corners: np.ndarray, triangle, row, col) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest point over the cell of the planes of non-vertical triangles."""
    c = corners[triangle]
    u, v = c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    dx = (u[:, 2] * v[:, 1] - u[:, 1] * v[:, 2]) / det
    dz = (u[:, 0] * v[:, 2] - u[:, 2] * v[:, 0]) / det
    centre = c[:, 0, 2] + dx * (col + 0.5 - c[:, 0, 0]) + dz * (row + 0.5 - c[:, 0, 1])
    reach = 0.5 * (np.abs(dx) + np.abs(dz))
    return centre - reach, centre + reach


def _surface_under_centre(
    corners: np.ndarray, slope_cos: np.ndarray, triangle: np.ndarray, row: np.ndarray, col: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which fragments pass through the vertical line at their column's centre, and at which height."""
    candidates = np.flatnonzero(slope_cos[triangle] > 1e-3)
    owner = triangle[candidates]
    areas, vectors, sign = _edges(corners, owner, col[candidates] + 0.5, row[candidates] + 0.5)
    inside = sign != 0
    for area, (ex, ez) in zip(areas, vectors, strict=True):
        # Edges count as inside, with some tolerance, so that no centre falls between two neighbouring triangles.
        inside &= area * sign >= -1e-5 * np.hypot(ex, ez)
    candidates, owner = candidates[inside], owner[inside]
    weights = np.stack([areas[1][inside], areas[2][inside], areas[0][inside]], 1)
    corner_heights = corners[owner, :, 2]
    height = (weights * corner_heights).sum(1) / weights.sum(1)
    # Clipping keeps slivers within the heights of their corners; adding zero turns -0 into 0.
    return candidates, np.clip(height, corner_heights.min(1), corner_heights.max(1)) + 0.0
