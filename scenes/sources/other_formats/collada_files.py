"""What is checked of a COLLADA file before trimesh reads it: document type, images, and how often meshes are placed."""

from __future__ import annotations

import xml.parsers.expat
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.surfaces.images import decode_image
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import check_count

_TO_Y_UP = {
    "Z_UP": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64),
    "X_UP": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float64),
}

_MAX_NODES = 100_000


def collada_files(files: SourceFiles) -> None:
    """Finds the images that a COLLADA file refers to; `SceneError` if one may not be read."""
    images = ColladaImages(files)
    for image in open_collada(files.path).images:
        images.find(image.path)


def open_collada(path: Path) -> Any:
    """Returns the parsed file (`collada.Collada`).

    Raises:
        SceneError: If pycollada is not installed, the file has a document type, or too many triangles once its nodes
            are placed.
    """
    if find_spec("collada") is None:
        raise SceneError(f"{path}: .dae files need pycollada: pip install 'batchsim[dae]'.")
    import collada

    _refuse_document_type(path)
    parsed = collada.Collada(str(path), ignore=[collada.common.DaeError])
    counts: dict[int, tuple[int, int]] = {}
    placed = [_count(node, counts) for node in getattr(parsed.scene, "nodes", ())]
    check_count(path, sum(triangles for triangles, _ in placed))
    if (nodes := sum(nodes for _, nodes in placed)) > _MAX_NODES:
        raise SceneError(f"{path}: places {nodes:,} nodes; at most {_MAX_NODES:,} can be used.")
    return parsed


def to_metres_with_y_up(parsed: Any) -> np.ndarray:
    """The transform float64 `[4, 4]` from a file's axes and unit, which trimesh leaves as they are."""
    frame = np.eye(4)
    turn = _TO_Y_UP.get(str(parsed.assetInfo.upaxis), np.eye(3))
    frame[:3, :3] = turn * float(parsed.assetInfo.unitmeter or 1.0)
    return frame


class ColladaImages:
    """Gives trimesh the images it asks for; it has the methods of `trimesh.resolvers.Resolver` that trimesh calls.

    Attributes:
        error: The first reason why an image could not be used. trimesh itself goes on without it.
    """

    def __init__(self, files: SourceFiles) -> None:
        self._files = files
        self.error: SceneError | None = None

    def find(self, name: str) -> Path | None:
        """Returns the file of an image, None if there is none; `SceneError` if it may not be read."""
        return self._files.find(unquote(name.removeprefix("file://")), by_name_alone=True)

    def get(self, name: str) -> bytes:
        """Returns the bytes of an image that can be decoded."""
        try:
            found = self.find(name)
            if found is None:
                raise FileNotFoundError(name)
            data = found.read_bytes()
            decode_image(data, str(found))
            return data
        except SceneError as error:
            self.error = self.error or error
            raise


def _refuse_document_type(path: Path) -> None:
    """Raises `SceneError` if an XML file declares entities, which may multiply or name other files."""

    class Root(Exception):
        pass

    def root(*_: object) -> None:
        raise Root

    def document_type(*_: object) -> None:
        raise SceneError(f"{path}: has a document type (<!DOCTYPE ...>), which is not read. Remove it.")

    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = root, document_type
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except Root:
        pass


def _count(node: Any, counts: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Returns the triangles and the nodes below a node. It may be placed many times, so the result is kept."""
    if id(node) not in counts:
        counts[id(node)] = 0, 0  # for a node inside itself
        geometry = getattr(node, "geometry", None)
        triangles = sum(len(part) for part in geometry.primitives) if geometry is not None else 0
        below = [node.node] if hasattr(node, "node") else getattr(node, "children", ())
        found = [_count(child, counts) for child in below]
        counts[id(node)] = triangles + sum(count for count, _ in found), 1 + sum(count for _, count in found)
    return counts[id(node)]
