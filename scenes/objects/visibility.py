"""Lines of sight: whether anything but the object looked at lies between two points. Many lines at once, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CHUNK = 16_384
"""Lines handled at once: bounds the memory."""


@dataclass(frozen=True)
class SightLines:
    """The box hierarchy of a scene, unpacked for numpy; triangles in the order of its leaves.

    - `low`, `high`: float32 `[M, 4, 3]`, boxes of the children. `child` int32 `[M, 4]`: an inner child's node, else 0.
    - `first`, `count`: int32 `[M, 4]`, the triangles of a leaf.
    - `corner`, `edge_1`, `edge_2`: float32 `[T, 3]`; `instances` int32 `[T]`.
    """

    low: np.ndarray
    high: np.ndarray
    child: np.ndarray
    first: np.ndarray
    count: np.ndarray
    corner: np.ndarray
    edge_1: np.ndarray
    edge_2: np.ndarray
    instances: np.ndarray

    @staticmethod
    def of(nodes: np.ndarray, triangles: np.ndarray, instances: np.ndarray) -> SightLines:
        """Unpacks `BVH.nodes`, uint32 `[M, 12]`; `triangles` and `instances` are in the order of its leaves."""
        shifts = np.arange(4, dtype=np.uint32) * 8
        step = ((nodes[:, 3:4] >> shifts[:3] & 255) << 23).view(np.float32)[:, None]
        origin = np.ascontiguousarray(nodes[:, 0:3]).view(np.float32)[:, None]
        low = origin + (nodes[:, 4:7, None] >> shifts & 255).astype(np.float32).swapaxes(1, 2) * step
        high = origin + (nodes[:, 7:10, None] >> shifts & 255).astype(np.float32).swapaxes(1, 2) * step
        count = (nodes[:, 3:4] >> (24 + np.arange(4, dtype=np.uint32) * 2) & 3).astype(np.int32)
        inner = (count == 0) & (low <= high).all(-1)
        child = np.where(inner, nodes[:, 10:11].astype(np.int32) + np.cumsum(inner, 1, dtype=np.int32) - 1, 0)
        first = nodes[:, 11:12].astype(np.int32) + np.cumsum(count, 1, dtype=np.int32) - count
        corner = triangles[:, 0]
        edges = triangles[:, 1] - corner, triangles[:, 2] - corner
        return SightLines(low, high, child.astype(np.int32), first, count, corner, *edges, instances)

    def are_free(self, start: np.ndarray, end: np.ndarray, looked_at: np.ndarray, margin: float = 1e-3) -> np.ndarray:
        """Whether the lines from `start` to `end`, float `[R, 3]`, metres, meet no triangle; bool `[R]`.

        Triangles of the instance `looked_at`, int `[R]`, are no obstacle (0 = all triangles are), nor is what lies less
        than `margin` metres before the end.
        """
        start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
        free = np.ones(len(start), bool)
        for begin in range(0, len(start), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            free[part] = self._free(start[part], end[part] - start[part], looked_at[part], margin)
        return free

    def _free(self, start: np.ndarray, way: np.ndarray, looked_at: np.ndarray, margin: float) -> np.ndarray:
        """Walks the tree breadth first, with all pairs of line and node of one level at once."""
        limit = 1 - margin / np.maximum(np.linalg.norm(way, axis=1), 1e-6).astype(np.float32)
        with np.errstate(divide="ignore"):
            inverse = np.where(np.abs(way) > 1e-12, 1 / way, np.float32(1e12))
        free = np.ones(len(start), bool)
        line, node = np.arange(len(start)), np.zeros(len(start), np.int32)
        while len(line):
            near, far = self._overlap(start[line], inverse[line], node)
            met = (near <= far) & (far >= 0) & (near <= limit[line, None])
            row, slot = np.nonzero(met & (self.count[node] > 0))
            self._test_leaves(free, start, way, looked_at, limit, line[row], node[row], slot)
            row, slot = np.nonzero(met & (self.child[node] > 0) & free[line, None])
            line, node = line[row], self.child[node[row], slot]
        return free

    def _overlap(self, start: np.ndarray, inverse: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where lines `[P]` enter and leave the four boxes of their nodes, `[P, 4]` each, in lengths of the line."""
        a = (self.low[node] - start[:, None]) * inverse[:, None]
        b = (self.high[node] - start[:, None]) * inverse[:, None]
        # Missing children have low > high: swapping would make boxes of them, so those are kept out by their count.
        near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
        return near, np.where((self.count[node] > 0) | (self.child[node] > 0), far, -np.inf)

    def _test_leaves(
        self,
        free: np.ndarray,
        start: np.ndarray,
        way: np.ndarray,
        looked_at: np.ndarray,
        limit: np.ndarray,
        line: np.ndarray,
        node: np.ndarray,
        slot: np.ndarray,
    ) -> None:
        """Clears `free` of lines that meet one of the triangles of leaves (`node`, `slot`)."""
        count, first = self.count[node, slot], self.first[node, slot]
        for k in range(int(count.max(initial=0))):
            chosen = count > k
            rays, triangle = line[chosen], first[chosen] + k
            seen = looked_at[rays]
            obstacle = free[rays] & ((seen == 0) | (self.instances[triangle] != seen))
            rays, triangle = rays[obstacle], triangle[obstacle]
            hit = _meets(start[rays], way[rays], limit[rays], self.corner, self.edge_1, self.edge_2, triangle)
            free[rays[hit]] = False


def _meets(start, way, limit, corner, edge_1, edge_2, triangle) -> np.ndarray:
    """Whether lines meet triangles, pair by pair (Moeller and Trumbore 1997), from either side; bool `[P]`."""
    e1, e2 = edge_1[triangle], edge_2[triangle]
    q = np.cross(way, e2)
    det = (e1 * q).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / det
        w = start - corner[triangle]
        u = (w * q).sum(1) * inverse
        r = np.cross(w, e1)
        v = (way * r).sum(1) * inverse
        t = (e2 * r).sum(1) * inverse
        return (det != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < limit)
