"""Sources of scenes: cheap to list by the thousand, loaded (baked, cached) only on request."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_BODY, DEFAULT_NUM_GOALS, bake
from batchsim.scenes.baking.cache import CacheKey, baking_code_digest, cached
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.errors import SceneError
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.assembly.transparency import AlphaPolicy
from batchsim.scenes.sources.home_variation import Variation

IMPORT_FOLDERS = ("assembly", "gltf", "obj", "other_formats", "ply", "surfaces")
"""The folders in `sources` whose code turns files into meshes."""


class SceneSource(ABC):
    """A scene that can be loaded. `scenes.load(source.name)` loads the same scene."""

    name: str

    @abstractmethod
    def load(self) -> Scene:
        """Loads the scene, baking and caching it first if necessary; raises `SceneError` if that fails."""

    @property
    def is_ready(self) -> bool:
        """Whether `load` can read the scene without baking it first."""
        return True

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The names of the semantic labels, as in `Scene.label_names`; None if unknown before loading."""
        return None

    @property
    def categories(self) -> tuple[str, ...] | None:
        """Categories that the scene's objects may have (`scenes.categories`); None where only loading tells."""
        return None

    def missing_files(self) -> list[str]:
        """Returns the names of files that the scene refers to and that were not found."""
        return []

    @abstractmethod
    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> SceneSource:
        """Returns this source with another body and number of goals to bake with; None leaves either unchanged."""


@dataclass(frozen=True)
class BakedSource(SceneSource):
    """A source whose scene is baked from a mesh and cached; `wall_tops` as in `bake`."""

    body: AgentBody = DEFAULT_BODY
    num_goals: int = DEFAULT_NUM_GOALS
    wall_tops: bool = False

    @abstractmethod
    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Returns the mesh and the names of its labels."""

    @abstractmethod
    def content(self) -> str:
        """Returns a text that changes whenever the mesh would, apart from changes of the code."""

    @abstractmethod
    def code(self) -> tuple[str, ...]:
        """Returns glob patterns of the files in `scenes` whose code makes the mesh."""

    @property
    def cache_key(self) -> CacheKey:
        """The key of the baked scene in the cache."""
        content = f"{self.content()}|{self.body}|{self.num_goals}{'|wall tops' if self.wall_tops else ''}"
        return CacheKey(self.name, content, baking_code_digest(*self.code()))

    @property
    def is_ready(self) -> bool:
        """Whether the baked scene is in the cache."""
        return self.cache_key.path.exists()

    def load(self) -> Scene:
        """Loads the scene from the cache, or bakes and caches it."""
        scene = cached(self.cache_key, self._bake)
        return scene if scene.name == self.name else replace(scene, name=self.name)

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> BakedSource:
        """See `SceneSource.baked_for`."""
        return replace(self, body=body or self.body, num_goals=num_goals or self.num_goals)

    def _bake(self) -> Scene:
        try:
            mesh, label_names = self.read_mesh()
            return bake(mesh, self.name, self.body, self.num_goals, label_names=label_names, wall_tops=self.wall_tops)
        except SceneError as error:
            if self.name.partition("?")[0] in str(error):
                raise
            raise SceneError(f"{self.name}: {error}") from error


@dataclass(frozen=True)
class HomeSource(BakedSource):
    """A generated home."""

    name: str = ""
    seed: int = 0
    detail: str = "low"
    variation: Variation = field(default_factory=Variation)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of generated scenes."""
        return LABELS

    @property
    def categories(self) -> tuple[str, ...] | None:
        """Those of the furniture in its plan, which takes 10 ms to draw; unknown with other furniture."""
        from batchsim.scenes.homes.contents import home_categories

        if self.variation.furniture:
            return None
        return home_categories(self.seed, self.detail)

    def content(self) -> str:
        """Returns the generator's arguments."""
        return f"home|{self.seed}|{self.detail}" + (f"|{self.variation}" if self.variation else "")

    def code(self) -> tuple[str, ...]:
        """Returns the files of the generator."""
        return ("homes/**/*.py", *(["sources/varied_home.py"] if self.variation else []))

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Generates the home."""
        from batchsim.scenes.homes import generate_home
        from batchsim.scenes.sources.varied_home import varied_home

        if self.variation:
            return varied_home(self.seed, self.detail, self.variation), LABELS
        return generate_home(self.seed, self.detail).mesh, LABELS


@dataclass(frozen=True)
class WorldSource(BakedSource):
    """One of the small known worlds of `batchsim.scenes.sources.worlds`."""

    name: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of generated scenes."""
        return LABELS

    def content(self) -> str:
        """Returns the world's name."""
        return f"world|{self.name}"

    def code(self) -> tuple[str, ...]:
        """Returns the file that builds worlds."""
        return ("sources/worlds.py",)

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Builds the world."""
        from batchsim.scenes.sources.worlds import build_world

        return build_world(self.name), LABELS


@dataclass(frozen=True)
class MeshFileSource(BakedSource):
    """A 3D file; `up`, `scale`, `alpha`, `root` and `force` as in `importer.import_file`."""

    name: str = ""
    path: Path = Path()
    up: str = "y"
    scale: float = 1.0
    alpha: AlphaPolicy = "auto"
    root: Path | None = None
    force: bool = False

    def content(self) -> str:
        """Returns the hashes of the file and of those it refers to."""
        from batchsim.scenes.sources.importer import files_of

        digests = file_digests(files_of(self.path, self.root))
        return f"file|{digests}|{self.up}|{self.scale}|{self.alpha}|{self.root}"

    def code(self) -> tuple[str, ...]:
        """Returns the files of the importer."""
        return ("user_files.py", "sources/importer.py", *(f"sources/{folder}/*.py" for folder in IMPORT_FOLDERS))

    def missing_files(self) -> list[str]:
        """Returns the names of textures and libraries that were not found."""
        from batchsim.scenes.sources.importer import missing_of

        return missing_of(self.path, self.root)

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Imports the file."""
        from batchsim.scenes.sources.importer import import_file

        imported = import_file(self.path, self.up, self.scale, self.alpha, self.root, self.force)
        return imported.mesh, imported.label_names


