"""STL, OFF and COLLADA files to surfaces, read by trimesh."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.other_formats.collada_files import ColladaImages, open_collada, to_metres_with_y_up
from batchsim.scenes.sources.surfaces.color import srgb_to_linear, unit_range
from batchsim.scenes.sources.surfaces.images import MAX_TEXTURE_SIZE
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import PLAIN, Look, Surface, Texture, check_count

TRIMESH_SUFFIXES = (".stl", ".off", ".dae")


def read_with_trimesh(files: SourceFiles) -> Iterator[Surface]:
    """Yields the surfaces of an STL, OFF or COLLADA file.

    Raises:
        SceneError: If the file is damaged, has too many triangles, or needs a package that is not installed.
    """
    path = files.path
    kind = path.suffix.lower()[1:]
    import trimesh

    images = ColladaImages(files)
    try:
        frame = to_metres_with_y_up(open_collada(path)) if kind == "dae" else np.eye(4)
        scene = trimesh.load_scene(path, file_type=kind, process=False, resolver=images)  # type: ignore[arg-type]
        if images.error is not None:
            raise images.error
        placed = [(node, *scene.graph[node]) for node in scene.graph.nodes_geometry]
        check_count(path, sum(len(getattr(scene.geometry[name], "faces", ())) for _, _, name in placed))
        surfaces = [
            _surface(scene.geometry[name], frame @ transform, node, str(name))
            for node, transform, name in placed
            if isinstance(scene.geometry[name], trimesh.Trimesh) and len(scene.geometry[name].faces)
        ]
    except SceneError:
        raise
    except Exception as error:
        # trimesh raises exceptions of all kinds for damaged files.
        raise SceneError(
            f"{path}: damaged, cannot be read as {kind} ({first_line(error)}). Export or copy it again."
        ) from error
    yield from surfaces


def _surface(mesh, transform: np.ndarray, node: str, name: str) -> Surface:
    faces = np.asarray(mesh.faces)
    if np.linalg.det(transform[:3, :3]) < 0:
        # A mirrored node would show its back faces.
        faces = faces[:, ::-1]
    corners = np.asarray(mesh.vertices, np.float64) @ transform[:3, :3].T + transform[:3, 3]
    names = tuple(text.removesuffix("-mesh") for text in (node, name))  # as Blender ends the ids of COLLADA files
    uv = getattr(mesh.visual, "uv", None)
    # trimesh counts v upwards.
    uvs = None if uv is None or len(uv) != len(mesh.vertices) else (uv * [1, -1] + [0, 1])[faces].astype(np.float32)
    return Surface(corners[faces], uvs, _look(mesh.visual), names, node, _tints(mesh.visual, faces))


def _look(visual) -> Look:
    material = getattr(visual, "material", None)
    if material is None:
        return PLAIN
    name = str(getattr(material, "name", None) or "")
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is not None:
        image = image.convert("RGB")
        image.thumbnail((MAX_TEXTURE_SIZE, MAX_TEXTURE_SIZE))
        return Look(name, texture=Texture(np.array(image)))
    factor = getattr(material, "baseColorFactor", None)
    factor = getattr(material, "diffuse", None) if factor is None else factor
    if factor is None:
        return Look(name)
    red, green, blue = (float(value) for value in srgb_to_linear(unit_range(np.asarray(factor)))[:3])
    return Look(name, (red, green, blue))


def _tints(visual, faces: np.ndarray) -> np.ndarray | None:
    if visual.kind not in ("face", "vertex"):
        return None
    colors = visual.face_colors if visual.kind == "face" else visual.vertex_colors
    linear = srgb_to_linear(unit_range(np.asarray(colors)[:, :3]))
    linear = linear if visual.kind == "face" else linear[faces].mean(1)
    return np.concatenate([linear, np.ones((len(linear), 1))], 1).astype(np.float32)
