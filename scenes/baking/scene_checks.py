"""Checks the arrays of a scene file: shaders and look-ups index by them, and would crash or hang instead of raising.

Every check raises ValueError. What passes cannot lead out of an array, loop, or bring NaN into an observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bvh import BOX_MARGIN, MAX_TRIANGLES, NODE_WORDS, WIDTH
from batchsim.scenes.mesh import NO_TEXTURE, Material
from batchsim.scenes.walking.walkable import Walkable

MAX_TREE_DEPTH = 80
"""`build_bvh` gives less than `bvh_binary.BALANCED_BELOW` + 27 levels."""
MAX_TEXTURE_SIDE = 1 << 14

_INFINITY = np.float16(np.inf).view(np.uint16)


def check_layout(arrays: Mapping[str, np.ndarray]) -> None:
    """Checks the type and shape of the arrays that do not belong to a part of their own."""
    triangles, cells = len(arrays["triangles"]), len(arrays["walkable.heights"])
    goals = len(arrays["goals"])
    expected = {
        "triangles": (np.float32, (triangles, 3, 3)),
        "uvs": (np.float32, (triangles, 3, 2)),
        "materials": (np.int32, (triangles,)),
        "labels": (np.int32, (triangles,)),
        "instances": (np.int32, (triangles,)),
        "goals": (np.float32, (goals, 3)),
        "goal_distances": (np.float16, (goals, cells)),
        "bvh.nodes": (np.uint32, (len(arrays["bvh.nodes"]), NODE_WORDS)),
        "bvh.order": (np.int32, (triangles,)),
        "bvh.stack_size": (np.int32, (1,)),
        "walkable.origin": (np.float32, (2,)),
        "walkable.cell_size": (np.float64, (1,)),
        "walkable.heights": (np.float32, (cells,)),
        "walkable.islands": (np.int32, (cells,)),
        "walkable.index": (np.int32, arrays["walkable.index"].shape),
        "walkable.body": (np.float64, (4,)),
    }
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if arrays["walkable.index"].ndim != 3 or not arrays["walkable.index"].size:
        raise ValueError(f"walkable.index has shape {arrays['walkable.index'].shape}, expected (L, rows, cols)")
    if not cells:
        raise ValueError("there are no walkable cells")


def check_triangles(
    arrays: Mapping[str, np.ndarray], materials: Sequence[Material], textures: Sequence[np.ndarray], num_labels: int
) -> None:
    """Checks triangles, their indices, materials and textures."""
    triangles = arrays["triangles"]
    if not 0 < len(triangles) < MAX_TRIANGLES:
        raise ValueError(f"there are {len(triangles)} triangles, expected 1 to {MAX_TRIANGLES - 1}")
    for name in ("triangles", "uvs"):
        _check_finite(name, arrays[name])
    _check_range("materials", arrays["materials"], len(materials))
    _check_range("labels", arrays["labels"], num_labels)
    if any(not NO_TEXTURE <= material.texture < len(textures) for material in materials):
        raise ValueError("a material points outside the textures")
    for texture in textures:
        if texture.dtype != np.uint8 or texture.ndim != 3 or texture.shape[2] != 3:
            raise ValueError(f"a texture is {texture.dtype} {texture.shape}, expected uint8 (height, width, 3)")
        if not 1 <= min(texture.shape[:2]) <= max(texture.shape[:2]) <= MAX_TEXTURE_SIDE:
            raise ValueError(f"a texture has {texture.shape[1]} x {texture.shape[0]} pixels")


def check_tree(nodes: np.ndarray, order: np.ndarray, stack_size: int, triangles: np.ndarray) -> None:
    """Checks that `nodes` are a tree over all triangles in the layout of `bvh`, and that the stack is large enough."""
    low, high, count = _unpacked_nodes(nodes)
    missing = (count == 0) & (low == 255).all(-1) & (high == 0).all(-1)
    inner = (count == 0) & ~missing
    kind = np.where(inner, 0, np.where(missing, 2, 1))
    if (np.diff(kind, axis=1) < 0).any() or ((low > high).any(-1) & ~missing).any():
        raise ValueError("the children of a tree node are in the wrong order, or have an empty box")
    num_inner = inner.sum(1)
    if not len(nodes) or num_inner.sum() != len(nodes) - 1:
        raise ValueError(f"the tree has {len(nodes)} nodes, but {num_inner.sum()} are children of another")
    used = num_inner > 0
    if (nodes[used, 10] != (1 + np.cumsum(num_inner) - num_inner)[used]).any():
        raise ValueError("a tree node points to the wrong children")
    _check_leaves(nodes[:, 11].astype(np.int64), count.sum(1), len(triangles))
    _check_range("bvh.order", order, len(triangles))
    if (np.bincount(order, minlength=len(triangles)) != 1).any():
        raise ValueError("bvh.order does not contain every triangle once")
    _check_boxes(nodes, triangles)
    if stack_size != _stack_size(num_inner, WIDTH - missing.sum(1) - 1):
        raise ValueError(f"the stack size of the tree is {stack_size}, which does not fit its nodes")


def check_walkable(walkable: Walkable, body: AgentBody) -> None:
    """Checks the walkable surface; its cells must be those of `index` (see `Walkable.from_arrays`)."""
    for name in ("origin", "heights"):
        _check_finite(f"walkable.{name}", getattr(walkable, name))
    if not 1e-3 <= walkable.cell_size <= 1e3:
        raise ValueError(f"walkable.cell_size is {walkable.cell_size} m")
    valid = 0 <= body.radius <= 100 and 0 < 2 * body.max_step <= body.height <= 1000 and 0 <= body.max_slope < 90
    if walkable.body != body or not valid:
        raise ValueError(f"{body} is not a valid body, or not that of the walkable surface")
    islands = walkable.islands
    _check_range("walkable.islands", islands, len(islands))
    if not np.bincount(islands).all():
        raise ValueError("walkable.islands are not numbered without gaps")
    joined = walkable.neighbors >= 0
    if (islands[walkable.neighbors][joined] != np.broadcast_to(islands[:, None], joined.shape)[joined]).any():
        raise ValueError("neighbouring cells are on different islands")


def check_goals(walkable: Walkable, goals: np.ndarray, distances: np.ndarray) -> None:
    """Checks goals and the distances to them."""
    _check_finite("goals", goals)
    cells = walkable.locate(goals)
    if (cells < 0).any():
        raise ValueError("a goal is not on walkable floor")
    check_distances("goal_distances", distances)
    if (np.isfinite(distances) & (walkable.islands[cells][:, None] != walkable.islands)).any():
        raise ValueError("goal_distances lead from one island to another")
    if not np.isfinite(distances[np.arange(len(goals)), cells]).all():
        raise ValueError("goal_distances are infinite at a goal")


def check_distances(name: str, distances: np.ndarray) -> None:
    """Checks that float16 distances are at least 0, or inf, but not NaN: the sign is clear and bits rise up to inf."""
    if distances.dtype != np.float16 or (distances.view(np.uint16) > _INFINITY).any():
        raise ValueError(f"{name} holds negative distances or NaN")


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite numbers")


def _check_range(name: str, array: np.ndarray, end: int) -> None:
    if len(array) and not 0 <= array.min() <= array.max() < end:
        raise ValueError(f"{name} runs from {array.min()} to {array.max()}, expected 0 to {end - 1}")


def _unpacked_nodes(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns low and high corners of the children, `[M, 4, 3]` in steps of the grid, and their triangles `[M, 4]`."""
    shifts = np.arange(WIDTH, dtype=np.uint32) * 8
    low = (nodes[:, 4:7, None] >> shifts & 255).swapaxes(1, 2)
    high = (nodes[:, 7:10, None] >> shifts & 255).swapaxes(1, 2)
    count = nodes[:, 3:4] >> (24 + np.arange(WIDTH, dtype=np.uint32) * 2) & 3
    return low, high, count.astype(np.int64)


