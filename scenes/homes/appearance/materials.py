"""Palettes: the colour and texture of each named surface of a home."""

from __future__ import annotations

import colorsys
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from batchsim.scenes.homes.appearance.textures import draw
from batchsim.scenes.homes.geometry.shapes import Parts
from batchsim.scenes.labels import LABEL_ID, LABELS
from batchsim.scenes.mesh import NO_TEXTURE, Material, Mesh

PALETTES = 8
_NOT_OBJECTS = ("nothing", "floor", "ceiling", "wall")

Colour = tuple[float, float, float]
Range = tuple[float, float]


class Surface(NamedTuple):
    """A linear colour, the name of the texture it multiplies (if any), and the metres that one repeat covers."""

    colour: Colour
    texture: str | None = None
    metres: float = 1.0


@lru_cache(maxsize=PALETTES)
def palette(index: int) -> dict[str, Surface]:
    """Returns every surface by name; the same for all homes with this palette."""
    rng = np.random.default_rng(np.random.SeedSequence((index, 0x484F4D45)))
    surfaces = _fixed() | _chosen(rng) | _walls_and_floors(rng, index)
    return {name: surface._replace(colour=_linear(surface.colour)) for name, surface in surfaces.items()}


@lru_cache(maxsize=16 * PALETTES)
def texture(index: int, name: str) -> np.ndarray:
    """Returns a texture of a palette, uint8 `[128, 128, 3]` sRGB; all homes with this palette share the array."""
    image = draw(name, np.random.default_rng(np.random.SeedSequence((index, zlib.crc32(name.encode())))))
    image.setflags(write=False)
    return image


def to_mesh(parts: Parts, index: int) -> Mesh:
    """Returns a mesh of `parts` in the colours and textures of a palette; lists only the materials in use."""
    surfaces = palette(index)
    used = sorted({name for name, _ in parts.surfaces})
    number = {name: k for k, name in enumerate(used)}
    materials = np.repeat([number[name] for name, _ in parts.surfaces], [count for _, count in parts.surfaces])
    images = sorted({name for surface in map(surfaces.__getitem__, used) if (name := surface.texture)})
    table = tuple(
        Material(name, s.colour, images.index(s.texture) if s.texture else NO_TEXTURE)
        for name, s in ((name, surfaces[name]) for name in used)
    )
    metres = np.array([surfaces[name].metres for name in used])
    labels = np.repeat([label for label, _ in parts.labels], [count for _, count in parts.labels])
    return Mesh(
        # Rounding to 10 micrometres makes corners that meet agree to the last bit.
        np.round(np.concatenate(parts.triangles), 5),
        np.concatenate(parts.uvs) / metres[materials][:, None, None],
        materials,
        labels,
        table,
        tuple(texture(index, name) for name in images),
        _instances(np.repeat(*np.array(parts.objects).T), labels),
    )


