"""Opens the scenes of Habitat datasets: which 3D files they show, where, and which files say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.habitat.configs import (
    DATASET_SUFFIX,
    INSTANCE_SUFFIX,
    STAGE_SUFFIX,
    ArticulatedInstance,
    Attributes,
    Instance,
    SceneInstance,
)
from batchsim.scenes.sources.habitat.dataset import Dataset, dataset_of, read_dataset
from batchsim.scenes.sources.habitat.orientation import frame_rotation, rotation_of, scale_of
from batchsim.scenes.sources.habitat.templates import Template, asset_template, read_template
from batchsim.scenes.sources.habitat.urdf import read_urdf
from batchsim.scenes.user_files import read_json

# The shapes that habitat-sim makes itself.
_PRIMITIVE = re.compile(r"(capsule3D|cone|cube|cylinder|icosphere|uvSphere)(Solid|Wireframe)")
_NO_STAGE = ("", "NONE")
_ORIGINS = ("asset_local", "com", "default")


@dataclass(frozen=True)
class Placed:
    """A template in a scene: a point p of its 3D file is at `matrix @ p + translation`, metres.

    `matrix` is float64 `[3, 3]`. If `from_center` is set, `translation` is where the centre of the turned and scaled
    object is, not its origin. `part_of` is the number of the articulated object that this is a link of.
    """

    template: Template
    matrix: np.ndarray
    translation: np.ndarray
    from_center: bool = False
    part_of: int | None = None


@dataclass(frozen=True)
class HabitatScene:
    """A scene, not loaded yet.

    Attributes:
        path: The file that states it, for messages.
        stage: The stage, if there is one.
        objects: The objects, in the order of the file, then the links of articulated objects.
        descriptor: The file that names semantic classes, if there is one.
        missing_descriptor: The file that is stated to do so, if it does not exist and nothing takes its place.
        files: The configuration files that were read.
        left_out: What is not shown of articulated objects (.urdf), one message each.
    """

    path: Path
    stage: Placed | None
    objects: tuple[Placed, ...]
    descriptor: Path | None
    files: tuple[Path, ...]
    left_out: tuple[str, ...] = ()
    missing_descriptor: Path | None = None

    @property
    def placed(self) -> tuple[Placed, ...]:
        """The stage, if there is one, and the objects."""
        return (*((self.stage,) if self.stage else ()), *self.objects)

    def assets(self) -> list[Path]:
        """Returns the 3D files, each once."""
        return list(dict.fromkeys(placed.template.asset for placed in self.placed))


def scene_handles(path: Path) -> list[str]:
    """Returns the handles of the scenes of a `*.scene_dataset_config.json`; `SceneError` if there are none."""
    handles = read_dataset(path).scene_handles()
    if not handles:
        raise SceneError(f"{path}: names no scene and no stage that exists. Are its files beside it?")
    return handles


def open_scene(path: Path, handle: str = "") -> HabitatScene:
    """Opens a scene without reading its 3D files.

    Args:
        path: A `*.scene_instance.json`, `*.stage_config.json`, 3D file or, with `handle`, a
            `*.scene_dataset_config.json`.
        handle: The scene of the dataset.

    Raises:
        SceneError: If a file is missing or damaged, or a stage or object is not in the dataset.
    """
    if path.name.endswith(DATASET_SUFFIX):
        return _of_dataset(path, handle)
    if path.name.endswith(INSTANCE_SUFFIX):
        return _of_instance(path, dataset_of(path))
    template = read_template(path, STAGE_SUFFIX) if path.name.endswith(STAGE_SUFFIX) else asset_template(path)
    return _of_stage(path, template, ())


def _of_dataset(path: Path, handle: str) -> HabitatScene:
    dataset = read_dataset(path)
    if handle in dataset.scenes:
        return _of_instance(dataset.scenes[handle], dataset)
    return _of_stage(path, dataset.stage(handle, path), (path,))


def _of_stage(path: Path, template: Template, files: tuple[Path, ...]) -> HabitatScene:
    stage = _placed(template, Instance(template.handle), "", path)
    descriptor, missing = _descriptor(None, template)
    return HabitatScene(path, stage, (), descriptor, (*files, *template.files), missing_descriptor=missing)


def _descriptor(stated: Path | None, stage: Template | None) -> tuple[Path | None, Path | None]:
    """The descriptor that the dataset states, else that of the stage; if there is none, the one that is missing."""
    if stated is not None and stated.is_file():
        return stated, None
    if stage is None:
        return None, stated
    return stage.descriptor, None if stage.descriptor else stated or stage.stated_descriptor


def _of_instance(path: Path, dataset: Dataset) -> HabitatScene:
    scene: SceneInstance = read_json(path, SceneInstance, "a Habitat scene instance")
    origin = _origin(scene.translation_origin, path)
    stage = None
    if scene.stage_instance.template_name not in _NO_STAGE:
        template = dataset.stage(scene.stage_instance.template_name, path)
        # Stages are not moved to a centre of mass, whatever the file says.
        stage = _placed(template, scene.stage_instance, "asset_local", path)
    shapes = [instance for instance in scene.object_instances if _PRIMITIVE.match(instance.template_name)]
    objects = [
        _placed(dataset.object(instance.template_name, path), instance, origin, path)
        for instance in scene.object_instances
        if not _PRIMITIVE.match(instance.template_name)
    ]
    files = [path, *([dataset.path] if dataset.path.is_file() else [])]
    for placed in ([stage] if stage else []) + objects:
        files += placed.template.files
    stated = dataset.descriptor(scene.semantic_scene_instance, path)
    descriptor, missing = _descriptor(stated, stage.template if stage else None)
    links, urdfs, left_out = _articulated(scene.articulated_object_instances, dataset, path)
    left_out += [f"the primitive shape {instance.template_name!r} is left out" for instance in shapes]
    return HabitatScene(
        path,
        stage,
        (*objects, *links),
        descriptor,
        tuple(dict.fromkeys([*files, *urdfs])),
        tuple(left_out),
        missing,
    )


def _articulated(
    instances: list[ArticulatedInstance], dataset: Dataset, path: Path
) -> tuple[list[Placed], list[Path], list[str]]:
    """The links of articulated objects, the files that describe them, and what is not shown of them."""
    links: list[Placed] = []
    files: list[Path] = []
    left_out: list[str] = []
    for number, instance in enumerate(instances):
        name = instance.template_name
        found = dataset.articulated_object(name)
        if found is None or not found.urdf.is_file():
            where = f"not in {dataset.path}" if found is None else f"{found.urdf} is missing"
            left_out.append(f"the articulated object {name!r} is left out ({where})")
            continue
        files += [*found.files, found.urdf]
        model = read_urdf(found.urdf, instance.initial_joint_pose)
        if model.num_shapes:
            left_out.append(f"{model.num_shapes} parts of {found.urdf} that are no 3D files are left out")
        whole = rotation_of(instance.rotation, path) * scale_of((1.0, 1.0, 1.0), instance, path)
        at = np.array(instance.translation, np.float64)
        for visual in model.visuals:
            attributes = Attributes(semantic_id=found.semantic_id)
            template = Template(found.handle, visual.asset, attributes, found.urdf)
            links.append(Placed(template, whole @ visual.matrix, whole @ visual.translation + at, part_of=number))
    return links, files, left_out


def _placed(template: Template, instance: Instance, origin: str, path: Path) -> Placed:
    attributes, stated_in = template.attributes, template.stated_in
    units = 1.0 if attributes.units_to_meters is None else attributes.units_to_meters
    if not 0 < units < np.inf:
        raise SceneError(f"{stated_in}: units_to_meters is {units}; expected a positive number.")
    frame = frame_rotation(attributes.up, attributes.front, stated_in)
    scale = scale_of(attributes.scale or (1.0, 1.0, 1.0), instance, path)
    rotation = rotation_of(instance.rotation, path)
    translation = np.array(instance.translation, np.float64)
    from_mass = (_origin(instance.translation_origin, path) or origin) == "com"
    if from_mass and attributes.COM is not None:
        translation = translation - rotation @ (scale * np.array(attributes.COM))
    matrix = rotation @ (scale[:, None] * frame) * units
    return Placed(template, matrix, translation, from_mass and attributes.COM is None)


def _origin(stated: str | None, path: Path) -> str:
    origin = (stated or "default").lower()
    if origin not in _ORIGINS:
        raise SceneError(f"{path}: translation_origin is {stated!r}; expected 'asset_local' or 'com'.")
    return "" if origin == "default" else origin
