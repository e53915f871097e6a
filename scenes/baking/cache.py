"""The user's cache of baked scenes: one file for each scene, named by a hash of what it was made from.

The folder is `BATCHSIM_CACHE`, else `XDG_CACHE_HOME/batchsim`, else `~/.cache/batchsim`. It may be deleted at any time.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from batchsim.scenes.baking.code_digest import code_digest
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.baking.scene_file import FORMAT_VERSION, SCENE_SUFFIX
from batchsim.scenes.errors import SceneError

_PACKAGE = Path(__file__).resolve().parents[1]
_BAKING = (
    "agent_body.py",
    "errors.py",
    "labels.py",
    "mesh.py",
    "categories.py",
    "walking/*.py",
    "objects/*.py",
    "baking/bake.py",
    "baking/bvh*.py",
)
"""Glob patterns of the files in `scenes` that turn a mesh into a scene. `Scene` and its file only hold the result."""


def cache_folder() -> Path:
    """Returns the folder of baked scenes, which may not exist yet.

    Raises:
        SceneError: If it is in the home folder, and the user has none.
    """
    try:
        if folder := os.environ.get("BATCHSIM_CACHE"):
            return Path(folder).expanduser()
        if folder := os.environ.get("XDG_CACHE_HOME"):
            return Path(folder) / "batchsim"
        return Path.home() / ".cache" / "batchsim"
    except RuntimeError as error:
        raise SceneError(
            f"The folder for baked scenes cannot be determined ({error}) Set BATCHSIM_CACHE to a writable folder."
        ) from error


@dataclass(frozen=True)
class CacheKey:
    """What a baked scene is made from.

    - `name`: the scene's name, which the file's name starts with.
    - `content`: everything that decides the scene except code: the mesh's hash or the generator's arguments, the body.
    - `code`: a digest of the code that makes the scene (`baking_code_digest`).
    """

    name: str
    content: str
    code: str

    @property
    def path(self) -> Path:
        """The scene's file in the cache."""
        return cache_folder() / f"{self._stem}{_short_hash(self.code)}{SCENE_SUFFIX}"

    @property
    def _stem(self) -> str:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[-60:]
        return f"{slug}-{_short_hash(self.content)}-"

    def outdated(self) -> list[Path]:
        """Returns the files of the same scene that other versions of the code made."""
        return [path for path in cache_folder().glob(f"{self._stem}*{SCENE_SUFFIX}") if path != self.path]


def cached(key: CacheKey, make: Callable[[], Scene]) -> Scene:
    """Returns the scene under `key`; if it is missing, or damaged (with a warning), calls `make` and keeps the result.

    Safe in several processes at once: each writes its own temporary file, and the last rename wins.
    """
    path = key.path
    if path.exists():
        try:
            return Scene.load(path)
        except SceneError as error:
            warnings.warn(f"Baking {key.name} again: {error}", RuntimeWarning, stacklevel=2)
    scene = make()
    try:
        scene.save(path)
    except SceneError as error:
        warnings.warn(
            f"{key.name} could not be cached and will be baked again next time: {error} Set BATCHSIM_CACHE to a "
            "writable folder.",
            RuntimeWarning,
            stacklevel=2,
        )
    for old in key.outdated():
        old.unlink(missing_ok=True)
    return scene


@cache
def baking_code_digest(*makers: str) -> str:
    """Returns a digest of the file format and of the code that makes scenes, used in place of a version number.

    Args:
        *makers: Glob patterns in `scenes`, of the files that supply the meshes.
    """
    return code_digest(code_files(*makers), salt=str(FORMAT_VERSION))


def code_files(*makers: str) -> list[Path]:
    """Returns the files that `baking_code_digest` reads, sorted; `makers` as there."""
    return sorted({path for pattern in (*_BAKING, *makers) for path in _PACKAGE.glob(pattern)})


def _short_hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
