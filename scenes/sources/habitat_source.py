"""Sources of Habitat's scenes: stages, scene instances, and all scenes of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.habitat.configs import CONFIG_SUFFIXES, DATASET_SUFFIX, INSTANCE_SUFFIX
from batchsim.scenes.sources.habitat.scenes import HabitatScene, open_scene, scene_handles
from batchsim.scenes.sources.scene_source import IMPORT_FOLDERS, BakedSource, SceneSource, file_digests


@dataclass(frozen=True)
class HabitatSource(BakedSource):
    """A scene of a Habitat dataset; `path`, `handle` and `force` as in `habitat.scenes.open_scene` and `build`."""

    name: str = ""
    path: Path = Path()
    handle: str = ""
    force: bool = False

    def open(self) -> HabitatScene:
        """Returns the scene, of which only the configuration has been read."""
        return open_scene(self.path, self.handle)

    def content(self) -> str:
        """Returns the hashes of all files that the scene is made from, and of what is missing."""
        from batchsim.scenes.sources.importer import files_of

        scene = self.open()
        files = list(scene.files)
        missing = []
        for asset in scene.assets():
            if asset.is_file():
                files += files_of(asset)
            else:
                missing.append(str(asset))
        if scene.descriptor is not None:
            files.append(scene.descriptor)
            mesh = None if scene.stage is None else scene.stage.template.semantic_mesh
            files += [] if mesh is None else files_of(mesh)
        return f"habitat|{self.handle}|{file_digests(dict.fromkeys(files))}|{missing}"

    def code(self) -> tuple[str, ...]:
        """Returns the files of the importer and of what reads Habitat's files."""
        folders = (*IMPORT_FOLDERS, "habitat")
        return ("user_files.py", "sources/importer.py", *(f"sources/{folder}/*.py" for folder in folders))

    def missing_files(self) -> list[str]:
        """Returns the names of 3D files, and of the textures of the others, that were not found."""
        from batchsim.scenes.sources.importer import missing_of

        assets = self.open().assets()
        missing = [str(asset) for asset in assets if not asset.is_file()]
        return missing + [name for asset in assets if asset.is_file() for name in missing_of(asset)]

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Puts the scene together."""
        from batchsim.scenes.sources.habitat.build import build_scene
        from batchsim.scenes.sources.importer import read_surfaces

        return build_scene(self.open(), read_surfaces, self.force)


def is_habitat_file(path: Path) -> bool:
    """Whether a file is one of Habitat's configurations that name scenes."""
    return path.name.endswith(CONFIG_SUFFIXES)


def habitat_sources(path: Path, handle: str | None, baking: HabitatSource) -> Iterator[HabitatSource]:
    """Yields the scenes of a file of Habitat, or the one called `handle`.

    Args:
        path: The file.
        handle: The name of a scene of a dataset; None for all.
        baking: A source with the options of all of them.

    Raises:
        SceneError: If the file is a damaged dataset, or has no scene of that name.
    """
    chosen = {"force": baking.force, "wall_tops": baking.wall_tops}
    options = "&".join(f"{name}=yes" for name, is_on in chosen.items() if is_on)
    if not path.name.endswith(DATASET_SUFFIX):
        if handle is not None:
            raise SceneError(f"{path}: is one scene; leave out scene={handle!r}.")
        options = options if is_habitat_file(path) else "&".join(filter(None, ["habitat=yes", options]))
        yield replace(baking, name=f"{path}?{options}" if options else str(path), path=path)
        return
    handles = scene_handles(path)
    if handle is not None:
        if handle not in handles:
            ending = [known for known in handles if known.endswith(f"/{handle}")]
            if not ending:
                raise SceneError(f"{path}: has no scene {handle!r}; the first of its {len(handles)} is {handles[0]!r}.")
            handle = ending[0]
        handles = [handle]
    for known in handles:
        name = f"{path}?" + "&".join(filter(None, [f"scene={known}", options]))
        yield replace(baking, name=name, path=path, handle=known)


def habitat_files(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Splits files into those that name scenes in Habitat's way, and those that belong to no dataset.

    A `*.scene_dataset_config.json` stands for all that is in its folder and below. Where there is none, each
    `*.scene_instance.json` names a scene, and what lies in the folder above its own belongs to it.
    """
    rest = [path for path in files if path.is_file()]
    named: list[Path] = []
    for suffix, levels in ((DATASET_SUFFIX, 0), (INSTANCE_SUFFIX, 1)):
        found = [path for path in rest if path.name.endswith(suffix)]
        tops = {path.parents[min(levels, len(path.parents) - 1)] for path in found}
        rest = [path for path in rest if path not in found and not tops.intersection(path.parents)]
        named += found
    return named, rest


def without_repeats(sources: Iterable[SceneSource]) -> Iterator[SceneSource]:
    """Leaves out scenes that a dataset before has, such as those of HM3D with and without annotations."""
    seen: set[Path] = set()
    for source in sources:
        if isinstance(source, HabitatSource):
            try:
                scene = source.open()
            except SceneError:
                yield source  # loading it says what is wrong
                continue
            stated = scene.path if scene.path.name.endswith(INSTANCE_SUFFIX) else scene.assets()[0]
            if stated in seen:
                continue
            seen.add(stated)
        yield source
