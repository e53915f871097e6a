"""USD files (.usd .usda .usdc .usdz) to surfaces, read by usd-core and converted to metres with y up."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.sources.other_formats.usd_materials import UsdMaterials
from batchsim.scenes.sources.surfaces.polygons import triangulate
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import Surface, check_count

USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")

_Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)
_MAX_PRIMS = 300_000
_SHOWN_PURPOSES = ("default", "render")


def read_usd(files: SourceFiles) -> Iterator[Surface]:
    """Yields the surfaces of a USD file, one for each material of each mesh.

    Raises:
        SceneError: If the file is damaged, has too many triangles, or usd-core is not installed.
    """
    usd_files(files)
    stage = _open(files.path)
    from pxr import UsdGeom

    metres = UsdGeom.GetStageMetersPerUnit(stage)
    turn = _Z_UP_TO_Y_UP if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
    materials = UsdMaterials(files)
    count = 0
    for prim, transform in _meshes(stage, files.path):
        placed = transform.copy()
        placed[:, :3] = transform[:, :3] @ turn.T * metres
        for surface in _surfaces(UsdGeom.Mesh(prim), placed, materials):
            count += len(surface.triangles)
            check_count(files.path, count)
            yield surface


def usd_files(files: SourceFiles) -> None:
    """Finds the layers and textures that a USD file refers to; `SceneError` if one may not be read."""
    _check_installed(files.path)
    from pxr import UsdUtils

    try:
        layers, assets, missing = UsdUtils.ComputeAllDependencies(str(files.path))
    except Exception as error:
        raise _damaged(files.path, error) from error
    names = [layer.realPath for layer in layers] + list(assets)
    for name in names:
        plain = name.partition("[")[0]  # "file.usdz[texture.png]" is inside the file
        if plain:
            files.admit(Path(plain))
    for name in missing:
        files.report_missing(name)


def _open(path: Path) -> Any:
    from pxr import Usd

    try:
        return Usd.Stage.Open(str(path))
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SceneError:
    return SceneError(f"{path}: damaged, cannot be read as USD ({first_line(error)}). Export or copy it again.")


def _check_installed(path: Path) -> None:
    if find_spec("pxr") is None:
        raise SceneError(f"{path}: {path.suffix} files need usd-core: pip install 'batchsim[usd]'.")


def _meshes(stage: Any, path: Path) -> Iterator[tuple[Any, np.ndarray]]:
    """Yields the visible meshes and their transforms float64 `[4, 4]`, for row vectors."""
    from pxr import Usd, UsdGeom

    cache = UsdGeom.XformCache()
    skipped: set[str] = set()
    for count, prim in enumerate(stage.Traverse(Usd.TraverseInstanceProxies())):
        if count > _MAX_PRIMS:  # instances of instances may be billions
            raise SceneError(f"{path}: places more than {_MAX_PRIMS:,} prims, which is too many.")
        if not prim.IsA(UsdGeom.Gprim):
            if prim.IsA(UsdGeom.PointInstancer):
                skipped.add("PointInstancer")
            continue
        shape = UsdGeom.Imageable(prim)
        if shape.ComputeVisibility() == "invisible" or shape.ComputePurpose() not in _SHOWN_PURPOSES:
            continue
        if not prim.IsA(UsdGeom.Mesh):
            skipped.add(str(prim.GetTypeName()))
            continue
        yield prim, np.array(cache.GetLocalToWorldTransform(prim), np.float64)
    if skipped:
        warnings.warn(f"{path}: holds {', '.join(sorted(skipped))}, of which only meshes are imported.", stacklevel=2)


def _surfaces(mesh: Any, transform: np.ndarray, materials: UsdMaterials) -> Iterator[Surface]:
    from pxr import UsdGeom

    points = np.array(mesh.GetPointsAttr().Get() or [], np.float64).reshape(-1, 3)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get() or [], np.int64)
    corners = np.array(mesh.GetFaceVertexIndicesAttr().Get() or [], np.int64)
    if counts.sum() != len(corners) or (len(corners) and not 0 <= corners.min() <= corners.max() < len(points)):
        raise SceneError(f"{materials.path}: damaged: the faces of {mesh.GetPath()} do not fit its points.")
    place, owner = triangulate(points, corners, counts)
    flipped = (mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded) != (np.linalg.det(transform[:3, :3]) < 0)
    if flipped:
        place = place[:, ::-1]
    positions = points @ transform[:3, :3] + transform[3, :3]
    tints = _tints(mesh, corners, place, owner)
    for material, faces in materials.subsets(mesh, len(counts)):
        mine = np.isin(owner, faces) if faces is not None else np.ones(len(owner), bool)
        if not mine.any():
            continue
        look, uv_name = materials.look(material)
        uvs = _per_corner(mesh, uv_name, corners, place[mine], owner[mine])
        if uvs is not None:
            uvs = (uvs[..., :2] * [1, -1] + [0, 1]).astype(np.float32)
        path = mesh.GetPath()
        yield Surface(
            positions[corners[place[mine]]],
            uvs,
            look,
            (path.name, path.GetParentPath().name),
            str(path),
            None if tints is None or material else tints[mine],
        )


def _per_corner(mesh: Any, name: str, corners: np.ndarray, place: np.ndarray, owner: np.ndarray) -> np.ndarray | None:
    """A primvar at the corners of triangles, `[T, 3, n]`, whatever it is stored for; None if it is not there."""
    from pxr import UsdGeom

    primvar = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance(name)
    values = primvar.ComputeFlattened() if primvar and primvar.HasValue() else None
    if values is None or not len(values):
        return None
    table = np.array(values, np.float64)
    table = table.reshape(len(table), -1)
    at = {"faceVarying": place, "vertex": corners[place], "varying": corners[place], "uniform": owner[:, None]}
    index = at.get(str(primvar.GetInterpolation()), np.zeros_like(place))
    if len(index) and int(index.max()) >= len(table):
        return None
    return np.broadcast_to(table[index], (*place.shape, table.shape[1]))


def _tints(mesh: Any, corners: np.ndarray, place: np.ndarray, owner: np.ndarray) -> np.ndarray | None:
    """`displayColor`, which USD keeps linear, float32 `[T, 4]`."""
    colors = _per_corner(mesh, "displayColor", corners, place, owner)
    if colors is None or colors.shape[2] != 3:
        return None
    linear = np.clip(colors.mean(1), 0, 1)
    return np.concatenate([linear, np.ones((len(linear), 1))], 1).astype(np.float32)
