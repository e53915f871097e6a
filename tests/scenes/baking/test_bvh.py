"""The tree against brute force: what every node must contain, what rays must hit, and how good its splits are."""

import numpy as np
import pytest

from batchsim.scenes.baking.bvh import BVH, build_bvh
from batchsim.scenes.baking.bvh_binary import build_binary, half_area, triangle_boxes
from batchsim.scenes.errors import SceneError


def soup(count, rng, spread=10.0, size=0.5):
    """Random triangles of edge about `size` in a cube of side `spread`."""
    return (rng.uniform(0, spread, (count, 1, 3)) + rng.normal(0, size, (count, 3, 3))).astype(np.float32)


def cut_boxes(rng, boxes=40, cut=4):
    """Axis-aligned boxes with finely cut flat faces: many shared edges, flat bounds and equal centroids."""
    out = []
    grid = np.stack(np.meshgrid(np.arange(cut), np.arange(cut), indexing="ij"), -1).reshape(-1, 1, 2)
    uv = np.concatenate([grid + np.array(half) for half in ([(0, 0), (1, 0), (0, 1)], [(1, 1), (0, 1), (1, 0)])]) / cut
    for _ in range(boxes):
        low = rng.uniform(0, 10, 3)
        high = low + rng.uniform(0.1, 2, 3)
        for axis in range(3):
            for side in (low, high):
                face = np.empty((len(uv), 3, 3))
                face[..., axis] = side[axis]
                for k, other in enumerate(a for a in range(3) if a != axis):
                    face[..., other] = low[other] + uv[..., k] * (high[other] - low[other])
                out.append(face)
    return np.concatenate(out).astype(np.float32)


def decode(bvh):
    """Corners low, high `[M, 4, 3]` (float32 arithmetic, as in the shader), child, first and count `[M, 4]`.

    `child` is an inner node's number or 0; `first` and `count` are a leaf's triangles, count 0 for none.
    """
    n = bvh.nodes
    shifts = np.arange(4, dtype=np.uint32) * 8
    origin = n[:, 0:3].view(np.float32)
    step = ((n[:, 3:4] >> shifts[:3] & 255) << 23).view(np.float32)
    low = origin[:, None] + (n[:, 4:7, None] >> shifts & 255).astype(np.float32).swapaxes(1, 2) * step[:, None]
    high = origin[:, None] + (n[:, 7:10, None] >> shifts & 255).astype(np.float32).swapaxes(1, 2) * step[:, None]
    count = (n[:, 3:4] >> (24 + np.arange(4, dtype=np.uint32) * 2) & 3).astype(int)
    is_inner = (count == 0) & (low <= high).all(-1)
    child = np.where(is_inner, n[:, 10:11] + np.cumsum(is_inner, 1) - 1, 0)
    first = n[:, 11:12] + np.cumsum(count, 1) - count
    return low, high, child, first, count


def check_invariants(bvh, triangles):
    """Each triangle in one leaf, each node but the root the child of one node, every box around all that is below."""
    low, high, child, first, count = decode(bvh)
    assert sorted(bvh.order) == list(range(len(triangles)))
    held = [np.arange(f, f + c) for f, c in zip(first.ravel(), count.ravel(), strict=True)]
    assert sorted(np.concatenate(held)) == list(range(len(triangles)))
    assert sorted(child[child > 0]) == list(range(1, len(bvh.nodes)))
    box = triangle_boxes(triangles[bvh.order])
    below = np.full((len(bvh.nodes), 6), np.inf)
    for node in reversed(range(len(bvh.nodes))):  # children come after their parents
        for k in range(4):
            if count[node, k]:
                inside = box[first[node, k] : first[node, k] + count[node, k]].min(0)
            elif child[node, k]:
                inside = below[child[node, k]]
            else:
                assert (low[node, k] > high[node, k]).all()
                continue
            assert (low[node, k] <= inside[:3]).all()
            assert (high[node, k] >= -inside[3:]).all()
            below[node] = np.minimum(below[node], inside)


def hit(triangles, origin, direction):
    """Distance along one ray to the nearest of triangles `[T, 3, 3]` (inf if none), float64 Moeller-Trumbore."""
    a = triangles[:, 0].astype(np.float64)
    s, t = triangles[:, 1] - a, triangles[:, 2] - a
    q = np.cross(direction, t)
    det = (s * q).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = origin - a
        u = (w * q).sum(-1) / det
        r = np.cross(w, s)
        v = (r * direction).sum(-1) / det
        z = (t * r).sum(-1) / det
        z = np.where((det != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (z > 0), z, np.inf)
    return z.min(initial=np.inf)


def traverse(bvh, triangles, origin, direction):
    """The nearest hit through the tree, and how many children waited at most."""
    low, high, child, first, count = decode(bvh)
    ordered = triangles[bvh.order]
    best, stack, deepest = np.inf, [0], 0
    while stack:
        node = stack.pop()
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low[node] - origin) / direction, (high[node] - origin) / direction
        near, far = np.where(direction < 0, b, a).max(-1), np.where(direction < 0, a, b).min(-1)
        for k in np.flatnonzero((near <= far) & (far >= 0) & (near <= best)):
            if child[node, k]:
                stack.append(int(child[node, k]))
            else:
                best = min(best, hit(ordered[first[node, k] : first[node, k] + count[node, k]], origin, direction))
        deepest = max(deepest, len(stack) - 1)
    return best, deepest


