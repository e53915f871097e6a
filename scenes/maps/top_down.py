"""Draws top-down maps of a scene: floor, obstacles and walls, one panel per storey.

Needs no renderer: floor is taken from the walkable grid, obstacles from the triangles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_cdt, distance_transform_edt

from batchsim.scenes.baking.scene import Scene

OUTSIDE = (255, 255, 255)
FLOOR = (222, 226, 230)
OBSTACLE = (173, 160, 146)
WALL = (70, 76, 84)

_STOREY_HEIGHT = 1.5
_MARGIN = 0.3
# Range of heights above the floor that is drawn, without rugs and ceilings. Metres.
_LOWEST, _HIGHEST = 0.05, 2.2
# In scenes without wall labels, whatever reaches this high is drawn as a wall. Metres.
_WALL_HEIGHT = 1.9
_WALL_LABELS = ("wall", "window")
_WALL_THICKNESS = 0.2
# Half the least width at which walls are drawn: outer walls are often a single sheet of triangles. Metres.
_OUTLINE = 0.04
_NEAR_FLOOR = 1.5
_BATCH_POINTS = 2_000_000
# Largest vertical distance of neighbouring points on a surface, metres.
_RISE = 0.05


@dataclass(frozen=True)
class TopDownMap:
    """A map of one or several storeys side by side; x points right, z down.

    - `image`: uint8 `[H, W, 3]`.
    - `levels`: float32 `[F]`, height of each storey's floor, metres, from left to right in the image.
    - `pixels_per_metre`: scale of the map.
    - `origin`: `[2]`, (x, z) in metres of the upper left corner of each storey's panel.
    - `panel_width`: width of a storey's panel, pixels.
    """

    image: np.ndarray
    levels: np.ndarray
    pixels_per_metre: float
    origin: np.ndarray
    panel_width: int

    def storey(self, heights: np.ndarray) -> np.ndarray:
        """Returns the storeys, int `[...]`, of feet at `heights` `[...]`."""
        heights = np.asarray(heights, np.float32)
        return np.abs(heights[..., None] - self.levels).argmin(-1)

    def to_pixel(self, points: np.ndarray) -> np.ndarray:
        """Returns column and row of `points` `[..., 3]` in the image, float32 `[..., 2]`; corners are whole.

        A point is drawn on the storey nearest in height.
        """
        points = np.asarray(points, np.float32)
        flat = (points[..., [0, 2]] - self.origin) * self.pixels_per_metre
        flat[..., 0] += self.storey(points[..., 1]) * self.panel_width
        return flat


def top_down(scene: Scene, pixels_per_metre: float = 40.0, max_pixels: int = 2048) -> TopDownMap:
    """Draws `scene` from above, its storeys side by side with the lowest on the left.

    Colours: `FLOOR` where an agent's centre or body can be, `WALL` for walls and windows (in scenes without such
    labels, for what reaches 1.9 m above the floor), `OBSTACLE` for other obstacles, `OUTSIDE` elsewhere.

    Args:
        scene: The scene.
        pixels_per_metre: Scale, reduced if needed for `max_pixels`.
        max_pixels: Largest width and height of a panel.
    """
    low, high = scene.bounds[:, [0, 2]]
    pixels_per_metre = min(pixels_per_metre, max_pixels / float((high - low).max() + 2 * _MARGIN))
    origin = (low - _MARGIN).astype(np.float32)
    width, height = (int(np.ceil(extent)) for extent in (high - low + 2 * _MARGIN) * pixels_per_metre)
    levels = storey_levels(scene)
    canvas = _Canvas(origin, pixels_per_metre, height, width)
    panels = [_draw_storey(scene, canvas, level, i, levels) for i, level in enumerate(levels)]
    return TopDownMap(np.concatenate(panels, 1), levels, pixels_per_metre, origin, width)


def storey_levels(scene: Scene) -> np.ndarray:
    """Returns the heights of the storeys' floors, float32 `[F]`, ascending: the commonest ones at least 1.5 m apart."""
    heights = scene.walkable.heights
    bins, counts = np.unique(np.round(heights, 1), return_counts=True)
    levels: list[float] = []
    for i in np.argsort(-counts, kind="stable"):
        # This leaves out stairs and ramps, which have little floor at any one height.
        if counts[i] >= 0.05 * len(heights) and all(abs(bins[i] - level) >= _STOREY_HEIGHT for level in levels):
            levels.append(float(np.median(heights[np.abs(heights - bins[i]) <= 0.1])))
    if not levels:
        levels = [float(np.median(heights))]
    return np.sort(np.array(levels, np.float32))


@dataclass(frozen=True)
class _Canvas:
    """The pixel grid of one panel."""

    origin: np.ndarray
    pixels_per_metre: float
    height: int
    width: int

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x `[W]` and z `[H]` of the pixels' centres, metres."""
        x = self.origin[0] + (np.arange(self.width) + 0.5) / self.pixels_per_metre
        z = self.origin[1] + (np.arange(self.height) + 0.5) / self.pixels_per_metre
        return x, z

    def pixel_of(self, points: np.ndarray) -> np.ndarray:
        """Returns the flat index of the pixels under `points` `[P, 3]`, int `[P]`, -1 outside the panel."""
        column, row = np.floor((points[:, [0, 2]] - self.origin) * self.pixels_per_metre).astype(int).T
        inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        return np.where(inside, row * self.width + column, -1)


