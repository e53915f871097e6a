"""The user's cache of baked scenes: one file a scene, found again by what went into it.

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

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.baking.scene_file import FORMAT_VERSION, SCENE_SUFFIX
from batchsim.scenes.errors import SceneError

_PACKAGE = Path(__file__).resolve().parents[1]
_BAKING = ("agent_body.py", "errors.py", "labels.py", "mesh.py", "walking/*.py", "baking/bake.py", "baking/bvh*.py")
"""The files in `scenes` that turn a mesh into a scene, as glob patterns; `Scene` and its file only keep the outcome."""


def cache_folder() -> Path:
    """Where baked scenes are kept; not necessarily there yet."""
    if folder := os.environ.get("BATCHSIM_CACHE"):
        return Path(folder).expanduser()
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "batchsim"
    return Path.home() / ".cache" / "batchsim"


@dataclass(frozen=True)
class CacheKey:
    """What a baked scene is made of.

    - `name`: for people; the start of the file's name.
    - `content`: everything that decides the scene but the code: the mesh's hash or the generator's arguments, the body.
    - `code`: a digest of the code that makes it (`code_digest`).
    """

    name: str
    content: str
    code: str

    @property
    def path(self) -> Path:
        """The file in the cache."""
        return cache_folder() / f"{self._stem}{_short_hash(self.code)}{SCENE_SUFFIX}"

    @property
    def _stem(self) -> str:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[-60:]
        return f"{slug}-{_short_hash(self.content)}-"

    def outdated(self) -> list[Path]:
        """Files of the same scene made by other versions of the code."""
        return [path for path in cache_folder().glob(f"{self._stem}*{SCENE_SUFFIX}") if path != self.path]


def cached(key: CacheKey, make: Callable[[], Scene]) -> Scene:
    """The scene under `key`, made by `make` and kept if it is not there (or is damaged: then with a warning).

    Any number of processes may do this at once: each writes a file of its own and the last rename wins.
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
            f"{key.name} is not kept for next time: {error} Set BATCHSIM_CACHE to a folder that can be written.",
            RuntimeWarning,
            stacklevel=2,
        )
    for old in key.outdated():
        old.unlink(missing_ok=True)
    return scene


@cache
def code_digest(*makers: str) -> str:
    """A digest of the file format, of the code that bakes, and of the files that match the glob patterns `makers`.

    It stands for a version number that nobody has to remember to raise.
    """
    digest = blake2b(str(FORMAT_VERSION).encode(), digest_size=16)
    for path in code_files(*makers):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def code_files(*makers: str) -> list[Path]:
    """The files of code that `code_digest` reads, sorted; `makers` are glob patterns in `scenes`."""
    return sorted({path for pattern in (*_BAKING, *makers) for path in _PACKAGE.glob(pattern)})


def _short_hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
