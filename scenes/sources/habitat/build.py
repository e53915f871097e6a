"""Puts a Habitat scene together: reads its 3D files, places them and says which object each triangle belongs to."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.assembly.assemble import assemble
from batchsim.scenes.sources.assembly.label_names import label_of
from batchsim.scenes.sources.assembly.placement import Placement
from batchsim.scenes.sources.assembly.plausibility import stands_on_its_side
from batchsim.scenes.sources.habitat.descriptors import Descriptor, read_descriptor
from batchsim.scenes.sources.habitat.orientation import Z_UP, frame_rotation
from batchsim.scenes.sources.habitat.scenes import HabitatScene, Placed
from batchsim.scenes.sources.habitat.semantic_mesh import NO_OBJECT, read_semantic_mesh
from batchsim.scenes.sources.habitat.templates import DESCRIPTORS
from batchsim.scenes.sources.habitat.transfer import fitting_frame, objects_of_triangles
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import Surface, check_count
from batchsim.scenes.user_files import reading

SurfaceReader = Callable[[Path], list[Surface]]
"""Reads a 3D file; `SceneError` if that fails."""

_HASH = re.compile(r"^[0-9a-f]{16,}$")  # such names say nothing
_NUMBERS = re.compile(r"([_\-. ]\d+)+$")


def build_scene(scene: HabitatScene, read: SurfaceReader, force: bool = False) -> tuple[Mesh, tuple[str, ...]]:
    """Returns the mesh of a scene and the names of its labels.

    An object's label is its class in the dataset's lexicon, else the name of its template without numbers. A 3D file
    is read once, however often it is shown. Objects whose file is missing are left out, with one warning a file.

    Args:
        scene: The scene.
        read: Reads a 3D file.
        force: Take the scene even if its size is not that of a place to walk in.

    Raises:
        SceneError: If the stage is missing, a file is damaged, or nothing can be seen.
    """
    descriptor = Descriptor() if scene.descriptor is None else read_descriptor(scene.descriptor)
    _warn_of_missing_descriptor(scene)
    surfaces: list[Surface] = []
    if scene.stage is not None:
        if not scene.stage.template.asset.is_file():
            raise SceneError(f"{scene.stage.template.stated_in}: its 3D file {scene.stage.template.asset} is missing.")
        surfaces += _stage(scene.stage, descriptor, read, scene.path)
    surfaces += _objects(scene, descriptor, read)
    for what in scene.left_out:
        warnings.warn(f"{scene.path}: {what}.", stacklevel=2)
    check_count(scene.path, sum(len(surface.triangles) for surface in surfaces))
    return assemble(surfaces, scene.path, Placement(force=force), "auto")


def _warn_of_missing_descriptor(scene: HabitatScene) -> None:
    mesh = None if scene.stage is None else scene.stage.template.semantic_mesh
    if scene.missing_descriptor is not None:
        what = f"the semantic descriptor {scene.missing_descriptor} was not found"
    elif scene.descriptor is None and mesh is not None:
        what = f"no file beside {mesh} names its objects ({', '.join(f'*{ending}' for ending in DESCRIPTORS)})"
    else:
        return
    warnings.warn(f"{scene.path}: {what}; its labels are left out.", stacklevel=2)


def missing_files(scene: HabitatScene) -> list[Path]:
    """Returns the 3D files of a scene that do not exist."""
    return [asset for asset in scene.assets() if not asset.is_file()]


def _objects(scene: HabitatScene, descriptor: Descriptor, read: SurfaceReader) -> Iterator[Surface]:
    known: dict[Path, list[Surface]] = {}
    for missing in missing_files(scene):
        if scene.stage is None or missing != scene.stage.template.asset:
            warnings.warn(f"{scene.path}: the object {missing} is missing and left out.", stacklevel=2)
    for number, placed in enumerate(scene.objects):
        asset = placed.template.asset
        if not asset.is_file():
            continue
        if asset not in known:
            known[asset] = read(asset)
        label = _label(placed, descriptor)
        for surface in _moved(placed, known[asset]):
            key = ("object", number) if placed.part_of is None else ("articulated", placed.part_of)
            yield replace(surface, label=label or surface.label, object_key=key)


def _label(placed: Placed, descriptor: Descriptor) -> str:
    template = placed.template
    number = template.attributes.semantic_id
    if number is not None and number in descriptor.classes:
        return descriptor.classes[number]
    name = template.handle.rpartition("/")[2]
    if _HASH.match(name.lower()):
        return ""
    label = label_of((_NUMBERS.sub("", name),), Path()).replace("_", " ")
    return "" if label == LABELS[0] else label


def _stage(placed: Placed, descriptor: Descriptor, read: SurfaceReader, path: Path) -> list[Surface]:
    template = placed.template
    own = read(template.asset)
    surfaces = _moved(placed, own)
    if template.stated_in == template.asset and template.attributes.up == Z_UP and _lies_on_its_side(surfaces):
        warnings.warn(f"{path}: read with y up, unlike Habitat's other .glb files, as its floors show.", stacklevel=2)
        placed = replace(placed, matrix=np.eye(3))
        surfaces = _moved(placed, own)
    surfaces = [replace(surface, object_key=("stage", surface.object_key)) for surface in surfaces]
    if not descriptor.categories:
        return surfaces
    mesh = template.semantic_mesh
    if mesh is None or mesh.resolve() == template.asset.resolve():
        return [_described(surface, descriptor) for surface in surfaces]
    with reading(mesh, "a semantic mesh"):
        semantic = read_semantic_mesh(SourceFiles(mesh), descriptor)
    if semantic is None:
        warnings.warn(f"{mesh}: has no colours and no object_id; its labels are left out.", stacklevel=2)
        return surfaces
    local = np.concatenate([surface.triangles for surface in surfaces]) - placed.translation
    frame = fitting_frame(local, semantic, _semantic_frames(placed, mesh))
    if frame is None:
        warnings.warn(f"{path}: {mesh} is not where the stage is; its labels are left out.", stacklevel=2)
        return surfaces
    objects = objects_of_triangles(local, semantic, frame)
    if (objects == NO_OBJECT).all():
        warnings.warn(f"{path}: {mesh} names none of the objects of its descriptor.", stacklevel=2)
    ends = np.cumsum([len(surface.triangles) for surface in surfaces])
    parts = zip(surfaces, np.split(objects, ends[:-1]), strict=True)
    return [part for surface, mine in parts for part in _split(surface, mine, descriptor)]


def _lies_on_its_side(surfaces: list[Surface]) -> bool:
    return bool(surfaces) and stands_on_its_side(np.concatenate([surface.triangles for surface in surfaces]))


def _described(surface: Surface, descriptor: Descriptor) -> Surface:
    """A surface of a stage that numbers its objects itself, such as Replica's."""
    assert isinstance(surface.object_key, tuple)
    number = surface.object_key[1]
    category = descriptor.categories.get(number, "") if isinstance(number, int) else ""
    return replace(surface, label=category) if category and not surface.label else surface