def _draw_storey(scene: Scene, canvas: _Canvas, level: float, number: int, levels: np.ndarray) -> np.ndarray:
    core = _walkable_pixels(scene, canvas, number, levels)
    # The body reaches into square corners that its centre cannot reach.
    reach = (scene.body.radius + scene.walkable.cell_size) * canvas.pixels_per_metre
    floor = core.any() & (distance_transform_cdt(~core, "chessboard") <= reach)
    lowest, highest, wall = _obstacles(scene, canvas, level)
    # Something only above head height is no obstacle (a lintel), except where there is no floor (a wardrobe's top).
    blocked = (lowest < level + scene.body.height) | (np.isfinite(lowest) & ~floor)
    # Leaves out roofs and vaults of other storeys, far from this storey's floor.
    blocked &= _grown(core, _NEAR_FLOOR * canvas.pixels_per_metre)
    if wall is None:
        wall = highest > level + _WALL_HEIGHT
    image = np.empty((canvas.height, canvas.width, 3), np.uint8)
    image[:] = OUTSIDE
    image[floor] = FLOOR
    # Steps and slopes rise above the storey's level, but are walkable: `core` stays free.
    image[blocked & ~core] = OBSTACLE
    solid = _filled(wall & blocked & ~core, _WALL_THICKNESS * canvas.pixels_per_metre)
    image[_grown(solid, _OUTLINE * canvas.pixels_per_metre) & ~core] = WALL
    return image


def _walkable_pixels(scene: Scene, canvas: _Canvas, number: int, levels: np.ndarray) -> np.ndarray:
    """Returns the pixels over walkable cells of this storey, bool `[H, W]`."""
    walkable = scene.walkable
    mine = np.abs(walkable.heights[:, None] - levels).argmin(1) == number
    _, rows, cols = walkable.index.shape
    grid = np.zeros((rows, cols), bool)
    grid[tuple(walkable.cells[mine, 1:].T)] = True
    # A border of cells that are not walkable represents everything outside the grid.
    grid = np.pad(grid, 1)
    x, z = canvas.centres()
    column = np.floor((x - walkable.origin[0]) / walkable.cell_size).astype(int) + 1
    row = np.floor((z - walkable.origin[1]) / walkable.cell_size).astype(int) + 1
    return grid[np.ix_(row.clip(0, grid.shape[0] - 1), column.clip(0, grid.shape[1] - 1))]


