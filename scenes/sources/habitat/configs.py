"""The JSON files of a Habitat dataset as types: unknown keys are ignored, values of a wrong type are refused.

- `*.scene_dataset_config.json`: which stages, objects and scenes there are (`DatasetConfig`).
- `*.stage_config.json`, `*.object_config.json`: a 3D file and how it is turned and scaled (`Attributes`).
- `*.ao_config.json`: an articulated object, described by a .urdf.
- `*.scene_instance.json`: a stage with objects placed in it (`SceneInstance`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct, structs

Vector: TypeAlias = tuple[float, float, float]
Quaternion: TypeAlias = tuple[float, float, float, float]

DATASET_SUFFIX = ".scene_dataset_config.json"
INSTANCE_SUFFIX = ".scene_instance.json"
STAGE_SUFFIX = ".stage_config.json"
OBJECT_SUFFIX = ".object_config.json"
ARTICULATED_SUFFIX = ".ao_config.json"
URDF_SUFFIX = ".urdf"
SEMANTIC_SUFFIX = ".semantic_config.json"
CONFIG_SUFFIXES = (DATASET_SUFFIX, INSTANCE_SUFFIX, STAGE_SUFFIX)
"""The files that name scenes."""


class Attributes(Struct, frozen=True):
    """Attributes of a stage or an object; None where they are not stated.

    `up`, `front`: directions in the 3D file. `COM`: the centre of mass, in the object's frame, before scaling.
    `semantic_id`: the number of the object's class in the dataset's lexicon.
    """

    render_asset: str | None = None
    up: Vector | None = None
    front: Vector | None = None
    scale: Vector | None = None
    units_to_meters: float | None = None
    COM: Vector | None = None
    semantic_id: int | None = None
    semantic_asset: str | None = None
    semantic_descriptor_filename: str | None = None
    semantic_up: Vector | None = None
    semantic_front: Vector | None = None

    def over(self, below: Attributes) -> Attributes:
        """Returns these attributes, completed by those of `below`."""
        stated = {name: value for name, value in structs.asdict(self).items() if value is not None}
        return structs.replace(below, **stated)


class DerivedConfig(Struct, frozen=True):
    """A template that a dataset defines by itself, from a file or from nothing."""

    attributes: Attributes = Attributes()
    original_file: str | None = None
    template_handle: str | None = None


class TemplateSection(Struct, frozen=True):
    """The stages or the objects of a dataset: where their files are, keyed by extension, and what they share."""

    default_attributes: Attributes = Attributes()
    paths: dict[str, list[str]] = {}
    configs: list[DerivedConfig] = []


class ArticulatedConfig(Struct, frozen=True):
    """A `*.ao_config.json`: an articulated object. `semantic_id` as in `Attributes`."""

    urdf_filepath: str
    semantic_id: int | None = None


class SemanticConfig(Struct, frozen=True):
    """A `*.semantic_config.json`: where the descriptor is; its regions are not used."""

    semantic_descriptor_filename: str | None = None


class SceneDefaults(Struct, frozen=True):
    """What the scenes of a dataset share."""

    semantic_scene_instance: str | None = None


class SceneSection(Struct, frozen=True):
    """The scene instances of a dataset."""

    default_attributes: SceneDefaults = SceneDefaults()
    paths: dict[str, list[str]] = {}


class DatasetConfig(Struct, frozen=True):
    """A scene dataset; paths are relative to its folder and may contain wildcards."""

    stages: TemplateSection = TemplateSection()
    objects: TemplateSection = TemplateSection()
    articulated_objects: TemplateSection = TemplateSection()
    scene_instances: SceneSection = SceneSection()
    semantic_scene_descriptor_instances: dict[str, Any] = {}


class Instance(Struct, frozen=True):
    """A stage or an object in a scene. `rotation` is w, x, y, z."""

    template_name: str = ""
    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (1.0, 0.0, 0.0, 0.0)
    uniform_scale: float = 1.0
    non_uniform_scale: Vector = (1.0, 1.0, 1.0)
    translation_origin: str | None = None


class ArticulatedInstance(Instance, frozen=True):
    """An articulated object in a scene: the positions of its joints in radians or metres, those not named are at 0."""

    initial_joint_pose: dict[str, float] | list[float] = {}


class SceneInstance(Struct, frozen=True):
    """A scene: a stage, and objects placed in it."""

    stage_instance: Instance = Instance()
    object_instances: list[Instance] = []
    articulated_object_instances: list[ArticulatedInstance] = []
    translation_origin: str | None = None
    semantic_scene_instance: str | None = None
