"""Where a scene comes from: light enough to list by the thousand, loaded (baked, cached) only when asked."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_BODY, DEFAULT_NUM_GOALS, bake
from batchsim.scenes.baking.cache import CacheKey, cached, code_digest
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.labels import LABELS
from batchsim.scenes.mesh import Mesh


class SceneSource(ABC):
    """A scene that can be had. `name` says which, and `scenes.load(name)` gives it again."""

    name: str

    @abstractmethod
    def load(self) -> Scene:
        """The scene; baked and cached first if need be. Raises `SceneError` if it cannot be had."""

    @property
    def is_ready(self) -> bool:
        """Whether `load` only has to read, not to bake."""
        return True

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """What the scene's semantic labels mean, as `Scene.label_names`; None where only loading tells."""
        return None

    @abstractmethod
    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> SceneSource:
        """This source, baking for that body and keeping that many goals' distances; None leaves it as it is."""


@dataclass(frozen=True)
class BakedSource(SceneSource):
    """A source whose scene is baked from a mesh, and then found in the cache."""

    body: AgentBody = DEFAULT_BODY
    num_goals: int = DEFAULT_NUM_GOALS

    @abstractmethod
    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """The mesh and the names of its labels."""

    @abstractmethod
    def content(self) -> str:
        """What decides the mesh, but the code."""

    @abstractmethod
    def code(self) -> tuple[str, ...]:
        """Glob patterns of the files in `scenes` that decide the mesh."""

    @property
    def cache_key(self) -> CacheKey:
        """Under which the baked scene is kept."""
        content = f"{self.content()}|{self.body}|{self.num_goals}"
        return CacheKey(self.name, content, code_digest(*self.code()))

    @property
    def is_ready(self) -> bool:
        """Whether the baked scene lies in the cache."""
        return self.cache_key.path.exists()

    def load(self) -> Scene:
        """The scene from the cache, or baked and put there."""
        scene = cached(self.cache_key, self._bake)
        return scene if scene.name == self.name else replace(scene, name=self.name)

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> BakedSource:
        """As `SceneSource.baked_for`."""
        return replace(self, body=body or self.body, num_goals=num_goals or self.num_goals)

    def _bake(self) -> Scene:
        mesh, label_names = self.read_mesh()
        return bake(mesh, self.name, self.body, self.num_goals, label_names=label_names)


@dataclass(frozen=True)
class HomeSource(BakedSource):
    """A generated home."""

    name: str = ""
    seed: int = 0
    detail: str = "low"

    @property
    def label_names(self) -> tuple[str, ...]:
        """Those of all generated scenes."""
        return LABELS

    def content(self) -> str:
        """The generator's arguments."""
        return f"home|{self.seed}|{self.detail}"

    def code(self) -> tuple[str, ...]:
        """The generator."""
        return ("homes/**/*.py",)

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Generate the home."""
        from batchsim.scenes.homes import generate_home

        return generate_home(self.seed, self.detail).mesh, LABELS


@dataclass(frozen=True)
class WorldSource(BakedSource):
    """One of the small known worlds of `batchsim.scenes.sources.worlds`."""

    name: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Those of all generated scenes."""
        return LABELS

    def content(self) -> str:
        """The world's name."""
        return f"world|{self.name}"

    def code(self) -> tuple[str, ...]:
        """The builder of worlds."""
        return ("sources/worlds.py",)

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Build the world."""
        from batchsim.scenes.sources.worlds import build_world

        return build_world(self.name), LABELS


@dataclass(frozen=True)
class MeshFileSource(BakedSource):
    """A 3D file, imported with `up` ("y" or "z") and `scale` (metres per unit of the file)."""

    name: str = ""
    path: Path = Path()
    up: str = "y"
    scale: float = 1.0

    def content(self) -> str:
        """The hash of the file and of those it refers to."""
        from batchsim.scenes.sources.import_checks import files_of

        digests = [_file_digest(path, *_stamp(path)) for path in files_of(self.path)]
        return f"file|{digests}|{self.up}|{self.scale}"

    def code(self) -> tuple[str, ...]:
        """The importer."""
        return ("sources/import*.py",)

    def read_mesh(self) -> tuple[Mesh, tuple[str, ...]]:
        """Import the file."""
        from batchsim.scenes.sources.importer import import_file

        imported = import_file(self.path, self.up, self.scale)
        return imported.mesh, imported.label_names


@dataclass(frozen=True)
class SceneFileSource(SceneSource):
    """A baked file, as it is, or for another body if one is asked for."""

    name: str
    path: Path
    body: AgentBody | None = None

    def load(self) -> Scene:
        """Read the file."""
        return _rebaked(replace(Scene.load(self.path), name=self.name), self.body)

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> SceneFileSource:
        """As `SceneSource.baked_for`; what is baked keeps its goals."""
        return replace(self, body=body or self.body)


@dataclass(frozen=True, eq=False)
class MemorySource(SceneSource):
    """A `Scene` that is in memory already."""

    scene: Scene = field(repr=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The scene's name."""
        return self.scene.name

    @property
    def label_names(self) -> tuple[str, ...]:
        """The scene's."""
        return self.scene.label_names

    def load(self) -> Scene:
        """The scene itself."""
        return self.scene

    def baked_for(self, body: AgentBody | None, num_goals: int | None) -> MemorySource:
        """As `SceneSource.baked_for`; what is baked keeps its goals."""
        return MemorySource(_rebaked(self.scene, body))


def _rebaked(scene: Scene, body: AgentBody | None) -> Scene:
    """`scene` for agents of the shape `body`; itself if that is what it was baked for, or if None is asked for."""
    if body is None or body == scene.body:
        return scene
    return bake(scene.mesh, scene.name, body, max(1, len(scene.goals)), label_names=scene.label_names)


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _file_digest(path: Path, modified_ns: int, size: int) -> str:
    """Hash of a file's bytes, read again only when its time or size changes."""
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