def _instances(objects: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Numbers from 1 for the parts of objects that share a label: a basin and the cabinet under it are two."""
    pair = objects.astype(np.int64) * len(LABELS) + labels
    pair[(objects == 0) | np.isin(labels, [LABEL_ID[name] for name in _NOT_OBJECTS])] = -1
    distinct, number = np.unique(pair, return_inverse=True)
    return number.reshape(-1) + (0 if distinct[0] == -1 else 1)


def _fixed() -> dict[str, Surface]:
    """Returns the surfaces that look the same in every home."""
    return {
        "ceiling": Surface((0.97, 0.97, 0.96), "plaster"),
        "frame": Surface((0.93, 0.93, 0.91)),
        "glass": Surface((1.0, 1.0, 1.0), "view"),
        "linen": Surface((0.97, 0.96, 0.92), "fabric", 0.15),
        "white": Surface((0.93, 0.93, 0.93)),
        "white_wood": Surface((0.95, 0.94, 0.91)),
        "ceramic": Surface((0.95, 0.95, 0.94)),
        "metal": Surface((0.62, 0.63, 0.65)),
        "dark": Surface((0.09, 0.09, 0.1)),
        "display": Surface((0.12, 0.15, 0.2)),
        "mirror": Surface((0.75, 0.8, 0.83)),
        "shade": Surface((0.97, 0.92, 0.78)),
        "fruit": Surface((0.75, 0.2, 0.12)),
        "rug_0": Surface((1.0, 1.0, 1.0), "rug_0"),
        "rug_1": Surface((1.0, 1.0, 1.0), "rug_1"),
        "pattern": Surface((1.0, 1.0, 1.0), "pattern", 0.35),
        **{f"picture_{k}": Surface((1.0, 1.0, 1.0), f"picture_{k}") for k in range(4)},
    }


def _chosen(rng: np.random.Generator) -> dict[str, Surface]:
    """Returns the surfaces whose colour depends on the palette."""
    wood = _tone(rng, (0.07, 0.1), (0.35, 0.6), (0.65, 0.95))
    dark_wood = _tone(rng, (0.04, 0.08), (0.45, 0.65), (0.28, 0.48))
    fabric = _tone(rng, (0.0, 1.0), (0.08, 0.35), (0.45, 0.8))
    return {
        "wood": Surface(wood, "wood", 0.5),
        "dark_wood": Surface(dark_wood, "wood", 0.5),
        "door": Surface(wood, "wood", 0.8) if rng.random() < 0.4 else Surface((0.92, 0.91, 0.88)),
        "threshold": Surface(dark_wood, "wood", 0.5),
        "fabric": Surface(fabric, "fabric", 0.2),
        "accent": Surface(_tone(rng, (0.0, 1.0), (0.35, 0.65), (0.45, 0.8)), "fabric", 0.2),
        "rug_edge": Surface(fabric),
        "leather": Surface(_tone(rng, (0.03, 0.07), (0.45, 0.65), (0.3, 0.5))),
        "kitchen_front": Surface(_tone(rng, (0.0, 1.0), (0.03, 0.3), (0.55, 0.95))),
        "stone": Surface(_tone(rng, (0.05, 0.15), (0.02, 0.12), (0.35, 0.95)), "stone", 0.6),
        "leaf": Surface(_tone(rng, (0.27, 0.34), (0.5, 0.7), (0.35, 0.55))),
        "pot": Surface(_tone(rng, (0.02, 0.08), (0.3, 0.6), (0.5, 0.75))),
        **{f"book_{k}": Surface(_tone(rng, (0.0, 1.0), (0.3, 0.7), (0.3, 0.7))) for k in range(4)},
    }


def _walls_and_floors(rng: np.random.Generator, index: int) -> dict[str, Surface]:
    """Returns walls and floors by kind of room: wood or tiled floors; plaster, wallpaper, brick or tiles on walls."""
    plank = _tone(rng, (0.06, 0.1), (0.25, 0.55), (0.6, 0.95))
    plain = _tone(rng, (0.06, 0.16), (0.02, 0.1), (0.93, 1.0))
    surfaces = {}
    for kind in ("living", "bedroom", "study", "hall", "dining"):
        tint = _tone(rng, (0.0, 1.0), (0.04, 0.2), (0.85, 0.98))
        surfaces[f"floor_{kind}"] = Surface(plank, "parquet", 1.2)
        surfaces[f"wall_{kind}"] = Surface(plain if rng.random() < 0.5 else tint, "plaster")
    papered = str(rng.choice(["bedroom", "study", "dining"]))
    surfaces[f"wall_{papered}"] = surfaces[f"wall_{papered}"]._replace(texture="wallpaper", metres=0.8)
    if index % 4 == 3:
        surfaces["wall_living"] = Surface((1.0, 1.0, 1.0), "brick", 0.9)
    for kind, metres in (("kitchen", 1.6), ("bath", 1.2)):
        surfaces[f"floor_{kind}"] = Surface(_tone(rng, (0.0, 0.6), (0.02, 0.15), (0.5, 0.85)), "floor_tile", metres)
    surfaces["wall_bath"] = Surface(_tone(rng, (0.1, 0.6), (0.02, 0.18), (0.88, 1.0)), "wall_tile", 0.9)
    surfaces["wall_kitchen"] = Surface(_tone(rng, (0.1, 0.3), (0.02, 0.15), (0.9, 1.0)), "plaster")
    return surfaces


def _tone(rng: np.random.Generator, hue: Range, saturation: Range, value: Range) -> Colour:
    """Returns a random sRGB colour from ranges of hue, saturation and value, all in [0, 1]."""
    return colorsys.hsv_to_rgb(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def _linear(colour: Colour) -> Colour:
    """Converts sRGB to linear light (IEC 61966-2-1)."""
    red, green, blue = (float(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in colour)
    return red, green, blue