def _check_leaves(first: np.ndarray, held: np.ndarray, num_triangles: int) -> None:
    """Checks that the runs of triangles from `first` cover all triangles once."""
    used = held > 0
    by_place = np.argsort(first[used], kind="stable")
    first, held = first[used][by_place], held[used][by_place]
    if held.sum() != num_triangles or (first != np.cumsum(held) - held).any():
        raise ValueError("the leaves of the tree do not hold every triangle once")


def _check_boxes(nodes: np.ndarray, triangles: np.ndarray) -> None:
    """Checks the grids of nodes: a missing child is only skipped if its box is empty by more than rounding errors."""
    _check_finite("bvh.nodes", np.ascontiguousarray(nodes[:, :3]).view(np.float32))
    exponent = (nodes[:, 3:4] >> (np.arange(3, dtype=np.uint32) * 8) & 255).astype(np.int64)
    extent = np.ldexp(255.0, exponent - 127)
    if not ((exponent >= 1) & (exponent <= 254)).all() or extent.min() < BOX_MARGIN * np.abs(triangles).max():
        raise ValueError("the boxes of a tree node have a step that cannot be")


def _stack_size(num_inner: np.ndarray, siblings: np.ndarray) -> int:
    """Returns `BVH.stack_size` of nodes `[M]` in breadth-first order, with `siblings` = number of children - 1."""
    waiting = siblings.astype(np.int64)
    first, last = 0, 1
    for _ in range(MAX_TREE_DEPTH):
        if last >= len(waiting):
            return max(1, int(waiting.max()))
        children = int(num_inner[first:last].sum())
        waiting[last : last + children] += np.repeat(waiting[first:last], num_inner[first:last])
        first, last = last, last + children
    raise ValueError(f"the tree is deeper than {MAX_TREE_DEPTH} levels")
