"""A binary bounding volume hierarchy, split by the surface-area heuristic, one level of the tree at a time.

All nodes of a level are split together in numpy, so the number of Python steps is the depth of the tree and not
its size. The triangles are sorted once along each axis and every split keeps the three orders sorted (a stable
partition), so a cut is a position in a sorted run: small nodes try every cut, large ones those between equal slabs.
The heuristic is MacDonald and Booth's (1990); the constants are ratios of costs, not times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE_CLASSES = (4, 8, 16, 32)
"""A node of at most this many triangles tries every cut; larger ones are cut into as many slabs as the last says."""

BALANCED_BELOW = 36
"""Levels left to the heuristic; a deeper node is halved, so that no input makes the tree deeper than this + log2 T."""

Box = np.ndarray
"""float32 `[..., 6]`: low x y z, then minus high x y z, so that one minimum joins two boxes."""


@dataclass
class BinaryTree:
    """Nodes in breadth-first order, node 0 the root; children of node k are `child[k]` and `child[k] + 1`.

    - `box`: float32 `[M, 6]`, low corner, then the high corner negated.
    - `child`: int32 `[M]`, 0 for leaves.
    - `first`, `count`: int32 `[M]`, the node's run of `order`.
    - `order`: int32 `[T]`, triangles such that every node holds one run.
    """

    box: np.ndarray
    child: np.ndarray
    first: np.ndarray
    count: np.ndarray
    order: np.ndarray


@dataclass
class _Level:
    """The nodes that are split together, as runs of the three sorted orders."""

    orders: np.ndarray  # int32 [3, A]: triangle numbers, sorted by centroid along x, y, z within each run
    start: np.ndarray  # int64 [M]: where each node's run starts in `orders`
    count: np.ndarray  # int64 [M]
    first: np.ndarray  # int64 [M]: where the node's triangles start in the final order


def build_binary(triangles: np.ndarray, leaf_size: int, traversal_cost: float) -> BinaryTree:
    """Split float32 `[T, 3, 3]` into leaves of at most `leaf_size`; T >= 1.

    `traversal_cost` is the price of visiting an inner node in triangle tests.
    """
    exact = triangle_boxes(triangles)
    scaled = _to_unit_cube(exact)
    level = _root_level(scaled)
    order = np.empty(len(triangles), np.int32)
    boxes, children, firsts, counts = [], [], [], []
    made, depth = 1, 0
    while len(level.start):
        boxes.append(_run_minimum(exact[level.orders[0]], level.start))
        axis, left = _best_cuts(scaled, level, depth, leaf_size, traversal_cost)
        inner = left > 0
        _place_leaves(order, level, ~inner)
        child = np.zeros(len(inner), np.int64)
        child[inner] = made + 2 * np.arange(inner.sum())
        made += 2 * int(inner.sum())
        children.append(child)
        firsts.append(level.first)
        counts.append(level.count)
        level = _split(level, axis, left, inner)
        depth += 1
    as_int = [np.concatenate(parts).astype(np.int32) for parts in (children, firsts, counts)]
    return BinaryTree(np.concatenate(boxes), *as_int, order)


def triangle_boxes(triangles: np.ndarray) -> Box:
    """Boxes of triangles `[T, 3, 3]`, float32 `[T, 6]`."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    low = np.minimum(np.minimum(a, b), c)
    high = np.maximum(np.maximum(a, b), c)
    return np.concatenate([low, -high], 1)


def half_area(box: Box) -> np.ndarray:
    """Half the surface of boxes `[..., 6]`; boxes that hold nothing have a negative extent and count as 0."""
    x = -(box[..., 3] + box[..., 0])
    y = -(box[..., 4] + box[..., 1])
    z = -(box[..., 5] + box[..., 2])
    return np.where(x < 0, 0, x * y + y * z + z * x)