@dataclass(frozen=True)
class SceneFileSource(SceneSource):
    """A baked file, used as it is or baked again for another body."""

    name: str
    path: Path
    body: AgentBody | None = None

    def load(self) -> Scene:
        """Reads the file."""
        return _rebaked(replace(Scene.load(self.path), name=self.name), self.body)

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> SceneFileSource:
        """See `SceneSource.baked_for`; a baked scene keeps its goals."""
        return replace(self, body=body or self.body)


@dataclass(frozen=True, eq=False)
class MemorySource(SceneSource):
    """A `Scene` that is already in memory."""

    scene: Scene = field(repr=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The scene's name."""
        return self.scene.name

    @property
    def label_names(self) -> tuple[str, ...]:
        """The scene's label names."""
        return self.scene.label_names

    @property
    def categories(self) -> tuple[str, ...]:
        """The scene's."""
        return self.scene.objects.categories

    def load(self) -> Scene:
        """Returns the scene itself."""
        return self.scene

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> MemorySource:
        """See `SceneSource.baked_for`; a baked scene keeps its goals."""
        return MemorySource(_rebaked(self.scene, body))


def _rebaked(scene: Scene, body: AgentBody | None) -> Scene:
    """Bakes `scene` again for `body`; returns it unchanged if it was baked for that body or `body` is None."""
    if body is None or body == scene.body:
        return scene
    return bake(scene.mesh, scene.name, body, max(1, len(scene.goals)), label_names=scene.label_names)


def file_digests(paths: Iterable[Path]) -> list[str]:
    """Returns the hash of each file's bytes."""
    return [_file_digest(path, *_stamp(path)) for path in paths]


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _file_digest(path: Path, modified_ns: int, size: int) -> str:
    """Returns the hash of a file's bytes; the file is read again only if its time or size changes."""
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
