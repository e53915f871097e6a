"""glTF files (.gltf, .glb) to surfaces: here a .glb becomes triangles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.gltf.container import Container, external_files
from batchsim.scenes.sources.gltf.extensions import check_extensions
from batchsim.scenes.sources.gltf.nodes import Placement, placements
from batchsim.scenes.sources.gltf.primitives import Primitives, Triangles
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import Surface, check_count


def read_gltf(files: SourceFiles) -> Iterator[Surface]:
    """Yields the surfaces of a glTF file, one for each primitive of each node and instance.

    Raises:
        SceneError: If the file is damaged, requires an extension that is not understood, or has too many triangles.
    """
    container = Container(files)
    check_extensions(container)
    primitives = Primitives(container)
    known: dict[tuple[int, tuple[float, ...]], list[Triangles]] = {}
    count = 0
    try:
        for placement in placements(container, primitives.accessors):
            node = placement.node
            assert node.mesh is not None
            mesh = container.header.meshes[node.mesh]
            weights = node.weights or mesh.weights
            key = node.mesh, tuple(weights)
            if key not in known:
                read = (primitives.read(primitive, weights) for primitive in mesh.primitives)
                known[key] = [triangles for triangles in read if triangles is not None]
            count += len(placement.transforms) * sum(len(triangles.faces) for triangles in known[key])
            check_count(files.path, count)
            yield from _placed(placement, (node.name, mesh.name), known[key])
    except SceneError:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise SceneError(f"{files.path}: its glTF header is damaged ({first_line(error)}).") from error


def gltf_files(files: SourceFiles) -> None:
    """Finds the files that a glTF file refers to, without reading them."""
    buffers, images = external_files(Container(files).header)
    for name in (*buffers, *images):
        if files.search(name) is None:
            files.missing.append(name)


def _placed(placement: Placement, names: tuple[str, str], parts: list[Triangles]) -> Iterator[Surface]:
    for number, transform in enumerate(placement.transforms):
        joints = placement.joints
        mirrored = np.linalg.det((transform if joints is None else joints[0])[:3, :3]) < 0
        for part in parts:
            # A mirrored node would show its back faces.
            faces = part.faces[:, ::-1] if mirrored else part.faces
            if joints is not None and part.joints is not None:
                corners = _skinned(part, joints)
            else:
                corners = part.positions.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
            yield Surface(
                corners[faces],
                None if part.uvs is None else part.uvs[faces].astype(np.float32),
                part.look.look,
                names,
                (placement.index, number),
                None if part.colors is None else part.colors[faces].mean(1),
            )


def _skinned(part: Triangles, joints: np.ndarray) -> np.ndarray:
    """Positions float64 `[V, 3]` as the joints move them, each by its weight."""
    assert part.joints is not None
    assert part.weights is not None
    if len(part.joints) and not 0 <= int(part.joints.min()) <= int(part.joints.max()) < len(joints):
        raise ValueError("a vertex uses a joint that its skin does not have")
    corners = np.zeros((len(part.positions), 3))
    for joint, weight in zip(part.joints.T, part.weights.T, strict=True):
        matrix = joints[joint]
        moved = np.einsum("vij,vj->vi", matrix[:, :3, :3], part.positions) + matrix[:, :3, 3]
        corners += weight[:, None] * moved
    return corners
