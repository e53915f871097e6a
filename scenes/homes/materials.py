"""The surfaces of a home: which colour and texture each named surface has in a palette."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np

from scenes.mesh import Material

PALETTES = 8


@lru_cache(maxsize=PALETTES)
def palette(index: int) -> dict[str, Material]:
    """Surface name -> material, the same for every home of a palette."""
    rng = np.random.default_rng(np.random.SeedSequence((index, 0x484F4D45)))
    wood = _tone(rng, (0.06, 0.10), (0.35, 0.6), (0.45, 0.75))
    dark_wood = _tone(rng, (0.04, 0.09), (0.4, 0.6), (0.2, 0.4))
    fabric = _tone(rng, (0.0, 1.0), (0.2, 0.5), (0.35, 0.7))
    accent = _tone(rng, (0.0, 1.0), (0.4, 0.75), (0.4, 0.75))
    wall = _tone(rng, (0.05, 0.16), (0.02, 0.12), (0.85, 0.95))
    colours = {
        "ceiling": (0.93, 0.93, 0.92),
        "frame": (0.9, 0.9, 0.88),
        "threshold": dark_wood,
        "door": _tone(rng, (0.05, 0.1), (0.05, 0.5), (0.6, 0.9)),
        "glass": (0.6, 0.75, 0.9),
        "wood": wood,
        "dark_wood": dark_wood,
        "fabric": fabric,
        "accent": accent,
        "linen": (0.9, 0.89, 0.85),
        "white": (0.92, 0.92, 0.92),
        "metal": (0.6, 0.61, 0.63),
        "dark": (0.07, 0.07, 0.08),
        "stone": _tone(rng, (0.0, 0.2), (0.02, 0.1), (0.3, 0.8)),
        "white_wood": (0.9, 0.89, 0.86),
        "kitchen_front": _tone(rng, (0.0, 1.0), (0.05, 0.4), (0.5, 0.92)),
        "leather": _tone(rng, (0.03, 0.08), (0.4, 0.6), (0.25, 0.5)),
        "ceramic": (0.93, 0.93, 0.92),
        "display": (0.12, 0.15, 0.2),
        "mirror": (0.75, 0.8, 0.83),
        "pattern": accent,
        "fruit": (0.75, 0.2, 0.12),
        "rug_0": fabric,
        "rug_1": accent,
        "rug_edge": fabric,
        "leaf": _tone(rng, (0.27, 0.36), (0.5, 0.7), (0.3, 0.5)),
        "pot": _tone(rng, (0.02, 0.08), (0.3, 0.6), (0.45, 0.7)),
        "shade": (0.95, 0.9, 0.75),
    }
    for kind in ("living", "bedroom", "study", "hall", "dining"):
        tint = _tone(rng, (0.0, 1.0), (0.05, 0.25), (0.75, 0.92))
        colours[f"wall_{kind}"] = wall if rng.random() < 0.5 else tint
        colours[f"floor_{kind}"] = wood
    for k in range(4):
        colours[f"book_{k}"] = _tone(rng, (0.0, 1.0), (0.3, 0.7), (0.3, 0.65))
        colours[f"picture_{k}"] = _tone(rng, (0.0, 1.0), (0.3, 0.7), (0.4, 0.8))
    for kind in ("kitchen", "bath"):
        colours[f"wall_{kind}"] = _tone(rng, (0.1, 0.6), (0.02, 0.2), (0.8, 0.93))
        colours[f"floor_{kind}"] = _tone(rng, (0.0, 0.6), (0.02, 0.15), (0.45, 0.75))
    return {name: Material(name, _linear(colour)) for name, colour in colours.items()}


def _tone(
    rng: np.random.Generator, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> tuple[float, float, float]:
    """A random sRGB colour from ranges of hue, saturation and value, all in [0, 1]."""
    return colorsys.hsv_to_rgb(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def _linear(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """SRGB to linear light (IEC 61966-2-1)."""
    return tuple(float(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in colour)
