"""Material libraries (.mtl): colours, textures and the options in front of a texture's name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from batchsim.scenes.mesh import CLAMP, REPEAT
from batchsim.scenes.sources.surfaces.color import srgb_to_linear
from batchsim.scenes.sources.surfaces.images import read_image
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import AlphaMode, Look, Texture
from batchsim.scenes.sources.surfaces.text import decode_text

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tga", ".tif", ".tiff")
# How many words follow an option of a texture; "n" for one to three numbers.
_OPTIONS = {
    "-blendu": "1",
    "-blendv": "1",
    "-boost": "1",
    "-bm": "1",
    "-cc": "1",
    "-clamp": "1",
    "-imfchan": "1",
    "-mm": "2",
    "-o": "n",
    "-s": "n",
    "-t": "n",
    "-texres": "1",
    "-type": "1",
}


@dataclass(frozen=True)
class TextureName:
    """What stands after `map_Kd`: the file, scale and offset of texture coordinates, and whether it is clamped."""

    name: str
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamped: bool = False


@dataclass(frozen=True)
class ObjMaterial:
    """A material of a library. `folder` is that of the library, where its textures are looked for first."""

    name: str
    folder: Path
    color: tuple[float, float, float] | None = None
    alpha: float = 1.0
    texture: TextureName | None = None
    mask: TextureName | None = None


@dataclass(frozen=True)
class ObjLook:
    """A look, and scale and offset of its texture coordinates (v upwards, as in OBJ)."""

    look: Look
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


class Materials:
    """The materials that an OBJ file may use.

    Args:
        files: Access to the file's folder.
        libraries: The text after each `mtllib`.
        report: Whether to warn of what is not found.
    """

    def __init__(self, files: SourceFiles, libraries: list[str], report: bool = True) -> None:
        self._files = files
        self._report = report
        self._materials: dict[str, ObjMaterial] = {}
        self._pixels: dict[Path, np.ndarray] = {}
        self._looks: dict[str, ObjLook] = {}
        for library in self._library_files(libraries):
            for material in parse_library(decode_text(library.read_bytes()), library.parent):
                self._materials.setdefault(material.name, material)
        self._stand_in = None if self._materials else self._image_of_same_name()

    def find_textures(self) -> None:
        """Finds the texture files of all materials, without reading them."""
        for material in self._materials.values():
            for texture in (material.texture, material.mask):
                if texture is not None:
                    self._find(texture.name, material.folder)

    def look(self, name: str) -> ObjLook:
        """Returns the look of a material; one that no library has is white, or shows the image of the file's name."""
        if name not in self._looks:
            material = self._materials.get(name) or self._alike(name)
            self._looks[name] = self._unknown(name) if material is None else self._make(material)
        return self._looks[name]

    def _library_files(self, libraries: list[str]) -> list[Path]:
        found = []
        for line in libraries:
            # Names are separated by blanks, but may also hold some.
            for name in (line,) if self._files.search(line, by_name_alone=True) else line.split():
                file = self._files.search(name, by_name_alone=True)
                if file is not None:
                    found.append(file)
                else:
                    self._missing(name)
        if not found:
            beside = self._files.search(self._files.path.with_suffix(".mtl").name)
            found = [beside] if beside is not None else []
        return found

    def _image_of_same_name(self) -> Path | None:
        stem = self._files.path.stem
        found = (self._files.search(stem + suffix) for suffix in _IMAGE_SUFFIXES)
        return next((file for file in found if file is not None), None)

    def _alike(self, name: str) -> ObjMaterial | None:
        """The only material of almost this name: in another case, or with other characters for those beyond ASCII."""
        for folded in (str.casefold, _ascii):
            found = [material for known, material in self._materials.items() if folded(known) == folded(name)]
            if len(found) == 1:
                return found[0]
        return None

    def _unknown(self, name: str) -> ObjLook:
        if self._stand_in is None:
            if name and self._materials:
                self._missing(name, "material")
            return ObjLook(Look(name))
        return ObjLook(Look(name, texture=Texture(self._read(self._stand_in))))

    def _make(self, material: ObjMaterial) -> ObjLook:
        color = (1.0, 1.0, 1.0) if material.color is None else material.color
        mode = AlphaMode.BLEND if material.alpha < 1 else AlphaMode.OPAQUE
        plain = Look(material.name, color, None, material.alpha, mode)
        use = material.texture
        if use is None:
            return ObjLook(plain)
        file = self._find(use.name, material.folder)
        if file is None:
            return ObjLook(plain)
        wrap = CLAMP if use.clamped else REPEAT
        # Exporters disagree on whether Kd multiplies the texture, and often write it black; so it does not.
        look = replace(plain, base_color=(1.0, 1.0, 1.0), texture=Texture(self._read(file), (wrap, wrap)))
        if material.mask is not None and material.mask.name == use.name:
            look = replace(look, alpha_mode=AlphaMode.MASK)
        return ObjLook(look, use.scale, use.offset)

    def _find(self, name: str, folder: Path) -> Path | None:
        for candidate in dict.fromkeys((name, name.partition(" #")[0])):
            file = self._files.search(candidate, (folder,), by_name_alone=True)
            if file is not None:
                return file
        self._missing(name)
        return None

    def _missing(self, name: str, kind: str = "file") -> None:
        if self._report:
            self._files.report_missing(name, kind)
        elif kind == "file":
            self._files.missing.append(name)

    def _read(self, file: Path) -> np.ndarray:
        if file not in self._pixels:
            self._pixels[file] = read_image(file)
        return self._pixels[file]


