"""Imports 3D files: chooses the reader for the file's kind and assembles what it reads into a `Mesh`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import Mesh
from batchsim.scenes.sources.assembly.assemble import assemble
from batchsim.scenes.sources.assembly.placement import UP_AXES, Placement
from batchsim.scenes.sources.assembly.transparency import ALPHA_POLICIES, AlphaPolicy
from batchsim.scenes.sources.gltf.reader import gltf_files, read_gltf
from batchsim.scenes.sources.obj.reader import obj_files, read_obj
from batchsim.scenes.sources.other_formats.collada_files import collada_files
from batchsim.scenes.sources.other_formats.trimesh_reader import TRIMESH_SUFFIXES, read_with_trimesh
from batchsim.scenes.sources.other_formats.usd_reader import USD_SUFFIXES, read_usd, usd_files
from batchsim.scenes.sources.ply.reader import ply_files, read_ply
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import Surface
from batchsim.scenes.user_files import reading

Reader = Callable[[SourceFiles], Iterator[Surface]]

_READERS: dict[str, Reader] = {
    ".glb": read_gltf,
    ".gltf": read_gltf,
    ".obj": read_obj,
    ".ply": read_ply,
    **dict.fromkeys(TRIMESH_SUFFIXES, read_with_trimesh),
    **dict.fromkeys(USD_SUFFIXES, read_usd),
}
_FINDERS: dict[str, Callable[[SourceFiles], None]] = {
    ".glb": gltf_files,
    ".gltf": gltf_files,
    ".obj": obj_files,
    ".ply": ply_files,
    ".dae": collada_files,
    **dict.fromkeys(USD_SUFFIXES, usd_files),
}
MESH_SUFFIXES = tuple(_READERS)


@dataclass(frozen=True)
class Imported:
    """A mesh and what its labels mean: the names of `batchsim.scenes.labels.LABELS`, then those of the file."""

    mesh: Mesh
    label_names: tuple[str, ...]


def import_file(
    path: str | PathLike[str],
    up: str = "y",
    scale: float = 1.0,
    alpha: AlphaPolicy = "auto",
    root: str | PathLike[str] | None = None,
    force: bool = False,
) -> Imported:
    """Reads a 3D file.

    Nodes are placed as their transforms say, and instances are repeated. Base colours and textures are kept, textures
    at most 1024 pixels wide and high; colours of vertices are averaged over each triangle. A triangle's label is the
    name of its node, mesh, group or material, the first that says something ("Chair.003" is "chair"); a name of
    `LABELS` has the number it has there.

    Args:
        path: The file.
        up: The file's upward axis: "y" (as glTF prescribes), "z", "-y" or "-z". Formats that state their axis and
            unit themselves (.usd, .dae) are converted to y up and metres first.
        scale: Metres per unit of the file.
        alpha: What becomes of transparent surfaces. "auto" follows the file: masked ones are cut out at their texture's
            alpha, blended ones are left out where alpha is below one half. "solid" keeps everything. "clear" leaves
            out all that blends.
        root: The folder outside which no other file (buffer, texture, library) is read; None allows the folder of the
            file and the folders beside it.
        force: Import the file even if it appears not to be in metres, or not to have y up.

    Raises:
        SceneError: If the file cannot be used; the message names it and says what to do.
    """
    path = Path(path)
    reader = _READERS[_kind(path)]
    if up not in UP_AXES:
        raise SceneError(f"{path}: up is {up!r}; expected one of {_listed(tuple(UP_AXES))}.")
    if alpha not in ALPHA_POLICIES:
        raise SceneError(f"{path}: alpha is {alpha!r}; expected one of {_listed(ALPHA_POLICIES)}.")
    if not 0 < scale < float("inf"):
        raise SceneError(f"{path}: scale is {scale!r}; expected a positive number.")
    files = _open(path, root)
    with reading(path, f"a {_kind(path)} file"):
        return Imported(*assemble(reader(files), path, Placement(up, scale, force), alpha))


def read_surfaces(path: str | PathLike[str]) -> list[Surface]:
    """Reads a 3D file as it is, in its own units and axes; raises `SceneError` if it cannot be used."""
    path = Path(path)
    reader = _READERS[_kind(path)]
    files = _open(path, None)
    with reading(path, f"a {_kind(path)} file"):
        return list(reader(files))


def files_of(path: str | PathLike[str], root: str | PathLike[str] | None = None) -> list[Path]:
    """Returns `path` and the files it refers to (buffers, images, material libraries) that exist.

    Raises:
        SceneError: If `path` is damaged, or refers to a file outside the folders that may be read (see `import_file`).
    """
    return _found(Path(path), root).found


def missing_of(path: str | PathLike[str], root: str | PathLike[str] | None = None) -> list[str]:
    """Returns the names of the files that `path` refers to and that do not exist; raises as `files_of` does."""
    return _found(Path(path), root).missing


def _found(path: Path, root: str | PathLike[str] | None) -> SourceFiles:
    finder = _FINDERS.get(_kind(path))
    files = _open(path, root)
    if finder is not None:
        with reading(path, f"a {_kind(path)} file"):
            finder(files)
    return files


def _open(path: Path, root: str | PathLike[str] | None) -> SourceFiles:
    if not path.is_file():
        raise SceneError(f"{path}: no such file.")
    if not path.stat().st_size:
        raise SceneError(f"{path}: the file is empty.")
    return SourceFiles(path, None if root is None else Path(root))


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in _READERS:
        raise SceneError(
            f"{path}: cannot import {kind or 'a file without extension'}; expected {_listed(MESH_SUFFIXES)}."
        )
    return kind


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
