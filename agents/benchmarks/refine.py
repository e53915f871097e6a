"""Subdivides a scene: the same images from more triangles, to measure the effect of their number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from batchsim.scenes import Scene
from batchsim.scenes.baking.bvh import build_bvh


def cut_finer(scene: Scene, triangles: int) -> Scene:
    """Split every triangle of `scene` into n x n equal ones, so that there are about `triangles` of them."""
    n = max(1, round((triangles / max(1, len(scene.triangles))) ** 0.5))
    weights = _pieces(n)  # [n * n, 3 corners, 3 weights]
    corners = np.einsum("pcw,twx->tpcx", weights, scene.triangles).reshape(-1, 3, 3).astype(np.float32)
    uvs = np.einsum("pcw,twx->tpcx", weights, scene.uvs).reshape(-1, 3, 2).astype(np.float32)
    bvh = build_bvh(corners)
    source = bvh.order // (n * n)
    return replace(
        scene,
        name=f"{scene.name} in {len(corners):,} triangles",
        triangles=corners[bvh.order],
        uvs=uvs[bvh.order],
        materials=scene.materials[source],
        labels=scene.labels[source],
        bvh=bvh,
    )


def _pieces(n: int) -> np.ndarray:
    """Return barycentric weights float64 `[n * n, 3, 3]` of the corners of the pieces; winding is kept."""
    pieces: list[list[tuple[int, int]]] = []
    for i in range(n):
        for j in range(n - i):
            pieces.append([(i, j), (i + 1, j), (i, j + 1)])
            if i + j < n - 1:
                pieces.append([(i + 1, j), (i + 1, j + 1), (i, j + 1)])
    along = np.array(pieces, np.float64) / n
    return np.concatenate([1 - along.sum(-1, keepdims=True), along], -1)