def parse_library(text: str, folder: Path) -> list[ObjMaterial]:
    """Returns the materials of a library, in order; malformed lines are ignored."""
    materials: list[ObjMaterial] = []
    for line in text.splitlines():
        keyword, _, rest = line.strip().replace("\t", " ").partition(" ")
        keyword, rest = keyword.lower(), rest.strip()
        if not keyword.startswith("map_"):  # the name of a file may hold such a sign
            rest = rest.partition(" #")[0].strip()
        if keyword == "newmtl":
            materials.append(ObjMaterial(rest, folder))
        elif materials and rest:
            materials[-1] = _with_statement(materials[-1], keyword, rest)
    return materials


def _with_statement(material: ObjMaterial, keyword: str, rest: str) -> ObjMaterial:
    if keyword == "kd":
        red, green, blue = (
            (_numbers(rest) * 3)[:3] if len(_numbers(rest)) == 1 else (*_numbers(rest), 0.0, 0.0, 0.0)[:3]
        )
        linear = srgb_to_linear(np.clip([red, green, blue], 0, 1))
        return replace(material, color=(float(linear[0]), float(linear[1]), float(linear[2])))
    if keyword == "map_kd":
        return replace(material, texture=parse_texture(rest))
    if keyword == "map_d":
        return replace(material, mask=parse_texture(rest))
    if keyword in ("d", "tr") and _numbers(rest):
        alpha = _numbers(rest)[-1] if keyword == "d" else 1 - _numbers(rest)[-1]
        # Programs that mix up the two statements write fully transparent materials: those are meant to be solid.
        return replace(material, alpha=alpha if 0 < alpha < 1 else 1.0)
    return material


def parse_texture(rest: str) -> TextureName:
    """Returns what the text after `map_Kd` says: options, then a name that may hold blanks."""
    scale, offset, clamped = [1.0, 1.0], [0.0, 0.0], False
    while (match := re.match(r"(-[A-Za-z]+)\s+", rest)) and match[1].lower() in _OPTIONS:
        option = match[1].lower()
        rest = rest[match.end() :]
        words = re.findall(r"\S+\s*", rest)
        taken = _numbers_at_start(words) if _OPTIONS[option] == "n" else int(_OPTIONS[option])
        if taken >= len(words):
            taken = len(words) - 1  # the last word is the name
        values = [float(word) for word in words[:taken] if _is_number(word.strip())]
        if option == "-s":
            scale[: len(values)] = values[:2]
        elif option == "-o":
            offset[: len(values)] = values[:2]
        elif option == "-clamp":
            clamped = words[0].strip().lower() == "on"
        rest = rest[sum(len(word) for word in words[:taken]) :]
    return TextureName(rest.strip(), (scale[0], scale[1]), (offset[0], offset[1]), clamped)


def _numbers_at_start(words: list[str]) -> int:
    count = 0
    while count < min(3, len(words)) and _is_number(words[count].strip()):
        count += 1
    return count


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split() if _is_number(word)]


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", word) is not None


def _ascii(name: str) -> str:
    return re.sub(r"[^\x00-\x7f]+", "?", name)