def runs(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The numbers of all runs laid end to end: start[0], start[0] + 1, ... , start[1], ..."""
    total = np.cumsum(count)
    if not len(total):
        return np.zeros(0, np.int64)
    return np.arange(total[-1]) + np.repeat(start - (total - count), count)


def _to_unit_cube(exact: Box) -> Box:
    """The boxes moved and scaled into [-1, 1], so that no extent overflows when areas are multiplied."""
    wide = exact.astype(np.float64)
    low, high = wide[:, :3].min(0), -wide[:, 3:].min(0)
    centre, size = (low + high) / 2, max(float((high - low).max()), 1e-300)
    return (np.concatenate([wide[:, :3] - centre, wide[:, 3:] + centre], 1) * (2 / size)).astype(np.float32)


def _root_level(scaled: Box) -> _Level:
    centroid = scaled[:, :3] - scaled[:, 3:]
    orders = np.stack([np.argsort(centroid[:, axis], kind="stable") for axis in range(3)]).astype(np.int32)
    zero, all_of_them = np.zeros(1, np.int64), np.full(1, len(scaled), np.int64)
    return _Level(orders, zero, all_of_them, zero)


def _run_minimum(boxes: Box, start: np.ndarray) -> Box:
    """The box of each run of `boxes` that begins at `start`, `[M, 6]`; a column at a time is the quick way."""
    return np.stack([np.minimum.reduceat(boxes[:, k], start) for k in range(6)], 1)


def _best_cuts(
    scaled: Box, level: _Level, depth: int, leaf_size: int, traversal_cost: float
) -> tuple[np.ndarray, np.ndarray]:
    """The axis of every node's cheapest cut and how many triangles go left, 0 where a leaf is cheaper."""
    nodes = len(level.start)
    best_cost = np.full(nodes, np.inf, np.float32)
    best_axis = np.zeros(nodes, np.int64)
    best_left = level.count // 2
    if depth < BALANCED_BELOW:
        for axis in range(3):
            sorted_boxes = scaled[level.orders[axis]]
            for chosen, cuts in _by_size(level):
                cost, left = _cheapest_cut(sorted_boxes, axis, level.start[chosen], level.count[chosen], cuts)
                better = cost < best_cost[chosen]
                best_cost[chosen] = np.where(better, cost, best_cost[chosen])
                best_axis[chosen] = np.where(better, axis, best_axis[chosen])
                best_left[chosen] = np.where(better, left, best_left[chosen])
    area = half_area(_run_minimum(scaled[level.orders[0]], level.start))
    leaf_is_cheaper = level.count * area <= best_cost + traversal_cost * area
    best_left[(level.count == 1) | ((level.count <= leaf_size) & leaf_is_cheaper)] = 0
    return best_axis, best_left


def _by_size(level: _Level):
    """Yield (nodes, cuts) for each size class that occurs among nodes of two triangles or more."""
    smaller = 1
    for size in SIZE_CLASSES:
        is_last = size == SIZE_CLASSES[-1]
        chosen = np.flatnonzero((level.count > smaller) & (is_last | (level.count <= size)))
        smaller = size
        if len(chosen):
            yield chosen, size


def _cheapest_cut(
    boxes: Box, axis: int, start: np.ndarray, count: np.ndarray, cuts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cost (triangles times half area, both sides) and left count of each node's cheapest of `cuts - 1` cuts."""
    steps = np.arange(cuts)
    small = count.max() <= cuts
    # Pieces between two neighbouring cuts: one triangle each in small nodes, a slab of space in larger ones.
    before = np.minimum(steps, count[:, None]) if small else _slabs(boxes, axis, start, count, cuts)
    at = np.minimum(start[:, None] + before, len(boxes) - 1)
    # Component first: [6, cuts, nodes] keeps every running minimum on contiguous memory.
    pieces = boxes[at.T].transpose(2, 0, 1).copy() if small else _slab_boxes(boxes, at, start + count, cuts)
    if small:
        pieces[:, (before >= count[:, None]).T] = np.inf
    left = np.minimum.accumulate(pieces, 1)[:, :-1]
    right = np.minimum.accumulate(pieces[:, ::-1], 1)[:, ::-1][:, 1:]
    left_count = before[:, 1:].T
    right_count = count - left_count
    cost = _areas(left) * left_count + _areas(right) * right_count
    # Equal costs (many equal triangles) must not peel off one triangle at a time: lean slightly to the middle.
    cost *= 1 + 1e-5 * np.abs(left_count - right_count) / count
    cost[(left_count == 0) | (right_count == 0)] = np.inf
    best = np.argmin(cost, 0)
    nodes = np.arange(len(start))
    return cost[best, nodes], left_count[best, nodes]


def _slabs(boxes: Box, axis: int, start: np.ndarray, count: np.ndarray, cuts: int) -> np.ndarray:
    """How many triangles lie before each of `cuts` equal slabs of every node's centroids, `[M, cuts]`."""
    where = runs(start, count)
    centroid = boxes[where, axis] - boxes[where, axis + 3]
    begin = np.cumsum(count) - count
    low, high = centroid[begin], centroid[begin + count - 1]
    scale = cuts / np.maximum(high - low, 1e-30)
    slab = ((centroid - np.repeat(low, count)) * np.repeat(scale, count)).astype(np.int64)
    np.minimum(slab, cuts - 1, out=slab)
    slab += np.repeat(np.arange(len(count)) * cuts, count)
    held = np.bincount(slab, minlength=len(count) * cuts).reshape(-1, cuts)
    return np.cumsum(held, 1) - held


def _slab_boxes(boxes: Box, at: np.ndarray, end: np.ndarray, cuts: int) -> Box:
    """Boxes `[6, cuts, M]` of the slabs that begin at `at` [M, cuts] and go on to the next slab or `end`."""
    bounds = np.concatenate([at, end[:, None]], 1)
    empty = bounds[:, 1:] == bounds[:, :-1]
    # reduceat wants starts only and runs on to the next one: the end of the last slab starts an unused run.
    starts = np.minimum(bounds.reshape(-1), len(boxes) - 1)
    pieces = np.stack([np.minimum.reduceat(boxes[:, k], starts) for k in range(6)])
    pieces = pieces.reshape(6, len(at), cuts + 1)[:, :, :-1].transpose(0, 2, 1).copy()
    pieces[:, empty.T] = np.inf
    return pieces


def _areas(box: np.ndarray) -> np.ndarray:
    """`half_area` for boxes stored component first, `[6, ...]`."""
    return half_area(np.moveaxis(box, 0, -1))


def _place_leaves(order: np.ndarray, level: _Level, leaf: np.ndarray) -> None:
    """Write the triangles of finished nodes to their place in the final order."""
    where = runs(level.first[leaf], level.count[leaf])
    order[where] = level.orders[0][runs(level.start[leaf], level.count[leaf])]


def _split(level: _Level, axis: np.ndarray, left: np.ndarray, inner: np.ndarray) -> _Level:
    """The next level: the runs of inner nodes, each partitioned into left and right in all three orders."""
    kept = runs(level.start[inner], level.count[inner])
    orders = level.orders[:, kept]
    axis, left, count, first = axis[inner], left[inner], level.count[inner], level.first[inner]
    start = np.cumsum(count) - count
    rank = np.arange(len(kept)) - np.repeat(start, count)
    is_right = rank >= np.repeat(left, count)
    axis_of = np.repeat(axis, count)
    goes_right = np.zeros(int(level.orders.max()) + 1, bool) if len(kept) else np.zeros(0, bool)
    for k in range(3):
        on_axis = axis_of == k
        goes_right[orders[k, on_axis]] = is_right[on_axis]
    next_orders = np.empty_like(orders)
    right_start = np.repeat(start + left, count)
    run_start = np.repeat(start, count)
    for k in range(3):
        right = goes_right[orders[k]]
        lefts_before = np.cumsum(~right) - ~right
        # Every run before this one holds `left` left triangles: count from the run's own start.
        lefts_before -= np.repeat(np.cumsum(left) - left, count)
        target = np.where(right, right_start + rank - lefts_before, run_start + lefts_before)
        next_orders[k, target] = orders[k]
    return _Level(
        next_orders,
        np.stack([start, start + left], 1).reshape(-1),
        np.stack([left, count - left], 1).reshape(-1),
        np.stack([first, first + left], 1).reshape(-1),
    )
