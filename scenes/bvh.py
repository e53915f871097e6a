"""The bounding volume hierarchy of a scene's triangles: four children a node, child boxes in 8 bits, 64 bytes a node.

A binary tree (`scenes.bvh_binary`) is folded into one of four children a node, each node's largest boxes first, and
the child boxes are rounded outwards to a 255-step grid over their parent, as in Ylitie, Karras and Laine, *Efficient
Incoherent Ray Traversal on GPUs Through Compressed Wide BVHs* (HPG 2017). One node is one half of a GPU cache line.

A node is sixteen 32-bit words:

| word | meaning |
| --- | --- |
| 0-2 | the grid's origin x, y, z, float32 metres |
| 3 | the grid's step in x, y, z: a byte each, the exponent bits of a float32 power of two |
| 4-6 | low x, y, z of the four children, child k in byte k: metres = origin + byte * step |
| 7-9 | high x, y, z of the four children |
| 10, 11 | unused, 0 |
| 12-15 | child k: the number of an inner node, or `LEAF | count << COUNT_SHIFT | first triangle`; count 0 = no child |

Triangle numbers are positions in `BVH.order`. A missing child has low > high, so that no ray enters it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scenes.bvh_binary import BinaryTree, build_binary, half_area
from scenes.errors import SceneError

WIDTH = 4
NODE_WORDS = 16
LEAF = np.uint32(1 << 31)
COUNT_SHIFT = 27
MAX_LEAF = 15
MAX_TRIANGLES = 1 << COUNT_SHIFT

LAYOUT_VERSION = 1
"""Part of a baked scene's cache key: raise it when the words of a node change their meaning."""

BOX_MARGIN = 1e-6
"""Boxes are widened by this share of the largest coordinate: more than float32 rounding of a ray's slab test."""


@dataclass(frozen=True)
class BVH:
    """A tree laid out for the shader.

    - `nodes`: uint32 `[M, 16]`, see the module's table; node 0 is the root and M >= 1.
    - `order`: int32 `[T]`, the triangles in the order in which leaves refer to them.
    - `stack_size`: the most children that wait on a traversal's stack at once, if every box is hit.
    """

    nodes: np.ndarray
    order: np.ndarray
    stack_size: int

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Named arrays for saving; `from_arrays` is the inverse."""
        return {"nodes": self.nodes, "order": self.order, "stack_size": np.array([self.stack_size], np.int32)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> BVH:
        """The tree that `to_arrays` came from. Raises SceneError when an array is missing or has another layout."""
        missing = {"nodes", "order", "stack_size"} - set(arrays)
        if missing:
            raise SceneError(f"A saved BVH lacks the arrays {sorted(missing)}; bake the scene again.")
        nodes = np.ascontiguousarray(arrays["nodes"])
        if nodes.dtype != np.uint32 or nodes.ndim != 2 or nodes.shape[1] != NODE_WORDS:
            raise SceneError(
                f"BVH nodes are {nodes.dtype} {nodes.shape}; expected uint32 [M, {NODE_WORDS}]. Bake the scene again."
            )
        return BVH(nodes, np.ascontiguousarray(arrays["order"], np.int32), int(arrays["stack_size"][0]))


def build_bvh(triangles: np.ndarray, leaf_size: int = 4) -> BVH:
    """Build the tree of float32 triangles `[T, 3, 3]` (metres); leaves hold at most `leaf_size` (1 to 15).

    Zero-area and repeated triangles are kept. Raises SceneError for a wrong shape, NaN or infinite corners, or more
    than 2^27 triangles.
    """
    triangles = np.ascontiguousarray(triangles, np.float32)
    _check(triangles, leaf_size)
    if not len(triangles):
        return BVH(_empty_nodes(1), np.zeros(0, np.int32), 1)
    tree = build_binary(triangles, leaf_size, traversal_cost=1.0)
    members, inner_number = _fold(tree)
    margin = np.float32(BOX_MARGIN * np.abs(triangles).max())
    nodes = _pack(tree, members, inner_number, margin)
    return BVH(nodes, tree.order, _stack_size(nodes))


def _check(triangles: np.ndarray, leaf_size: int) -> None:
    if triangles.ndim != 3 or triangles.shape[1:] != (3, 3):
        raise SceneError(f"build_bvh got triangles of shape {triangles.shape}; expected [T, 3, 3].")
    if not np.isfinite(triangles).all():
        raise SceneError("build_bvh got triangles with NaN or infinite corners; repair the mesh first.")
    if len(triangles) >= MAX_TRIANGLES:
        raise SceneError(f"build_bvh got {len(triangles)} triangles; a scene holds fewer than {MAX_TRIANGLES}.")
    if not 1 <= leaf_size <= MAX_LEAF:
        raise SceneError(f"leaf_size is {leaf_size}; expected 1 to {MAX_LEAF}.")


def _fold(tree: BinaryTree) -> tuple[np.ndarray, np.ndarray]:
    """Binary nodes that become the children of each wide node.

    Returns `members` int64 `[W, 4]`, binary nodes (-1 = none) of each wide node in breadth-first order, and
    `inner_number` `[W, 4]`, the wide node that a member becomes (0 for leaves and for none).
    """
    area = half_area(tree.box.astype(np.float64))
    parents = np.zeros(1, np.int64)
    all_members, all_numbers, made = [], [], 1
    while len(parents):
        members = _open_largest(tree, area, parents)
        is_inner = (members >= 0) & (tree.child[members] > 0)
        numbers = np.zeros(members.shape, np.int64)
        numbers[is_inner] = made + np.arange(is_inner.sum())
        made += int(is_inner.sum())
        all_members.append(members)
        all_numbers.append(numbers)
        parents = members[is_inner]
    return np.concatenate(all_members), np.concatenate(all_numbers)


def _open_largest(tree: BinaryTree, area: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Members `[P, 4]` of the wide nodes that `parents` become: the inner member of the largest area is replaced by
    its two children until four slots are full. A root that is a leaf becomes its own only member."""
    members = np.full((len(parents), WIDTH), -1, np.int64)
    members[:, 0] = parents
    rows = np.arange(len(parents))
    for slot in range(1, WIDTH):
        openable = (members >= 0) & (tree.child[members] > 0)
        worth = np.where(openable, area[members], -1.0)
        chosen = np.argmax(worth, 1)
        opened = members[rows, chosen]
        can = openable[rows, chosen]
        members[rows[can], chosen[can]] = tree.child[opened[can]]
        members[rows[can], slot] = tree.child[opened[can]] + 1
    return members