def _obstacles(scene: Scene, canvas: _Canvas, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Finds what lies over each pixel between the floor and 2.2 m above it.

    Returns:
        The lowest and the highest point, float32 `[H, W]`, inf and -inf where there is nothing; and whether a wall or
        window is among it, bool `[H, W]`, None if the scene has no such labels.
    """
    size = canvas.height * canvas.width
    lowest, highest = np.full(size, np.inf, np.float32), np.full(size, -np.inf, np.float32)
    walls = {i for i, name in enumerate(scene.label_names) if name in _WALL_LABELS}
    is_wall = np.isin(scene.labels, list(walls))
    wall = np.zeros(size, bool)
    heights = scene.triangles[..., 1]
    near = (heights.max(1) > level + _LOWEST) & (heights.min(1) < level + _HIGHEST)
    for triangle, points, top in _spans(scene.triangles[near], 0.6 / canvas.pixels_per_metre):
        pixel = canvas.pixel_of(points)
        kept = (top > level + _LOWEST) & (points[:, 1] < level + _HIGHEST) & (pixel >= 0)
        pixel = pixel[kept]
        np.minimum.at(lowest, pixel, np.maximum(points[kept, 1], level + _LOWEST).astype(np.float32))
        np.maximum.at(highest, pixel, np.minimum(top[kept], level + _HIGHEST).astype(np.float32))
        wall[pixel[is_wall[near][triangle[kept]]]] = True
    shape = (canvas.height, canvas.width)
    return lowest.reshape(shape), highest.reshape(shape), wall.reshape(shape) if is_wall.any() else None


def _spans(triangles: np.ndarray, spacing: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields vertical spans that cover `triangles` `[T, 3, 3]` from above, at most `spacing` metres apart.

    Yields:
        Each span's triangle, int `[P]`, its lower end, `[P, 3]`, and the height of its upper end, `[P]`. Spans of
        upright triangles reach from edge to edge; those of other triangles are single points.
    """
    upright = _is_upright(triangles)
    numbers = np.flatnonzero(upright)
    if len(numbers):
        owner, points, top = _upright_spans(triangles[numbers].astype(np.float64), spacing)
        yield numbers[owner], points, top
    numbers = np.flatnonzero(~upright)
    for owner, points in _surface_points(triangles[numbers], spacing):
        yield numbers[owner], points, points[:, 1]


def _is_upright(triangles: np.ndarray) -> np.ndarray:
    """Returns whether triangles are vertical, to a millimetre per metre, and have an area; bool `[T]`."""
    corners = triangles.astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    return (area > 1e-9) & (np.abs(normal[:, 1]) <= 1e-3 * area)


def _upright_spans(corners: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the spans of upright triangles float64 `[T, 3, 3]`, as `_spans` yields them."""
    edges = corners[:, [1, 2, 0]] - corners
    lengths = np.hypot(edges[..., 0], edges[..., 2])
    which = np.arange(len(corners))
    longest = lengths.argmax(1)
    direction = edges[which, longest][:, [0, 2]] / lengths[which, longest][:, None]
    # The corners in the order of their place along the triangle's horizontal direction.
    place = (corners[..., [0, 2]] * direction[:, None]).sum(2)
    order = place.argsort(1)
    place = np.take_along_axis(place, order, 1)
    height = np.take_along_axis(corners[..., 1], order, 1)
    counts = np.ceil((place[:, 2] - place[:, 0]) / spacing).astype(int) + 1
    owner = np.repeat(which, counts)
    share = (np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)) / np.maximum(counts - 1, 1)[owner]
    at = place[owner, 0] + share * (place[owner, 2] - place[owner, 0])
    # One edge joins the outer corners; the two others meet at the middle corner.
    over = height[owner, 0] + share * (height[owner, 2] - height[owner, 0])
    left = (at < place[owner, 1]).astype(int)
    low, high = 1 - left, 2 - left
    part = (at - place[owner, low]) / np.maximum(place[owner, high] - place[owner, low], 1e-12)
    under = height[owner, low] + part.clip(0, 1) * (height[owner, high] - height[owner, low])
    points = np.empty((len(owner), 3))
    start = corners[which, order[:, 0]][:, [0, 2]]
    points[:, [0, 2]] = start[owner] + (at - place[owner, 0])[:, None] * direction[owner]
    points[:, 1] = np.minimum(over, under)
    return owner, points, np.maximum(over, under)


def _surface_points(triangles: np.ndarray, spacing: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields batches of points on `triangles` `[T, 3, 3]`: each point's triangle, int `[P]`, and the points, `[P, 3]`.

    Neighbours are at most `spacing` metres apart seen from above, and 5 cm in height. A batch has some million points.
    """
    base, along, across, rows, columns = _strips(triangles, spacing)
    total = np.cumsum(rows * columns)
    first = 0
    while first < len(triangles):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + _BATCH_POINTS, "right")))
        chosen = np.arange(first, last)
        owner = np.repeat(chosen, (rows * columns)[chosen])
        place = np.arange(len(owner)) - (total - rows * columns)[owner] + done
        s = (place % columns[owner]) / np.maximum(columns[owner] - 1, 1)
        t = (place // columns[owner]) / np.maximum(rows[owner] - 1, 1)
        # Rows are shorter towards the third corner.
        yield owner, base[owner] + t[:, None] * across[owner] + (s * (1 - t))[:, None] * along[owner]
        first = last


def _strips(triangles: np.ndarray, spacing: float) -> tuple[np.ndarray, ...]:
    """Divides each triangle into rows of points along one edge, the one that takes the fewest points.

    Returns:
        For each triangle the edge's start, the edge, the vector to the third corner, the number of rows, and the number
        of points in a row.
    """
    corners = triangles.astype(np.float64)
    edges = corners[:, [1, 2, 0]] - corners
    thirds = corners[:, [2, 0, 1]] - corners
    along = np.linalg.norm(edges, axis=2, keepdims=True)
    unit = edges / np.maximum(along, 1e-12)
    apart = thirds - (thirds * unit).sum(2, keepdims=True) * unit
    rows, columns = _points_on(apart, spacing), _points_on(edges, spacing)
    which, best = np.arange(len(corners)), (rows * columns).argmin(1)
    return tuple(value[which, best] for value in (corners, edges, thirds, rows, columns))


def _points_on(vectors: np.ndarray, spacing: float) -> np.ndarray:
    """Returns the number of points, int `[...]`, on vectors `[..., 3]` at most `spacing` apart seen from above."""
    flat = np.hypot(vectors[..., 0], vectors[..., 2]) / spacing
    return np.ceil(np.maximum(flat, np.abs(vectors[..., 1]) / _RISE)).astype(int) + 1


def _grown(mask: np.ndarray, pixels: float) -> np.ndarray:
    return distance_transform_edt(~mask) <= pixels if mask.any() else mask


def _filled(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Returns `mask` with gaps narrower than `pixels` closed, because walls have no triangles inside."""
    if not mask.any():
        return mask
    radius = int(np.ceil(pixels / 2)) + 1
    padded = np.pad(mask, radius)
    closed = ~_grown(~_grown(padded, pixels / 2), pixels / 2)
    return (closed | padded)[radius:-radius, radius:-radius]
