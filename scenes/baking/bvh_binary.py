"""Builds a binary bounding volume hierarchy by the surface area heuristic, one level of the tree at a time.

All nodes of a level are split together in numpy, so the number of Python steps is the depth of the tree, not its size.
The triangles are sorted once along each axis, and every split keeps the three orders sorted (a stable partition). So a
cut is a position in a sorted run: small nodes try every cut, large ones those between equal slabs. The heuristic is
MacDonald and Booth's (1990); the constants are ratios of costs, not times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE_CLASSES = (4, 8, 16, 32)
"""Nodes of at most so many triangles try every cut, in classes of these sizes; larger ones use the last as slabs."""

BALANCED_BELOW = 36
"""Number of levels split by the heuristic. Deeper nodes are halved, so the depth is at most this + log2 T."""

Box = np.ndarray
"""float32 `[..., 6]`: low x y z, then minus high x y z, so that the minimum of two boxes is their union."""


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
    """The nodes of one level, as runs of the three sorted orders."""

    orders: np.ndarray  # int32 [3, A]: triangle numbers, sorted by centroid along x, y, z within each run
    start: np.ndarray  # int64 [M]: where each node's run starts in `orders`
    count: np.ndarray  # int64 [M]
    first: np.ndarray  # int64 [M]: where the node's triangles start in the final order


def build_binary(triangles: np.ndarray, leaf_size: int, traversal_cost: float) -> BinaryTree:
    """Builds the tree.

    Args:
        triangles: float32 `[T, 3, 3]`, T >= 1.
        leaf_size: Most triangles in a leaf.
        traversal_cost: Cost of visiting an inner node, in units of a triangle test.
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
    return BinaryTree(
        box=np.concatenate(boxes),
        child=np.concatenate(children).astype(np.int32),
        first=np.concatenate(firsts).astype(np.int32),
        count=np.concatenate(counts).astype(np.int32),
        order=order,
    )


def triangle_boxes(triangles: np.ndarray) -> Box:
    """Returns the boxes of triangles `[T, 3, 3]`, float32 `[T, 6]`."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    low = np.minimum(np.minimum(a, b), c)
    high = np.maximum(np.maximum(a, b), c)
    return np.concatenate([low, -high], 1)


def half_area(box: Box) -> np.ndarray:
    """Returns half the surface of boxes `[..., 6]`, 0 for empty boxes (with a negative extent)."""
    x = -(box[..., 3] + box[..., 0])
    y = -(box[..., 4] + box[..., 1])
    z = -(box[..., 5] + box[..., 2])
    return np.where(x < 0, 0, x * y + y * z + z * x)


def runs(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns the concatenated numbers of all runs: start[0], start[0] + 1, ... , start[1], ..."""
    total = np.cumsum(count)
    if not len(total):
        return np.zeros(0, np.int64)
    return np.arange(total[-1]) + np.repeat(start - (total - count), count)


def _to_unit_cube(exact: Box) -> Box:
    """Returns the boxes moved and scaled into [-1, 1], so that products of extents do not overflow."""
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
    """Returns the box `[M, 6]` of each run of `boxes` that begins at `start`; one column at a time is fastest."""
    return np.stack([np.minimum.reduceat(boxes[:, k], start) for k in range(6)], 1)


def _best_cuts(
    scaled: Box, level: _Level, depth: int, leaf_size: int, traversal_cost: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the axis of every node's cheapest cut and the number of triangles on the left, 0 if a leaf is cheaper."""
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
    """Yields (nodes, cuts) for each size class that occurs among nodes of at least two triangles."""
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
    """Returns cost (sum over both sides of triangles times half area) and left count of each node's cheapest cut."""
    steps = np.arange(cuts)
    small = count.max() <= cuts
    # Pieces between two neighbouring cuts: one triangle in small nodes, a slab of space in larger ones.
    before = np.minimum(steps, count[:, None]) if small else _slabs(boxes, axis, start, count, cuts)
    at = np.minimum(start[:, None] + before, len(boxes) - 1)
    # Layout [6, cuts, nodes]: every running minimum works on contiguous memory.
    pieces = boxes[at.T].transpose(2, 0, 1).copy() if small else _slab_boxes(boxes, at, start + count, cuts)
    if small:
        pieces[:, (before >= count[:, None]).T] = np.inf
    left = np.minimum.accumulate(pieces, 1)[:, :-1]
    right = np.minimum.accumulate(pieces[:, ::-1], 1)[:, ::-1][:, 1:]
    left_count = before[:, 1:].T
    right_count = count - left_count
    cost = _areas(left) * left_count + _areas(right) * right_count
    # Prefers cuts near the middle among equal costs: many equal triangles must not be split off one at a time.
    cost *= 1 + 1e-5 * np.abs(left_count - right_count) / count
    cost[(left_count == 0) | (right_count == 0)] = np.inf
    best = np.argmin(cost, 0)
    nodes = np.arange(len(start))
    return cost[best, nodes], left_count[best, nodes]


def _slabs(boxes: Box, axis: int, start: np.ndarray, count: np.ndarray, cuts: int) -> np.ndarray:
    """Returns the number of triangles before each of `cuts` equal slabs of every node's centroids, `[M, cuts]`."""
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
    """Returns the boxes `[6, cuts, M]` of the slabs from `at` `[M, cuts]` to the next slab or `end`."""
    bounds = np.concatenate([at, end[:, None]], 1)
    empty = bounds[:, 1:] == bounds[:, :-1]
    # reduceat takes starts only; the end of the last slab starts an unused run.
    starts = np.minimum(bounds.reshape(-1), len(boxes) - 1)
    pieces = np.stack([np.minimum.reduceat(boxes[:, k], starts) for k in range(6)])
    pieces = pieces.reshape(6, len(at), cuts + 1)[:, :, :-1].transpose(0, 2, 1).copy()
    pieces[:, empty.T] = np.inf
    return pieces


def _areas(box: np.ndarray) -> np.ndarray:
    """Returns `half_area` of boxes with the components in the first axis, `[6, ...]`."""
    return half_area(np.moveaxis(box, 0, -1))


def _place_leaves(order: np.ndarray, level: _Level, leaf: np.ndarray) -> None:
    """Writes the triangles of leaves to their place in the final order."""
    where = runs(level.first[leaf], level.count[leaf])
    order[where] = level.orders[0][runs(level.start[leaf], level.count[leaf])]


def _split(level: _Level, axis: np.ndarray, left: np.ndarray, inner: np.ndarray) -> _Level:
    """Returns the next level: the runs of inner nodes, partitioned into left and right in all three orders."""
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
        # Counts from the run's own start: every run before it holds `left` left triangles.
        lefts_before -= np.repeat(np.cumsum(left) - left, count)
        target = np.where(right, right_start + rank - lefts_before, run_start + lefts_before)
        next_orders[k, target] = orders[k]
    return _Level(
        next_orders,
        np.stack([start, start + left], 1).reshape(-1),
        np.stack([left, count - left], 1).reshape(-1),
        np.stack([first, first + left], 1).reshape(-1),
    )