def _pack(tree: BinaryTree, members: np.ndarray, inner_number: np.ndarray, margin: np.float32) -> np.ndarray:
    """The words of all wide nodes, `[W, 16]`."""
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
    nodes = _empty_nodes(len(members))
    nodes[:, 0:3] = origin.view(np.uint32)
    nodes[:, 3] = _bytes_to_word(np.pad(exponent, ((0, 0), (0, 1))))
    nodes[:, 4:7] = _bytes_to_word(grid_low.swapaxes(1, 2))
    nodes[:, 7:10] = _bytes_to_word(grid_high.swapaxes(1, 2))
    leaf = LEAF | (tree.count[members].astype(np.uint32) << COUNT_SHIFT) | tree.first[members].astype(np.uint32)
    child = np.where(inner_number > 0, inner_number.astype(np.uint32), leaf)
    nodes[:, 12:16] = np.where(present, child, LEAF)
    return nodes


def _round_down(values: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _grid_exponent(extent: np.ndarray) -> np.ndarray:
    """Exponent bits of the smallest power of two of which 255 steps span each extent (float64 `[..., 3]`)."""
    exponent = np.ceil(np.log2(np.maximum(extent, 1e-38) / 255)).astype(np.int64)
    exponent += np.ldexp(255.0, exponent) < extent
    return np.clip(exponent + 127, 1, 254)


def _bytes_to_word(values: np.ndarray) -> np.ndarray:
    """Four numbers 0 to 255 in the last axis -> one uint32, the first in the lowest byte."""
    return (values.astype(np.uint32) << np.array([0, 8, 16, 24], np.uint32)).sum(-1, dtype=np.uint32)


def _empty_nodes(count: int) -> np.ndarray:
    """Nodes without children."""
    nodes = np.zeros((count, NODE_WORDS), np.uint32)
    nodes[:, 3] = 0x7F7F7F  # steps of 1 m
    nodes[:, 4:7] = 0xFFFFFFFF
    nodes[:, 12:16] = LEAF
    return nodes


def _stack_size(nodes: np.ndarray) -> int:
    """The most children that wait at once, whatever the order of visits: siblings left behind on the way down."""
    children = nodes[:, 12:16]
    is_inner = children < LEAF
    siblings = (children != LEAF).sum(1) - 1
    waiting = np.zeros(len(nodes), np.int64)
    first, last = 0, 1
    while first < last:  # nodes lie in breadth-first order: one level at a time
        waiting[first:last] += siblings[first:last]
        inner = is_inner[first:last]
        below = children[first:last][inner]
        waiting[below] = np.repeat(waiting[first:last], inner.sum(1))
        first, last = last, last + len(below)
    return max(1, int(waiting.max()))
