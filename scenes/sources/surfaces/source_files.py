"""Access to the files that a 3D file refers to: only inside an allowed folder, and every one of them recorded.

The default allows the folder of the file and the folders beside it, such as `../textures/`. A `root` allows everything
inside that folder. Symbolic links are followed before the check; if the file itself is a link, the folder that it leads
to is allowed too, in which stores such as Hugging Face's cache keep all files of a dataset.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from pathlib import Path, PurePosixPath

from batchsim.scenes.errors import SceneError

_ABSOLUTE = re.compile(r"^([A-Za-z]:|/|~|[A-Za-z][A-Za-z0-9+.-]+://)")


class SourceFiles:
    """Finds and records the files that belong to `path`.

    Args:
        path: The 3D file.
        root: The folder outside which nothing is read; None allows the folder of `path` and the folders beside it.

    Attributes:
        found: The files found so far, `path` first.
        missing: The names of those not found.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path = path
        self.folder = path.parent.resolve()
        self._store = path.resolve().parent
        self._root = None if root is None else root.resolve()
        self.found = [path]
        self.missing: list[str] = []
        if self._root is not None and not self.folder.is_relative_to(self._root):
            raise SceneError(f"{path}: lies outside root={root}; root must be a folder above the file.")

    def find(self, name: str, folders: tuple[Path, ...] = (), by_name_alone: bool = False) -> Path | None:
        """Returns the file that `name` refers to, or None, after a warning, if there is none.

        Args:
            name: A relative path; backslashes, another case of letters and absolute paths of other machines are
                understood.
            folders: Where to look besides the folder of the 3D file; searched first.
            by_name_alone: Whether a file of the same name in one of these folders will do. It always does for an
                absolute path.

        Raises:
            SceneError: If the file exists but lies outside the folders that may be read.
        """
        found = self.search(name, folders, by_name_alone)
        if found is None:
            self.report_missing(name)
        return found

    def search(self, name: str, folders: tuple[Path, ...] = (), by_name_alone: bool = False) -> Path | None:
        """Does what `find` does, without a warning."""
        relative = name.strip().strip('"').replace("\\", "/")
        absolute = _ABSOLUTE.match(relative)
        candidates = [] if absolute else [PurePosixPath(relative)]
        if absolute or by_name_alone:
            candidates.append(PurePosixPath(PurePosixPath(relative).name))
        for candidate in candidates:
            for folder in (*folders, self.folder):
                found = _existing(folder, candidate)
                if found is not None:
                    self._check_allowed(found, name)
                    if found not in self.found:
                        self.found.append(found)
                    return found
        return None

    def admit(self, file: Path) -> None:
        """Records a file that a library found by itself; `SceneError` if it may not be read."""
        file = file.resolve()
        self._check_allowed(file, str(file))
        if file not in self.found and file != self.path.resolve():
            self.found.append(file)

    def report_missing(self, name: str, kind: str = "file") -> None:
        """Warns, once for each name, that a file or a material was not found."""
        if name not in self.missing:
            self.missing.append(name)
            warnings.warn(f"{self.path}: the {kind} {name!r} that it refers to was not found.", stacklevel=2)

    def _check_allowed(self, file: Path, name: str) -> None:
        if self._root is not None:
            allowed = file.is_relative_to(self._root)
        else:
            above = self.folder.parent
            beside = file.is_relative_to(above) and file.parent != above
            allowed = beside or any(file.is_relative_to(place) for place in (self.folder, self._store))
        if not allowed:
            raise SceneError(
                f"{self.path}: refers to {name!r}, outside its own folder and the folders beside it"
                f"{'' if self._root is None else f' (root={self._root})'}. "
                f"Put that file beside it, or allow a folder that holds both with root."
            )


def _existing(folder: Path, name: PurePosixPath) -> Path | None:
    """Returns the file `name` in `folder`, resolved; each part may differ in case or Unicode form."""
    try:
        plain = folder / name
        if plain.is_file():
            return plain.resolve()
        current = folder
        for part in name.parts:
            if part in (".", ".."):
                current = current / part
                continue
            entry = current / part
            if not entry.exists():
                if not current.is_dir():
                    return None
                alike = sorted(other for other in current.iterdir() if _folded(other.name) == _folded(part))
                if not alike:
                    return None
                entry = alike[0]
            current = entry
        return current.resolve() if current.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
