"""The node hierarchy of a glTF file: where each mesh is placed, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.gltf.accessors import Accessors
from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.header import Instancing, Node, extension

_MAX_NODES = 1 << 22
_INSTANCING = "EXT_mesh_gpu_instancing"


@dataclass(frozen=True)
class Placement:
    """A node that shows a mesh.

    `transforms` float64 `[N, 4, 4]`, one for each instance, lead to the scene's space; `joints` float64 `[J, 4, 4]` do
    so for the vertices of a mesh with a skin, whose node's own transform has no effect.
    """

    index: int
    node: Node
    transforms: np.ndarray
    joints: np.ndarray | None = None


def placements(container: Container, accessors: Accessors) -> Iterator[Placement]:
    """Yields the nodes with a mesh, in the order of the hierarchy.

    Raises:
        SceneError: If a node is its own descendant or is used twice.
    """
    header = container.header
    found = _transforms(container)
    for index, (transform, is_visible) in found.items():
        node = header.nodes[index]
        if node.mesh is None or not is_visible:
            continue
        if node.skin is not None:
            yield Placement(index, node, np.eye(4)[None], _joints(container, accessors, node.skin, found))
            continue
        instancing = extension(node.extensions, _INSTANCING, Instancing)
        local = np.eye(4)[None] if instancing is None else _instances(container, accessors, instancing)
        yield Placement(index, node, transform @ local)


def _transforms(container: Container) -> dict[int, tuple[np.ndarray, bool]]:
    """The transform of each node to the scene's space, and whether it is visible, in the order of the hierarchy."""
    header = container.header
    waiting = [(index, np.eye(4), True) for index in reversed(_roots(container))]
    found: dict[int, tuple[np.ndarray, bool]] = {}
    while waiting:
        index, above, is_visible = waiting.pop()
        if index in found or len(found) > _MAX_NODES:
            raise SceneError(f"{container.path}: damaged: node {index} has more than one parent, or is its own.")
        node = header.nodes[index]
        transform, is_visible = above @ _local(node), is_visible and _is_visible(node)
        found[index] = transform, is_visible
        waiting += [(child, transform, is_visible) for child in reversed(node.children)]
    return found


def _joints(
    container: Container, accessors: Accessors, index: int, found: dict[int, tuple[np.ndarray, bool]]
) -> np.ndarray:
    """What the joints of a skin do to vertices in the resting pose, float64 `[J, 4, 4]`."""
    skin = container.header.skins[index]
    missing = [joint for joint in skin.joints if joint not in found]
    if missing or not skin.joints:
        raise SceneError(f"{container.path}: damaged: skin {index} uses nodes {missing} outside the scene.")
    placed = np.stack([found[joint][0] for joint in skin.joints])
    if skin.inverseBindMatrices is None:
        return placed
    inverse = accessors.floats(skin.inverseBindMatrices)
    if inverse.shape[1] != 16 or len(inverse) < len(placed):
        raise SceneError(f"{container.path}: damaged: skin {index} needs a matrix for each of its joints.")
    return placed @ inverse[: len(placed)].reshape(-1, 4, 4).swapaxes(1, 2)  # stored column by column


def _roots(container: Container) -> list[int]:
    header = container.header
    if header.scenes:
        chosen = header.scenes[header.scene or 0].nodes
        return list(dict.fromkeys(chosen))
    children = {child for node in header.nodes for child in node.children}
    return [index for index in range(len(header.nodes)) if index not in children]


def _is_visible(node: Node) -> bool:
    found = node.extensions.get("KHR_node_visibility", {})
    return not isinstance(found, dict) or found.get("visible", True) is not False


def _local(node: Node) -> np.ndarray:
    """A node's own transform."""
    if node.matrix is not None:
        return np.array(node.matrix).reshape(4, 4).T  # column by column
    return _from_trs(
        np.array([node.translation or (0.0, 0.0, 0.0)]),
        np.array([node.rotation or (0.0, 0.0, 0.0, 1.0)]),
        np.array([node.scale or (1.0, 1.0, 1.0)]),
    )[0]


def _instances(container: Container, accessors: Accessors, instancing: Instancing) -> np.ndarray:
    """The transforms of EXT_mesh_gpu_instancing; without attributes there is one instance, the node itself."""
    found = {name: accessors.floats(index) for name, index in instancing.attributes.items() if not name.startswith("_")}
    counts = {len(values) for values in found.values()}
    if len(counts) > 1:
        raise SceneError(f"{container.path}: damaged: instancing attributes of different lengths {sorted(counts)}.")
    count = counts.pop() if counts else 1
    defaults = {"TRANSLATION": [0.0, 0.0, 0.0], "ROTATION": [0.0, 0.0, 0.0, 1.0], "SCALE": [1.0, 1.0, 1.0]}
    parts = [found.get(name, np.tile(np.array(value), (count, 1))) for name, value in defaults.items()]
    if any(part.shape[1] != len(value) for part, value in zip(parts, defaults.values(), strict=True)):
        raise SceneError(f"{container.path}: damaged: an instancing attribute has a wrong number of components.")
    return _from_trs(*(part.astype(np.float64) for part in parts))


def _from_trs(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Matrices `[N, 4, 4]` from translations, quaternions x y z w, and scales."""
    length = np.linalg.norm(rotation, axis=1, keepdims=True)
    x, y, z, w = (rotation / np.where(length > 0, length, 1)).T
    w = np.where(length[:, 0] > 0, w, 1.0)
    matrix = np.tile(np.eye(4), (len(translation), 1, 1))
    matrix[:, :3, :3] = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
        ],
        1,
    )
    matrix[:, :3, :3] *= scale[:, None, :]
    matrix[:, :3, 3] = translation
    return matrix