def surface_cost(box, count, inner):
    """The heuristic's cost of a binary tree: nodes and triangles that a random ray visits."""
    share = half_area(box.astype(np.float64)) / half_area(box[0].astype(np.float64))
    return share[inner].sum() + (share * count)[~inner].sum()


def sweep_tree(boxes):
    """An exhaustive sweep over all cuts of all axes, one node at a time: (box, count, inner) of leaves up to 3."""
    out, stack = [], [np.arange(len(boxes))]
    while stack:
        ids = stack.pop()
        box, n = boxes[ids].min(0), len(ids)
        best = (np.inf, None, None)
        for axis in range(3):
            order = ids[np.argsort(boxes[ids, axis] - boxes[ids, axis + 3], kind="stable")]
            left = half_area(np.minimum.accumulate(boxes[order], 0))[:-1] * np.arange(1, n)
            right = half_area(np.minimum.accumulate(boxes[order][::-1], 0))[::-1][1:] * np.arange(n - 1, 0, -1)
            if n > 1 and (left + right).min() < best[0]:
                cut = int(np.argmin(left + right))
                best = ((left + right)[cut], order[: cut + 1], order[cut + 1 :])
        is_leaf = n == 1 or (n <= 3 and n * half_area(box) <= best[0] + half_area(box))
        out.append((box, n, not is_leaf))
        if not is_leaf:
            stack += best[1:]
    box, count, inner = zip(*out, strict=True)
    return np.stack(box), np.array(count), np.array(inner)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 17, 33, 400])
def test_small_soups_keep_every_triangle_inside_its_boxes(count):
    triangles = soup(count, np.random.default_rng(count))
    check_invariants(build_bvh(triangles), triangles)


@pytest.mark.parametrize("leaf_size", [1, 2, 3])
def test_flat_faces_and_leaf_sizes(leaf_size):
    triangles = cut_boxes(np.random.default_rng(1), boxes=12)
    bvh = build_bvh(triangles, leaf_size)
    check_invariants(bvh, triangles)
    assert decode(bvh)[-1].max() <= leaf_size


@pytest.mark.parametrize(
    "triangles",
    [
        np.zeros((300, 3, 3), np.float32),
        np.tile(soup(1, np.random.default_rng(0)), (300, 1, 1)),
        np.repeat(soup(90, np.random.default_rng(0))[:, :1], 3, 1),
        soup(200, np.random.default_rng(0), 1e30, 1e28),
        soup(200, np.random.default_rng(0), 1e-30, 1e-31),
        np.concatenate([soup(200, np.random.default_rng(0)), soup(2, np.random.default_rng(1), 1e6, 1e5)]),
        soup(200, np.random.default_rng(0)) + np.float32(1e5),
        np.float32(1.7) ** np.arange(100, dtype=np.float32)[:, None, None] * soup(100, np.random.default_rng(2)),
    ],
    ids=["all zero", "identical", "points", "huge", "tiny", "far outliers", "far away", "geometric spread"],
)
def test_degenerate_input(triangles):
    bvh = build_bvh(triangles)
    check_invariants(bvh, triangles)
    assert bvh.stack_size <= 64


@pytest.mark.parametrize("make", [lambda rng: soup(600, rng), lambda rng: cut_boxes(rng, 10)], ids=["soup", "boxes"])
def test_traversal_finds_what_brute_force_finds(make):
    rng = np.random.default_rng(5)
    triangles = make(rng)
    bvh = build_bvh(triangles)
    for _ in range(150):
        origin, direction = rng.uniform(0, 10, 3), rng.normal(size=3)
        found, waited = traverse(bvh, triangles, origin, direction)
        assert found == pytest.approx(hit(triangles, origin, direction), rel=1e-9)
        assert waited <= bvh.stack_size


@pytest.mark.parametrize("make", [lambda rng: soup(1500, rng), lambda rng: cut_boxes(rng, 20)], ids=["soup", "boxes"])
def test_splits_are_as_good_as_an_exhaustive_sweep(make):
    triangles = make(np.random.default_rng(3))
    tree = build_binary(triangles, leaf_size=3, traversal_cost=1.0)
    cost = surface_cost(tree.box, tree.count, tree.child > 0)
    assert cost <= 1.05 * surface_cost(*sweep_tree(triangle_boxes(triangles)))


def test_saved_arrays_give_the_same_tree():
    bvh = build_bvh(soup(50, np.random.default_rng(0)))
    again = BVH.from_arrays(bvh.to_arrays())
    assert (again.nodes == bvh.nodes).all()
    assert (again.order == bvh.order).all()
    assert again.stack_size == bvh.stack_size


def test_the_same_triangles_give_the_same_tree():
    triangles = soup(500, np.random.default_rng(0))
    assert (build_bvh(triangles).nodes == build_bvh(triangles.copy()).nodes).all()


def test_bad_input_says_what_is_wrong():
    with pytest.raises(SceneError, match="expected \\[T, 3, 3\\]"):
        build_bvh(np.zeros((4, 3)))
    with pytest.raises(SceneError, match="NaN"):
        build_bvh(np.full((1, 3, 3), np.nan))
    with pytest.raises(SceneError, match="leaf_size"):
        build_bvh(np.zeros((1, 3, 3)), leaf_size=0)
    with pytest.raises(SceneError, match="order"):
        BVH.from_arrays({"nodes": np.zeros((1, 12), np.uint32), "stack_size": np.ones(1)})
    with pytest.raises(SceneError, match="expected uint32"):
        BVH.from_arrays({"nodes": np.zeros((1, 8), np.uint32), "order": np.zeros(0), "stack_size": np.ones(1)})