def _split(surface: Surface, objects: np.ndarray, descriptor: Descriptor) -> Iterator[Surface]:
    for number in np.unique(objects):
        mine = objects == number
        category = descriptor.categories.get(int(number), "")
        key = ("semantic", int(number)) if number != NO_OBJECT else surface.object_key
        yield replace(
            surface,
            triangles=surface.triangles[mine],
            uvs=None if surface.uvs is None else surface.uvs[mine],
            tints=None if surface.tints is None else surface.tints[mine],
            label=category or surface.label,
            object_key=key,
        )


def _semantic_frames(placed: Placed, mesh: Path) -> list[np.ndarray]:
    """The axes that a semantic mesh may have, the likeliest first."""
    attributes, stated_in = placed.template.attributes, placed.template.stated_in
    as_stage = frame_rotation(attributes.up, attributes.front, stated_in)
    rest = placed.matrix @ as_stage.T  # the scale and rotation of the instance
    z_up, y_up = frame_rotation(Z_UP, (0.0, 1.0, 0.0), stated_in), np.eye(3)
    frames = [z_up, as_stage, y_up] if mesh.suffix.lower() == ".ply" else [as_stage, z_up, y_up]
    if attributes.semantic_up is not None:
        frames.insert(0, frame_rotation(attributes.semantic_up, attributes.semantic_front, stated_in))
    return [rest @ frame for frame in frames]


def _moved(placed: Placed, surfaces: list[Surface]) -> list[Surface]:
    translation = placed.translation
    if placed.from_center and surfaces:
        corners = np.concatenate([surface.triangles.reshape(-1, 3) for surface in surfaces])
        # The centre is that of the box around the object before it is turned in the scene.
        translation = translation - placed.matrix @ ((corners.min(0) + corners.max(0)) / 2)
    mirrored = np.linalg.det(placed.matrix) < 0
    order = [0, 2, 1] if mirrored else [0, 1, 2]  # a mirrored object would show its back faces
    return [
        replace(
            surface,
            triangles=(surface.triangles @ placed.matrix.T + translation)[:, order],
            uvs=None if surface.uvs is None else surface.uvs[:, order],
        )
        for surface in surfaces
    ]
