"""A Habitat scene dataset: its stages, objects and scenes by handle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from msgspec import convert

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.habitat.configs import (
    ARTICULATED_SUFFIX,
    DATASET_SUFFIX,
    INSTANCE_SUFFIX,
    OBJECT_SUFFIX,
    SEMANTIC_SUFFIX,
    STAGE_SUFFIX,
    URDF_SUFFIX,
    DatasetConfig,
    DerivedConfig,
    SemanticConfig,
    TemplateSection,
)
from batchsim.scenes.sources.habitat.templates import (
    OWN_NAME,
    Articulated,
    Template,
    asset_template,
    derived_template,
    is_semantic_mesh,
    new_template,
    plain_name,
    read_articulated,
    read_template,
)
from batchsim.scenes.user_files import is_hidden, read_json, reading

_MAX_FILES = 200_000
_OWN_KEYS = ("default_attributes", "paths", "configs")


@dataclass
class Dataset:
    """A scene dataset. Files are listed at once; a template's configuration is read when it is first used.

    Attributes:
        path: The configuration of the dataset, or the folder that is taken for one.
        folder: The folder that its paths are relative to.
        config: What the configuration says.
        stages: Configuration or 3D file of each stage, by handle.
        objects: The same of objects.
        articulated: Configuration or .urdf of each articulated object, by handle.
        scenes: The `*.scene_instance.json` of each scene, by handle.
    """

    path: Path
    folder: Path
    config: DatasetConfig
    stages: dict[str, Path]
    objects: dict[str, Path]
    articulated: dict[str, Path]
    scenes: dict[str, Path]
    _templates: dict[tuple[str, str], tuple[Template, list[int]]] = field(default_factory=dict)
    _indexes: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def scene_handles(self) -> list[str]:
        """Returns the handles of the scenes: the scene instances, or, if there are none, the stages."""
        return sorted(self.scenes) or sorted({*self.stages, *_derived(self.config.stages)})

    def stage(self, name: str, used_in: Path) -> Template:
        """Returns the stage that a scene in the file `used_in` calls `name`."""
        return self._template("stage", name, self.config.stages, self.stages, STAGE_SUFFIX, used_in)

    def object(self, name: str, used_in: Path) -> Template:
        """Returns the object that a scene in the file `used_in` calls `name`."""
        return self._template("object", name, self.config.objects, self.objects, OBJECT_SUFFIX, used_in)

    def articulated_object(self, name: str) -> Articulated | None:
        """Returns the articulated object that a scene calls `name`, or None if there is none."""
        for suffix in (ARTICULATED_SUFFIX, URDF_SUFFIX):
            name = name.removesuffix(suffix)
        handle = _match(name, _by_last_part(self.articulated))
        return None if handle is None else read_articulated(self.articulated[handle], handle)

    def stage_of_asset(self, asset: Path) -> str | None:
        """Returns the handle of the stage that is the 3D file `asset`, or None."""
        wanted = asset.resolve()
        for handle, path in self.stages.items():
            is_config = path.name.endswith(STAGE_SUFFIX)
            shown = self.stage(handle, self.path).asset if is_config else path
            if shown.name == asset.name and shown.resolve() == wanted:
                return handle
        return None

    def descriptor(self, stated: str | None, scene: Path) -> Path | None:
        """Returns the file that names semantic classes, which need not exist; None if none is stated.

        Args:
            stated: The scene's own `semantic_scene_instance`; None takes the dataset's default or, if it has exactly
                one descriptor, that.
            scene: The file of the scene.
        """
        section = self.config.semantic_scene_descriptor_instances
        files = {
            handle: self.folder / value
            for handle, value in section.items()
            if handle not in _OWN_KEYS and isinstance(value, str)
        }
        stated = stated or self.config.scene_instances.default_attributes.semantic_scene_instance
        name = (stated or "").replace(OWN_NAME, plain_name(scene))
        chosen = files.get(name) or self._semantic_config(name) or (self.folder / name if name else None)
        if chosen is None and len(files) == 1:
            (chosen,) = files.values()
        if chosen is None or not chosen.is_file() or not chosen.name.endswith(SEMANTIC_SUFFIX):
            return chosen
        config: SemanticConfig = read_json(chosen, SemanticConfig, "a Habitat semantic configuration")
        inner = config.semantic_descriptor_filename or self._semantic_defaults().semantic_descriptor_filename
        return chosen.parent / inner if inner else None

    def _semantic_config(self, name: str) -> Path | None:
        """The `*.semantic_config.json` of that name, in the folders that the dataset lists for them."""
        paths = self.config.semantic_scene_descriptor_instances.get("paths", {})
        if not name or not isinstance(paths, dict):
            return None
        with reading(self.path, "a Habitat scene dataset configuration"):
            patterns = convert(paths, dict[str, list[str]])
        listed = _listed(self.folder, patterns, SEMANTIC_SUFFIX, self.path)
        handle = _match(name.removesuffix(SEMANTIC_SUFFIX), _by_last_part(listed))
        return None if handle is None else listed[handle]

    def _semantic_defaults(self) -> SemanticConfig:
        with reading(self.path, "a Habitat scene dataset configuration"):
            return convert(
                self.config.semantic_scene_descriptor_instances.get("default_attributes", {}), SemanticConfig
            )

    def _template(
        self, kind: str, name: str, section: TemplateSection, files: dict[str, Path], suffix: str, used_in: Path
    ) -> Template:
        known = self._templates.get((kind, name))
        if known is not None and known[1] == _times(known[0].files):
            return known[0]
        if kind not in self._indexes:
            self._indexes[kind] = _by_last_part([*_derived(section), *files])
        handle = _match(name.removesuffix(suffix), self._indexes[kind])
        if handle is None:
            _read_dataset.cache_clear()  # so that the file is found once it is there
            raise SceneError(f"{used_in}: the {kind} {name!r} is not in {self.path}.")
        template = self._read(kind, handle, section, files, suffix)
        self._templates[kind, name] = template, _times(template.files)
        return template

    def _read(self, kind: str, handle: str, section: TemplateSection, files: dict[str, Path], suffix: str) -> Template:
        derived, defaults = _derived(section).get(handle), section.default_attributes
        if derived is None:
            path = files[handle]
            if path.name.endswith(suffix):
                return read_template(path, suffix, defaults, handle)
            return asset_template(path, defaults, handle, kind == "stage")
        if derived.original_file is None:
            return new_template(derived.attributes, defaults, self.folder, handle, self.path)
        original = _match(derived.original_file.removesuffix(suffix), _by_last_part(files))
        if original is None:
            raise SceneError(f"{self.path}: the {kind} {handle!r} is made from {derived.original_file!r}, not found.")
        base = self._read(kind, original, TemplateSection(defaults), files, suffix)
        return derived_template(base, derived.attributes, base.stated_in.parent, handle, self.path)


def read_dataset(path: Path) -> Dataset:
    """Reads a `*.scene_dataset_config.json` and lists its files.

    Raises:
        SceneError: If the file is damaged.
    """
    status = path.stat() if path.is_file() else None
    if status is None:
        raise SceneError(f"{path}: no such file.")
    return _read_dataset(path, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_dataset(path: Path, modified_ns: int) -> Dataset:
    config: DatasetConfig = read_json(path, DatasetConfig, "a Habitat scene dataset configuration")
    folder = path.parent
    return Dataset(
        path,
        folder,
        config,
        _listed(folder, config.stages.paths, STAGE_SUFFIX, path),
        _listed(folder, config.objects.paths, OBJECT_SUFFIX, path),
        _listed(folder, config.articulated_objects.paths, ARTICULATED_SUFFIX, path),
        _listed(folder, config.scene_instances.paths, INSTANCE_SUFFIX, path),
    )


def folder_dataset(folder: Path) -> Dataset:
    """Takes a folder without a dataset configuration for a dataset: all configurations in it and in its subfolders."""
    listed = sorted([*folder.rglob("*_*.json"), *folder.rglob(f"*{URDF_SUFFIX}")])

    def found(suffix: str) -> dict[str, Path]:
        return {
            _handle(folder, path, suffix): path for path in listed if path.name.endswith(suffix) and not is_hidden(path)
        }

    articulated = found(URDF_SUFFIX) | found(ARTICULATED_SUFFIX)
    return Dataset(
        folder,
        folder,
        DatasetConfig(),
        found(STAGE_SUFFIX),
        found(OBJECT_SUFFIX),
        articulated,
        found(INSTANCE_SUFFIX),
    )


def dataset_of(instance: Path) -> Dataset:
    """Returns the dataset that a `*.scene_instance.json` belongs to, searched upwards from its folder."""
    above = list(instance.absolute().parents)[:4]
    for folder in above:
        for path in sorted(folder.glob(f"*{DATASET_SUFFIX}")):
            dataset = read_dataset(path)
            if any(found.resolve() == instance.resolve() for found in dataset.scenes.values()):
                return dataset
    return folder_dataset(above[min(1, len(above) - 1)])


def _listed(folder: Path, paths: dict[str, list[str]], suffix: str, config: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for extension, patterns in paths.items():
        ending = suffix if extension == ".json" else extension
        for pattern in patterns:
            for path in _globbed(folder, pattern, config):
                for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                    if file.name.endswith(ending) and not is_hidden(file) and not is_semantic_mesh(file):
                        found.setdefault(_handle(folder, file, ending), file)
    return found


def _globbed(folder: Path, pattern: str, config: Path) -> Iterator[Path]:
    pattern = pattern.replace("\\", "/").rstrip("/") or "."
    if not any(character in pattern for character in "*?["):
        found = [folder / pattern] if (folder / pattern).exists() else []
    elif Path(pattern).is_absolute():
        raise SceneError(f"{config}: {pattern!r} is an absolute path; expected one relative to the file.")
    else:
        found = sorted(folder.glob(pattern))
    if len(found) > _MAX_FILES:
        raise SceneError(f"{config}: {pattern!r} names more than {_MAX_FILES:,} files.")
    yield from found


def _handle(folder: Path, path: Path, ending: str) -> str:
    relative = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return relative.as_posix().removesuffix(ending).removesuffix(".basis")


def _times(files: tuple[Path, ...]) -> list[int]:
    return [file.stat().st_mtime_ns if file.is_file() else 0 for file in files]


def _derived(section: TemplateSection) -> dict[str, DerivedConfig]:
    found = {}
    for entry in section.configs:
        handle = entry.template_handle or (entry.original_file or "").removesuffix(STAGE_SUFFIX)
        if handle:
            found[handle.removesuffix(OBJECT_SUFFIX)] = entry
    return found


def _by_last_part(handles: Iterable[str]) -> dict[str, list[str]]:
    """Handles by what follows their last slash; a dataset may have tens of thousands."""
    found: dict[str, list[str]] = {}
    for handle in handles:
        found.setdefault(handle.rpartition("/")[2], []).append(handle)
    return found


def _match(name: str, index: dict[str, list[str]]) -> str | None:
    """The handle that `name` means: the same, else one that ends in it after a slash, else one that contains it."""
    name = name.replace("\\", "/").removeprefix("./")
    alike = index.get(name.rpartition("/")[2], [])
    if name in alike:
        return name
    ending = [handle for handle in alike if handle.endswith(f"/{name}") or name.endswith(f"/{handle}")]
    if ending:
        return min(ending, key=len)
    if not name:
        return None
    folded = name.casefold()
    containing = [handle for handles in index.values() for handle in handles if folded in handle.casefold()]
    return min(containing, key=lambda handle: (len(handle), handle), default=None)
