"""Templates: the stages and objects of a dataset, each a 3D file with its orientation, scale and semantics."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.habitat.configs import ARTICULATED_SUFFIX, ArticulatedConfig, Attributes
from batchsim.scenes.sources.habitat.orientation import Z_UP
from batchsim.scenes.user_files import read_json

OWN_NAME = "%%CONFIG_NAME_AS_ASSET_FILENAME%%"
"""Stands in default attributes for the name of the file that they complete, without folder and extensions."""

_PATHS = ("render_asset", "semantic_asset", "semantic_descriptor_filename")
DESCRIPTORS = (".semantic.txt", "_semantic.txt", ".house", ".scn", "_semantic.json")
"""How the names of descriptors end."""
SEMANTIC_MESHES = (".semantic.glb", "_semantic.glb", "_semantic.ply", ".semantic.ply")
"""How the names of semantic meshes end."""
_STAGE_ENDINGS = (".glb", ".basis.glb", ".gltf", ".ply", ".obj")


@dataclass(frozen=True)
class Template:
    """A stage or an object.

    Attributes:
        handle: What scene instances call it.
        asset: Its 3D file, which need not exist.
        attributes: Its attributes; paths are absolute.
        stated_in: The file that the template comes from, for messages.
        files: Configuration files that were read for it.
    """

    handle: str
    asset: Path
    attributes: Attributes
    stated_in: Path
    files: tuple[Path, ...] = ()

    @property
    def semantic_mesh(self) -> Path | None:
        """The file whose colours or numbers tell objects apart, or None."""
        return _existing(self.attributes.semantic_asset) or _beside(self.asset, SEMANTIC_MESHES)

    @property
    def stated_descriptor(self) -> Path | None:
        """The descriptor that its configuration states, which need not exist."""
        stated = self.attributes.semantic_descriptor_filename
        return Path(stated) if stated else None

    @property
    def descriptor(self) -> Path | None:
        """The file that names the objects of the semantic mesh, or None."""
        stated = _existing(self.attributes.semantic_descriptor_filename)
        return stated or _beside(self.asset, DESCRIPTORS) or _beside_folder(self.asset, "info_semantic.json")


@dataclass(frozen=True)
class Articulated:
    """An articulated object: its .urdf, which need not exist, the number of its class, and the files read for it."""

    handle: str
    urdf: Path
    semantic_id: int | None = None
    files: tuple[Path, ...] = ()


def read_articulated(path: Path, handle: str) -> Articulated:
    """Reads a `*.ao_config.json`; a .urdf describes itself.

    Raises:
        SceneError: If the file is damaged.
    """
    if not path.name.endswith(ARTICULATED_SUFFIX):
        return Articulated(handle, path)
    config: ArticulatedConfig = read_json(path, ArticulatedConfig, "a Habitat articulated object configuration")
    return Articulated(handle, Path(_join(path.parent, config.urdf_filepath)), config.semantic_id, (path,))


def read_template(config: Path, suffix: str, defaults: Attributes | None = None, handle: str = "") -> Template:
    """Reads a `*.stage_config.json` or `*.object_config.json`.

    Args:
        config: The file.
        suffix: The end of its name, such as ".stage_config.json".
        defaults: What holds where the file says nothing.
        handle: What to call the template; default: the file's name.

    Raises:
        SceneError: If the file is damaged or names no 3D file.
    """
    kind = suffix.removesuffix(".json").strip(".").replace("_", " ")
    stated: Attributes = read_json(config, Attributes, f"a Habitat {kind}")
    attributes = _located(stated, config.parent).over(_own(defaults or Attributes(), config))
    if not attributes.render_asset:
        raise SceneError(f"{config}: names no render_asset, the 3D file to show.")
    asset = Path(attributes.render_asset)
    return Template(handle or config.name.removesuffix(suffix), asset, attributes, config, (config,))


def asset_template(
    asset: Path, defaults: Attributes | None = None, handle: str = "", is_stage: bool = True
) -> Template:
    """Returns the template of a 3D file without a configuration; Habitat takes such a stage in a .glb as z up."""
    attributes = _own(defaults or Attributes(), asset)
    if is_stage and asset.suffix.lower() == ".glb" and attributes.up is None:
        attributes = structs.replace(attributes, up=Z_UP, front=(0.0, 1.0, 0.0))
    return Template(handle or plain_name(asset), asset, attributes, asset)


def derived_template(original: Template, stated: Attributes, folder: Path, handle: str, config: Path) -> Template:
    """Returns a copy of `original` under another name with other attributes; paths are relative to `folder`."""
    attributes = _located(stated, folder).over(original.attributes)
    return Template(handle, Path(attributes.render_asset or original.asset), attributes, config, original.files)


def new_template(stated: Attributes, defaults: Attributes, folder: Path, handle: str, config: Path) -> Template:
    """Returns a template that is stated in the dataset's own file `config`, in `folder`."""
    attributes = _located(stated, folder).over(_own(defaults, folder / handle))
    if not attributes.render_asset:
        raise SceneError(f"{config}: the template {handle!r} names no render_asset, the 3D file to show.")
    return Template(handle, Path(attributes.render_asset), attributes, config)


def is_semantic_mesh(path: Path) -> bool:
    """Whether a file is the semantic mesh of a stage beside it, and so no scene of its own."""
    name = path.name.lower()
    for ending in SEMANTIC_MESHES:
        if name.endswith(ending):
            base = path.name[: -len(ending)]
            return any(path.with_name(base + other).is_file() for other in _STAGE_ENDINGS if base)
    return False


def plain_name(path: Path) -> str:
    """Returns the name of a file without folder and extensions: "TEEsavR23oF" of "TEEsavR23oF.basis.glb"."""
    return path.name.partition(".")[0] or path.name


def _located(stated: Attributes, folder: Path) -> Attributes:
    """Makes the paths of a file in `folder` absolute."""
    values = {name: getattr(stated, name) for name in _PATHS}
    return structs.replace(stated, **{name: _join(folder, value) for name, value in values.items() if value})


def _own(defaults: Attributes, path: Path) -> Attributes:
    """Fills the name of `path` into default attributes; what does not exist then is left out."""
    filled: dict[str, str | None] = {}
    for name in _PATHS:
        value = getattr(defaults, name)
        if value and OWN_NAME in value:
            names = (plain_name(path), path.stem)
            candidates = [_join(path.parent, value.replace(OWN_NAME, own)) for own in names]
            filled[name] = next((found for found in candidates if Path(found).is_file()), None)
    return structs.replace(defaults, **filled)


def _join(folder: Path, name: str) -> str:
    return os.path.normpath(folder / name.replace("\\", "/"))


def _existing(name: str | None) -> Path | None:
    return Path(name) if name and Path(name).is_file() else None


def _beside(asset: Path, endings: tuple[str, ...]) -> Path | None:
    for stem in dict.fromkeys((asset.stem, plain_name(asset))):
        for ending in endings:
            found = asset.with_name(stem + ending)
            if found.is_file() and found != asset:
                return found
    return None


def _beside_folder(asset: Path, name: str) -> Path | None:
    found = asset.with_name(name)
    return found if found.is_file() else None
