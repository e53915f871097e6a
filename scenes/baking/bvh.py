"""The bounding volume hierarchy of a scene's triangles: four children per node, boxes in 8 bits, 48 bytes per node.

A binary tree (`bvh_binary`) is collapsed into one with four children per node, opening the largest boxes first. The
child boxes are rounded outwards to a grid of 255 steps over their parent, as in Ylitie, Karras and Laine, *Efficient
Incoherent Ray Traversal on GPUs Through Compressed Wide BVHs* (HPG 2017).

A node is twelve 32-bit words, three loads of sixteen bytes:

| word | meaning |
| --- | --- |
| 0-2 | the grid's origin x, y, z, float32 metres |
| 3 | bytes 0-2: the grid's step in x, y, z, the exponent bits of a float32 power of two; byte 3: the children's kinds |
| 4-6 | low x, y, z of the four children, child k in byte k: metres = origin + byte * step |
| 7-9 | high x, y, z of the four children |
| 10 | the number of the first inner child; the others follow it |
| 11 | the first triangle of the first leaf; those of the other leaves follow |

The kind of child k is bits 2k and 2k + 1 of that byte: 0 for an inner node, else the number of a leaf's triangles.
Inner children come first, then leaves, then missing ones, which have low > high so that no ray enters them. Triangle
numbers are positions in `BVH.order`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from batchsim.scenes.baking.bvh_binary import BinaryTree, build_binary, half_area, runs
from batchsim.scenes.errors import SceneError

WIDTH = 4
NODE_WORDS = 12
MAX_LEAF = 3
MAX_TRIANGLES = 1 << 27

BOX_MARGIN = 1e-6
"""Boxes are widened by this fraction of the largest coordinate, more than the rounding of a ray's slab test."""


@dataclass(frozen=True)
class BVH:
    """A tree in the layout of the shader.

    - `nodes`: uint32 `[M, 12]`, see the module's table; node 0 is the root and M >= 1.
    - `order`: int32 `[T]`, the triangles in the order in which leaves refer to them.
    - `stack_size`: the largest number of entries on a traversal's stack, if every box is hit.
    """

    nodes: np.ndarray
    order: np.ndarray
    stack_size: int

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns named arrays for saving; `from_arrays` is the inverse."""
        return {"nodes": self.nodes, "order": self.order, "stack_size": np.array([self.stack_size], np.int32)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> BVH:
        """Returns the tree that `to_arrays` came from.

        Raises:
            SceneError: If an array is missing or has another layout.
        """
        missing = {"nodes", "order", "stack_size"} - set(arrays)
        if missing:
            raise SceneError(f"A saved BVH lacks the arrays {sorted(missing)}; bake the scene again.")
        nodes = np.ascontiguousarray(arrays["nodes"])
        if nodes.dtype != np.uint32 or nodes.ndim != 2 or nodes.shape[1] != NODE_WORDS:
            raise SceneError(
                f"BVH nodes are {nodes.dtype} {nodes.shape}; expected uint32 [M, {NODE_WORDS}]. Bake the scene again."
            )
        return BVH(nodes, np.ascontiguousarray(arrays["order"], np.int32), int(arrays["stack_size"][0]))


def build_bvh(triangles: np.ndarray, leaf_size: int = MAX_LEAF) -> BVH:
    """Builds the tree of a scene's triangles; keeps zero-area and repeated ones.

    Args:
        triangles: float32 `[T, 3, 3]`, metres.
        leaf_size: Most triangles in a leaf, 1 to 3.

    Raises:
        SceneError: For a wrong shape, NaN or infinite corners, or more than 2^27 triangles.
    """
    triangles = np.ascontiguousarray(triangles, np.float32)
    _check(triangles, leaf_size)
    if not len(triangles):
        return BVH(empty_root(), np.zeros(0, np.int32), 1)
    tree = build_binary(triangles, leaf_size, traversal_cost=1.0)
    members = _fold(tree)
    first, order = _lay_out_triangles(tree, members)
    margin = np.float32(BOX_MARGIN * np.abs(triangles).max())
    nodes = _pack(tree, members, first, margin)
    return BVH(nodes, order, _stack_size(tree, members))


def _check(triangles: np.ndarray, leaf_size: int) -> None:
    if triangles.ndim != 3 or triangles.shape[1:] != (3, 3):
        raise SceneError(f"build_bvh got triangles of shape {triangles.shape}; expected [T, 3, 3].")
    if not np.isfinite(triangles).all():
        raise SceneError("build_bvh got triangles with NaN or infinite corners; repair the mesh first.")
    if len(triangles) >= MAX_TRIANGLES:
        raise SceneError(f"build_bvh got {len(triangles)} triangles; a scene holds fewer than {MAX_TRIANGLES}.")
    if not 1 <= leaf_size <= MAX_LEAF:
        raise SceneError(f"leaf_size is {leaf_size}; expected 1 to {MAX_LEAF}.")


def _fold(tree: BinaryTree) -> np.ndarray:
    """Chooses the binary nodes that become the children of each wide node: int64 `[W, 4]`, -1 = none, inner ones first.

    Wide nodes are in breadth-first order: the n-th inner member, counted row by row, becomes wide node n + 1.
    """
    area = half_area(tree.box.astype(np.float64))
    parents = np.zeros(1, np.int64)
    levels = []
    while len(parents):
        members = _open_largest(tree, area, parents)
        kind = np.where(members < 0, 2, np.where(_is_inner(tree, members), 0, 1))
        members = np.take_along_axis(members, np.argsort(kind, 1, kind="stable"), 1)
        levels.append(members)
        parents = members[_is_inner(tree, members)]
    return np.concatenate(levels)


def _is_inner(tree: BinaryTree, members: np.ndarray) -> np.ndarray:
    return (members >= 0) & (tree.child[members] > 0)


def _open_largest(tree: BinaryTree, area: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Returns the members `[P, 4]` of the wide nodes that `parents` become.

    Replaces the inner member of the largest area by its two children until all four slots are full. A root that is a
    leaf becomes its own only member.
    """
    members = np.full((len(parents), WIDTH), -1, np.int64)
    members[:, 0] = parents
    rows = np.arange(len(parents))
    for slot in range(1, WIDTH):
        openable = _is_inner(tree, members)
        worth = np.where(openable, area[members], -1.0)
        chosen = np.argmax(worth, 1)
        opened = members[rows, chosen]
        can = openable[rows, chosen]
        members[rows[can], chosen[can]] = tree.child[opened[can]]
        members[rows[can], slot] = tree.child[opened[can]] + 1
    return members


