"""Materials of USD meshes (UsdPreviewSurface) to looks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import CLAMP, MIRROR, REPEAT, Wrap
from batchsim.scenes.sources.surfaces.images import decode_image
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import PLAIN, AlphaMode, Look, Texture

_WRAPS: dict[str, Wrap] = {"repeat": REPEAT, "clamp": CLAMP, "mirror": MIRROR, "black": CLAMP}
_DEFAULT_UVS = "st"


class UsdMaterials:
    """Gives the materials of meshes and their looks; every image is decoded once."""

    def __init__(self, files: SourceFiles) -> None:
        self.path = files.path
        self._files = files
        self._looks: dict[str, tuple[Look, str]] = {}
        self._pixels: dict[str, np.ndarray] = {}

    def subsets(self, mesh: Any, num_faces: int) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Yields the materials of a mesh and the faces that have them; None stands for all faces."""
        from pxr import UsdShade

        binding = UsdShade.MaterialBindingAPI(mesh)
        rest = np.ones(num_faces, bool)
        for subset in binding.GetMaterialBindSubsets():
            faces = np.array(subset.GetIndicesAttr().Get() or [], np.int64)
            faces = faces[(faces >= 0) & (faces < num_faces)]
            rest[faces] = False
            yield UsdShade.MaterialBindingAPI(subset).ComputeBoundMaterial()[0], faces
        yield binding.ComputeBoundMaterial()[0], None if rest.all() else np.flatnonzero(rest)

    def look(self, material: Any) -> tuple[Look, str]:
        """Returns the look of a material and the name of its texture coordinates."""
        if not material:
            return PLAIN, _DEFAULT_UVS
        key = str(material.GetPath())
        if key not in self._looks:
            self._looks[key] = self._make(material)
        return self._looks[key]

    def _make(self, material: Any) -> tuple[Look, str]:
        name = material.GetPath().name
        shader = material.ComputeSurfaceSource()[0]
        if not shader:
            return Look(name), _DEFAULT_UVS
        color, texture, uv_name = (1.0, 1.0, 1.0), None, _DEFAULT_UVS
        source = _source(shader, "diffuseColor")
        if source is not None:
            texture, uv_name = self._texture(source), _uv_name(source)
        else:
            value = _value(shader, "diffuseColor")
            red, green, blue = (0.18, 0.18, 0.18) if value is None else (min(max(float(v), 0.0), 1.0) for v in value)
            color = (red, green, blue)
        opacity = _value(shader, "opacity")
        alpha = 1.0 if opacity is None else min(max(float(opacity), 0.0), 1.0)
        threshold = float(_value(shader, "opacityThreshold") or 0.0)
        mode = AlphaMode.MASK if threshold > 0 else AlphaMode.BLEND
        if alpha == 1 and _source(shader, "opacity") is None:
            mode = AlphaMode.OPAQUE
        return Look(name, color, texture, alpha, mode, threshold or 0.5), uv_name

    def _texture(self, shader: Any) -> Texture | None:
        asset = _value(shader, "file")
        if asset is None or not asset.resolvedPath:
            return None
        key = asset.resolvedPath
        if key not in self._pixels:
            self._pixels[key] = decode_image(self._read(key), f"{self.path}: image {asset.path}")
        wrap = (_WRAPS.get(str(_value(shader, name)), REPEAT) for name in ("wrapS", "wrapT"))
        return Texture(self._pixels[key], (next(wrap), next(wrap)))

    def _read(self, path: str) -> bytes:
        package, _, inside = path.partition("[")
        self._files.admit(Path(package))
        if not inside:
            return Path(path).read_bytes()
        with zipfile.ZipFile(package) as archive:
            entry = archive.getinfo(inside.rstrip("]"))
            if entry.compress_type != zipfile.ZIP_STORED:
                raise SceneError(f"{self.path}: {entry.filename} is compressed, which .usdz files do not allow.")
            return archive.read(entry)


def _source(shader: Any, name: str) -> Any | None:
    """The shader that is connected to an input."""
    found = shader.GetInput(name)
    sources = found.GetConnectedSources()[0] if found else []
    if not sources:
        return None
    from pxr import UsdShade

    return UsdShade.Shader(sources[0].source.GetPrim())


def _value(shader: Any, name: str) -> Any | None:
    found = shader.GetInput(name)
    return found.Get() if found else None


def _uv_name(texture: Any) -> str:
    reader = _source(texture, "st")
    if reader is not None and reader.GetIdAttr().Get() == "UsdTransform2d":
        reader = _source(reader, "in")
    name = None if reader is None else _value(reader, "varname")
    return str(name) if name else _DEFAULT_UVS
