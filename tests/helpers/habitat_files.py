"""Writes small datasets as Habitat stores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from tests.helpers.gltf_builder import GltfBuilder

Z_TO_Y = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)


def write_json(path: Path, value: Any) -> Path:
    """Writes a JSON file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_box(path: Path, size: tuple[float, float, float], middle: tuple[float, float, float] = (0, 0, 0)) -> Path:
    """Writes a .glb with one box, whose faces look outwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box(size, trimesh.transformations.translation_matrix(middle)).export(path)
    return path


def room_triangles(width: float, depth: float, height: float) -> np.ndarray:
    """Floor, ceiling and walls around the origin, float64 `[12, 3, 3]`, y up, seen from inside."""
    box = trimesh.creation.box((width, height, depth), trimesh.transformations.translation_matrix((0, height / 2, 0)))
    return np.asarray(box.triangles)[:, ::-1]


def write_triangles(path: Path, triangles: np.ndarray, colors: np.ndarray | None = None) -> Path:
    """Writes a .glb of triangles `[T, 3, 3]`; `colors`: linear, float `[T, 3]`, one for each triangle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    built = GltfBuilder()
    corners = triangles.reshape(-1, 3).astype(np.float32)
    attributes = {"POSITION": built.accessor(corners)}
    if colors is not None:
        attributes["COLOR_0"] = built.accessor(np.repeat(colors, 3, 0).astype(np.float32))
    built.mesh(attributes, "mesh", indices=built.accessor(np.arange(len(corners), dtype=np.uint32)))
    return built.write(path)


def floor_tiles() -> np.ndarray:
    """Two squares of 2 x 2 m side by side along x, 5 cm above y = 0, each of two triangles, `[4, 3, 3]`, y up."""
    square = np.array([[[0, 0.05, 0], [0, 0.05, 2], [2, 0.05, 2]], [[0, 0.05, 0], [2, 0.05, 2], [2, 0.05, 0]]])
    return np.concatenate([square, square + np.array([2.0, 0, 0])])
