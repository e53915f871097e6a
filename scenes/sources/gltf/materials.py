"""Materials of glTF files to looks: the colour that a diffuse renderer shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batchsim.scenes.sources.gltf.container import Container
from batchsim.scenes.sources.gltf.header import (
    EmissiveStrength,
    GltfMaterial,
    SpecularGlossiness,
    TextureInfo,
    Vec3,
    Vec4,
    extension,
)
from batchsim.scenes.sources.gltf.textures import Textures
from batchsim.scenes.sources.surfaces.surface import PLAIN, AlphaMode, Look

# A base colour below this is black: 1 / 255 in sRGB.
_BLACK = 1 / 255 / 12.92


@dataclass(frozen=True)
class GltfLook:
    """A look, and which texture coordinates it needs (see `TextureUse`)."""

    look: Look
    uv_set: int = 0
    transform: np.ndarray | None = None


class Materials:
    """Gives the look of each material of a glTF file; `full_size` as in `Textures`."""

    def __init__(self, container: Container, full_size: bool = False) -> None:
        self._materials = container.header.materials
        self._textures = Textures(container, full_size)
        self._looks: dict[int, GltfLook] = {}

    def look(self, index: int | None) -> GltfLook:
        """Returns the look of a material; None is glTF's default, plain white."""
        if index is None:
            return GltfLook(PLAIN)
        if index not in self._looks:
            self._looks[index] = self._make(self._materials[index])
        return self._looks[index]

    def _make(self, material: GltfMaterial) -> GltfLook:
        factor, info = _diffuse(material)
        emission = _emission(material)
        if max(factor[:3]) < _BLACK and max(emission) >= _BLACK:
            # The surface only shines: what it emits is its colour.
            factor, info = (*emission, factor[3]), material.emissiveTexture
        use = self._textures.use(info)
        mode = material.alphaMode if material.alphaMode in AlphaMode.__members__ else "OPAQUE"
        look = Look(
            material.name,
            factor[:3],
            None if use is None else use.texture,
            factor[3],
            AlphaMode(mode),
            material.alphaCutoff,
        )
        return GltfLook(look) if use is None else GltfLook(look, use.uv_set, use.transform)


def _diffuse(material: GltfMaterial) -> tuple[Vec4, TextureInfo | None]:
    """Linear colour with alpha in [0, 1], and the texture it multiplies."""
    glossy = extension(material.extensions, "KHR_materials_pbrSpecularGlossiness", SpecularGlossiness)
    if glossy is not None:
        factor, info = glossy.diffuseFactor, glossy.diffuseTexture
    else:
        standard = material.pbrMetallicRoughness
        factor, info = standard.baseColorFactor, standard.baseColorTexture
    red, green, blue, alpha = (min(max(value, 0.0), 1.0) for value in factor)
    return (red, green, blue, alpha), info


def _emission(material: GltfMaterial) -> Vec3:
    found = extension(material.extensions, "KHR_materials_emissive_strength", EmissiveStrength)
    strength = 1.0 if found is None else found.emissiveStrength
    red, green, blue = (min(max(value * strength, 0.0), 1.0) for value in material.emissiveFactor)
    return red, green, blue
