"""Draws procedural textures: wood, tiles, plaster, cloth, pictures; square, sRGB, seamless, from seeded noise.

Textures shared by several surfaces are pale and nearly grey, because the surface's colour multiplies them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

SIZE = 128  # pixels along an edge


def draw(name: str, rng: np.random.Generator) -> np.ndarray:
    """Returns the texture of that name, uint8 `[SIZE, SIZE, 3]`."""
    painter = PAINTERS[name.rstrip("0123456789").rstrip("_")]
    return np.clip(painter(rng) * 255.0 + 0.5, 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, across: float, down: float | None = None) -> np.ndarray:
    """Returns seamless smooth noise `[SIZE, SIZE]` of zero mean and unit variance; blur in pixels."""
    field = rng.standard_normal((SIZE, SIZE))
    field = ndimage.gaussian_filter(field, (down if down is not None else across, across), mode="wrap")
    return (field - field.mean()) / field.std()


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, 2)


def _grain(rng: np.random.Generator) -> np.ndarray:
    """Returns wood grain `[SIZE, SIZE]` with a mean of 1: fibres down the image, warped into long waves."""
    fine, coarse = _noise(rng, 0.6, 16.0), _noise(rng, 3.0, 24.0)
    x = np.arange(SIZE)[None, :] / SIZE
    rings = np.sin(2 * np.pi * (6 * x + 0.5 * coarse))
    return 1.0 + 0.045 * fine + 0.04 * coarse + 0.04 * rings


def _wood(rng: np.random.Generator) -> np.ndarray:
    tone = 0.86 * _grain(rng)
    return np.stack([tone, tone**1.08, tone**1.2], -1)


def _parquet(rng: np.random.Generator) -> np.ndarray:
    """Draws planks with staggered joints, two lengths per repeat, and dark lines between them."""
    planks, grain = 8, _grain(rng)
    row, column = np.arange(SIZE) * planks // SIZE, np.arange(SIZE)
    tone, gap = np.ones((SIZE, SIZE)), np.zeros((SIZE, SIZE), bool)
    for plank in range(planks):
        lines = row == plank
        start = int(rng.integers(SIZE))
        which = ((column - start) % SIZE) * 2 // SIZE
        tone[lines] *= rng.uniform(0.82, 1.06, 2)[which] * np.roll(grain.T, int(rng.integers(SIZE)), 1)[lines]
        gap[np.flatnonzero(lines)[0]] = True
        gap[np.ix_(lines, [start, (start + SIZE // 2) % SIZE])] = True
    tone = 0.86 * np.where(gap, 0.62 * tone, tone)
    return np.stack([tone, tone**1.08, tone**1.2], -1)


def _tiles(rng: np.random.Generator, count: int, joint: float, spread: float) -> np.ndarray:
    """Draws `count` by `count` tiles with grey joints `joint` pixels wide."""
    place = (np.arange(SIZE) + 0.5) * count / SIZE
    inside = np.abs(place % 1.0 - 0.5) < 0.5 - joint * count / SIZE / 2
    shade = 0.92 + spread * rng.standard_normal((count, count))
    index = place.astype(int)
    tile = shade[index][:, index] + 0.012 * _noise(rng, 4.0) + 0.008 * _noise(rng, 0.7)
    return _grey(np.where(inside[:, None] & inside[None, :], tile, 0.62))


def _floor_tile(rng: np.random.Generator) -> np.ndarray:
    return _tiles(rng, 4, 1.6, 0.03)


def _wall_tile(rng: np.random.Generator) -> np.ndarray:
    return _tiles(rng, 6, 1.2, 0.012)


def _plaster(rng: np.random.Generator) -> np.ndarray:
    return _grey(0.95 + 0.008 * _noise(rng, 1.0) + 0.008 * _noise(rng, 6.0))


def _brick(rng: np.random.Generator) -> np.ndarray:
    """Draws rows of bricks, every second one shifted by half a brick."""
    courses, across = 8, 4
    y = (np.arange(SIZE) + 0.5) * courses / SIZE
    course = y.astype(int)
    x = (np.arange(SIZE) + 0.5)[None, :] * across / SIZE + 0.5 * (course % 2)[:, None]
    brick = x.astype(int) % across
    joint = (np.abs(y % 1.0 - 0.5) > 0.43)[:, None] | (np.abs(x % 1.0 - 0.5) > 0.465)
    tone = rng.uniform(0.7, 1.0, (courses, across))[course[:, None], brick]
    tone = tone + 0.05 * _noise(rng, 0.8) + 0.03 * _noise(rng, 3.0)
    colour = tone[..., None] * (0.85, 0.52, 0.42)
    mortar = (0.78 + 0.03 * _noise(rng, 0.8))[..., None] * (1.0, 0.98, 0.95)
    return np.where(joint[..., None], mortar, colour)


def _wallpaper(rng: np.random.Generator) -> np.ndarray:
    """Draws stripes, or a grid of small flowers."""
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    if rng.random() < 0.5:
        figure = (x * 8 // SIZE) % 2 == 0
    else:
        step = SIZE // 4
        u, v = x % step - step / 2, (y + (x // step % 2) * step // 2) % step - step / 2
        figure = np.hypot(u, v) < 0.2 * step * (1 + 0.45 * np.cos(5 * np.arctan2(v, u)))
    return _grey(np.where(figure, 0.84, 0.94) + 0.01 * _noise(rng, 0.8))


def _fabric(rng: np.random.Generator) -> np.ndarray:
    """Draws a plain weave."""
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    over = (x // 2 + y // 2) % 2
    return _grey(0.84 + 0.07 * over + 0.035 * _noise(rng, 0.7) + 0.02 * _noise(rng, 5.0))


def _stone(rng: np.random.Generator) -> np.ndarray:
    """Draws polished stone: veins where a smooth field crosses zero, and speckles."""
    vein = np.exp(-np.abs(_noise(rng, 7.0)) * 9.0)
    return _grey(0.9 - 0.2 * vein + 0.03 * _noise(rng, 0.6) + 0.02 * _noise(rng, 3.0))


def _colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Returns colours `[count, 3]` that match: similar hues and one opposite hue."""
    hue = (rng.random() + np.append(rng.uniform(-0.1, 0.1, count - 1), 0.5)) % 1.0
    value, saturation = rng.uniform(0.35, 0.95, count), rng.uniform(0.2, 0.65, count)
    sector = np.array([5, 3, 1]) + hue[:, None] * 6
    fade = np.clip(np.minimum(sector % 6, 4 - sector % 6), 0, 1)
    return value[:, None] * (1 - saturation[:, None] * fade)


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Draws zigzags for pillows."""
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    wave = np.abs(x % 32 - 16) + y
    return _colours(rng, 4)[(wave // 8) % 4] * (1 + 0.04 * _noise(rng, 0.7))[..., None]


def _rug(rng: np.random.Generator) -> np.ndarray:
    """Draws borders around a field of diamonds."""
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    rim = np.minimum(np.minimum(x, SIZE - 1 - x), np.minimum(y, SIZE - 1 - y))
    diamonds = (np.abs(x % 32 - 16) + np.abs(y % 32 - 16)) // 6 % 3
    index = np.where(rim < 5, 3, np.where(rim < 8, 1, np.where(rim < 13, 2, np.where(rim < 16, 3, diamonds))))
    return _colours(rng, 4)[index] * (1 + 0.06 * _noise(rng, 0.6))[..., None]


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Draws a landscape of hills, or an abstract picture of blocks and discs."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE), np.linspace(0, 1, SIZE))
    colour = _colours(rng, 6)
    if rng.random() < 0.5:
        image = (1 - y[..., None]) * colour[0] + y[..., None] * (0.95, 0.9, 0.8)
        sun = np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.15, 0.35)) < 0.08
        image = np.where(sun[..., None], (1.0, 0.93, 0.7), image)
        for k in range(1, 5):
            ridge = 0.3 + 0.14 * k + 0.07 * np.sin(2 * np.pi * (rng.uniform(0.6, 1.6) * x + rng.random()))
            image = np.where((y > ridge)[..., None], colour[k] * (1.0 - 0.12 * k), image)
    else:
        image = np.broadcast_to(colour[0], (SIZE, SIZE, 3))
        for k in range(1, 9):
            a, b, r = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.28)
            block = (np.abs(x - a) < r) & (np.abs(y - b) < r * rng.uniform(0.4, 1.0))
            image = np.where((np.hypot(x - a, y - b) < r if k % 2 else block)[..., None], colour[k % 6], image)
    return image * (1 + 0.03 * _noise(rng, 0.8))[..., None]


def _view(rng: np.random.Generator) -> np.ndarray:
    """Draws the view through a window: sky with clouds, trees, a lawn. Seamless only horizontally."""
    y = np.linspace(0, 1, SIZE)[:, None]
    sky = (1 - y)[..., None] * (0.45, 0.68, 0.95) + y[..., None] * (0.85, 0.93, 1.0)
    clouds = np.clip(_noise(rng, 14.0, 5.0) - 0.4, 0, 1)[..., None] * 0.6
    image = sky * (1 - clouds) + clouds
    skyline = 0.6 + 0.05 * _noise(rng, 5.0)[0] + 0.02 * _noise(rng, 1.0)[0]
    trees = (0.55 + 0.12 * _noise(rng, 1.5))[..., None] * (0.32, 0.5, 0.25)
    image = np.where((y > skyline[None, :])[..., None], trees, image)
    lawn = (0.9 + 0.06 * _noise(rng, 1.0, 0.5))[..., None] * (0.45, 0.65, 0.3)
    return np.where((y > 0.78)[..., None], lawn, image)


PAINTERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "wood": _wood,
    "parquet": _parquet,
    "floor_tile": _floor_tile,
    "wall_tile": _wall_tile,
    "plaster": _plaster,
    "brick": _brick,
    "wallpaper": _wallpaper,
    "fabric": _fabric,
    "stone": _stone,
    "pattern": _pattern,
    "rug": _rug,
    "picture": _picture,
    "view": _view,
}