def _lay_out_triangles(tree: BinaryTree, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orders triangles so that those of each wide node's leaves are adjacent.

    Returns `first` int64 `[W]`, where those of each wide node begin, and the new order, int32 `[T]`.
    """
    is_leaf = (members >= 0) & ~_is_inner(tree, members)
    count = np.where(is_leaf, tree.count[members], 0)
    # Sorting wide nodes by the binary tree's order keeps neighbours in space near each other in memory.
    begin = np.where(members >= 0, tree.first[members], len(tree.order)).min(1)
    by_place = np.argsort(begin, kind="stable")
    held = count.sum(1)
    first = np.empty(len(members), np.int64)
    first[by_place] = np.cumsum(held[by_place]) - held[by_place]
    leaf, leaf_count = tree.first[members][by_place][is_leaf[by_place]], count[by_place][is_leaf[by_place]]
    return first, tree.order[runs(leaf, leaf_count)]


def _pack(tree: BinaryTree, members: np.ndarray, first: np.ndarray, margin: np.float32) -> np.ndarray:
    """Returns the words of all wide nodes, `[W, 12]`."""
    present = members >= 0
    box = tree.box[members].astype(np.float64)
    low = np.where(present[..., None], box[..., :3] - margin, np.inf)
    high = np.where(present[..., None], margin - box[..., 3:], -np.inf)
    origin = _round_down(low.min(1))
    exponent = _grid_exponent(high.max(1) - origin)
    step = np.ldexp(1.0, exponent - 127)
    grid_low = np.floor((low - origin[:, None]) / step[:, None])
    grid_high = np.ceil((high - origin[:, None]) / step[:, None])
    grid_low[~present], grid_high[~present] = 255, 0
    inner = _is_inner(tree, members)
    kind = np.where(present & ~inner, tree.count[members], 0)
    kinds = (kind << (2 * np.arange(WIDTH))).sum(1)
    nodes = np.zeros((len(members), NODE_WORDS), np.uint32)
    nodes[:, 0:3] = origin.view(np.uint32)
    nodes[:, 3] = _bytes_to_word(np.concatenate([exponent, kinds[:, None]], 1))
    nodes[:, 4:7] = _bytes_to_word(grid_low.swapaxes(1, 2))
    nodes[:, 7:10] = _bytes_to_word(grid_high.swapaxes(1, 2))
    nodes[:, 10] = 1 + np.cumsum(inner.sum(1)) - inner.sum(1)
    nodes[:, 11] = first
    return nodes


def _round_down(values: np.ndarray) -> np.ndarray:
    """Returns the largest float32 not above each float64."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _grid_exponent(extent: np.ndarray) -> np.ndarray:
    """Returns the exponent bits of the smallest power of two with 255 steps at least `extent` (float64 `[..., 3]`)."""
    exponent = np.ceil(np.log2(np.maximum(extent, 1e-38) / 255)).astype(np.int64)
    exponent += np.ldexp(255.0, exponent) < extent
    return np.clip(exponent + 127, 1, 254)


def _bytes_to_word(values: np.ndarray) -> np.ndarray:
    """Packs four numbers 0 to 255 in the last axis into one uint32, the first in the lowest byte."""
    return (values.astype(np.uint32) << np.array([0, 8, 16, 24], np.uint32)).sum(-1, dtype=np.uint32)


def empty_root() -> np.ndarray:
    """Returns a root without children, `[1, 12]`."""
    nodes = np.zeros((1, NODE_WORDS), np.uint32)
    nodes[:, 3] = 0x7F7F7F  # steps of 1 m
    nodes[:, 4:7] = 0xFFFFFFFF
    return nodes


def _stack_size(tree: BinaryTree, members: np.ndarray) -> int:
    """Returns the largest number of siblings left on the stack on the way down, for any order of visits."""
    inner = _is_inner(tree, members).sum(1)
    waiting = (members >= 0).sum(1) - 1
    first, last = 0, 1
    while last < len(members):  # nodes lie in breadth-first order: one level at a time
        children = int(inner[first:last].sum())
        waiting[last : last + children] += np.repeat(waiting[first:last], inner[first:last])
        first, last = last, last + children
    return max(1, int(waiting.max()))
