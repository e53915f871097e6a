"""Draws previews of a scene: a top-down map beside views from inside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from batchsim import poses
from batchsim.errors import OptionError
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.scenes import Scene
from batchsim.scenes.maps.top_down import OUTSIDE, TopDownMap, top_down

CAMERA_HEIGHT = 1.25
HFOV = 90.0

# Candidate views: number of places, directions at each, and size in pixels.
_PLACES, _DIRECTIONS = 160, 12
_SIGHT_WIDTH, _SIGHT_HEIGHT = 32, 24
# Size of the boxes in which visible space is counted, and the distance up to which it is. Metres.
_BOX, _SIGHT = 0.5, 12.0
# A view is cramped if more than this share of its pixels is nearer than this distance (metres).
_ELBOW_ROOM, _SLIVER = 0.8, 0.03
# Preferred distance between views, as a fraction of the side of a square as large as the floor.
_SPREAD = 0.5
# Colour of the sky.
_SKY = (214, 226, 238)
# Views are drawn this many times larger, then averaged.
_OVERSAMPLING = 2

_GAP = 12
_MAX_MAP_SHARE = 1.4
_MARK, _INK, _PAPER = (196, 64, 48), (255, 255, 255), (255, 255, 255)


@dataclass(frozen=True)
class Preview:
    """A preview, and the poses of its views.

    - `image`: uint8 `[H, W, 3]`.
    - `position` float32 `[V, 3]`: on the floor, metres; `heading` float32 `[V]`, radians.
    - `map`: the map, before it was scaled to fit the image.
    """

    image: np.ndarray
    position: np.ndarray
    heading: np.ndarray
    map: TopDownMap


def preview(
    scene: Scene, num_views: int = 6, width: int = 480, height: int = 360, pixels_per_metre: float = 40.0
) -> Preview:
    """Draws a map of `scene` with numbered arrows, and the views from there.

    Args:
        scene: The scene.
        num_views: Number of views.
        width: Width of a view, pixels.
        height: Height of a view, pixels.
        pixels_per_metre: Scale of the map, before it is scaled to the height of the views.

    Raises:
        OptionError: If a size is invalid.
        RenderError: If OpenGL cannot render.
    """
    if num_views < 1:
        raise OptionError(f"num_views={num_views}: expected at least 1.")
    position, heading = choose_views(scene, num_views)
    views = _views(scene, position, heading, width, height)
    drawn = top_down(scene, pixels_per_metre)
    columns = 1 if len(views) == 1 else 2
    rows = math.ceil(len(views) / columns)
    total = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    chart = _chart(drawn, position, heading, total)
    sheet = Image.new("RGB", (chart.width + 3 * _GAP + total[0], max(total[1], chart.height) + 2 * _GAP), _PAPER)
    sheet.paste(chart, (_GAP, (sheet.height - chart.height) // 2))
    for k, view in enumerate(views):
        row, column = divmod(k, columns)
        image = Image.fromarray(view)
        _number(ImageDraw.Draw(image), (24, 24), k + 1)
        sheet.paste(image, (chart.width + 2 * _GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    return Preview(np.asarray(sheet), position, heading, drawn)


def choose_views(scene: Scene, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Chooses views that each show much that the previous ones do not, and that look far.

    So they are spread over rooms and storeys, and look along them.

    Returns:
        Positions on the floor, float32 `[V, 3]`, and headings `[V]`. V is `count`, or less if fewer views show all.
    """
    rng = np.random.default_rng(seed)
    cells = rng.choice(scene.walkable.num_cells, min(_PLACES, scene.walkable.num_cells), replace=False)
    position = np.repeat(scene.walkable.positions[cells].astype(np.float32), _DIRECTIONS, 0)
    turns = (np.arange(_DIRECTIONS) + rng.uniform(size=(len(cells), 1))) / _DIRECTIONS
    heading = (turns.reshape(-1) * 2 * np.pi - np.pi).astype(np.float32)
    depth = _render(scene, position, heading, _SIGHT_WIDTH, _SIGHT_HEIGHT, "depth")["depth"][..., 0]
    view, box = _boxes_seen(depth, position, heading)
    cramped = ((depth > 0) & (depth < _ELBOW_ROOM)).mean((1, 2)) > _SLIVER
    # Cramped views are chosen only if no other view shows anything new.
    worth = np.where(cramped, 1e-3, np.quantile(depth.clip(max=_SIGHT), 0.9, axis=(1, 2)))
    spread = _SPREAD * math.sqrt(scene.walkable.area)
    new = np.ones(box.max(initial=0) + 1, bool)
    chosen: list[int] = []
    while len(chosen) < min(count, len(position)):
        gain = np.bincount(view, new[box], minlength=len(position)) * worth
        if chosen and not gain.any():
            break
        chosen.append(int(gain.argmax()))
        new[box[view == chosen[-1]]] = False
        away = np.linalg.norm(position - position[chosen[-1]], axis=1)
        worth = worth * np.minimum((away + 0.1) / spread, 1)
    return position[chosen], heading[chosen]


def _boxes_seen(depth: np.ndarray, position: np.ndarray, heading: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the boxes of space in which each view sees something, as distinct pairs (view, box), int64 `[P]` each."""
    _, rows, columns = depth.shape
    half = math.tan(math.radians(HFOV) / 2)
    right = (2 * (np.arange(columns) + 0.5) / columns - 1) * half
    up = (1 - 2 * (np.arange(rows) + 0.5) / rows) * half * rows / columns
    sin, cos = np.sin(heading)[:, None, None], np.cos(heading)[:, None, None]
    x = position[:, 0, None, None] + depth * (right * cos - sin)
    y = position[:, 1, None, None] + CAMERA_HEIGHT + depth * up[:, None]
    z = position[:, 2, None, None] + depth * (-right * sin - cos)
    seen = (depth > 0) & (depth < _SIGHT)
    view = np.nonzero(seen)[0]
    place = np.floor(np.stack([x[seen], y[seen], z[seen]], 1) / _BOX).astype(np.int64)
    if not len(place):
        return view, view
    place -= place.min(0)
    box = np.ravel_multi_index(tuple(place.T), tuple(place.max(0) + 1))
    _, box = np.unique(box, return_inverse=True)
    pairs = np.unique(view * (box.max() + 1) + box)
    return pairs // (box.max() + 1), pairs % (box.max() + 1)


def _views(scene: Scene, position: np.ndarray, heading: np.ndarray, width: int, height: int) -> np.ndarray:
    """Renders the views with smoothed edges, uint8 `[V, height, width, 3]`."""
    fine = _render(scene, position, heading, width * _OVERSAMPLING, height * _OVERSAMPLING, "rgb", "depth")
    colour = np.where(fine["depth"] > 0, fine["rgb"], np.array(_SKY, np.uint8))
    parts = colour.reshape(len(colour), height, _OVERSAMPLING, width, _OVERSAMPLING, 3)
    return parts.mean((2, 4)).round().astype(np.uint8)


def _render(
    scene: Scene, position: np.ndarray, heading: np.ndarray, width: int, height: int, *sensors: str
) -> dict[str, np.ndarray]:
    pose = torch.zeros(len(position), 7)
    pose[:, :3] = torch.from_numpy(position)
    pose[:, 1] += CAMERA_HEIGHT
    pose[:, 3:] = poses.heading_to_quaternion(torch.from_numpy(heading))
    # This backend gives the same bits on every device.
    renderer = BatchRenderer([scene], len(pose), width, height, HFOV, sensors, "raycast", "cpu")
    try:
        images = renderer.render(pose, torch.zeros(len(pose), dtype=torch.int64))
        return {name: image.numpy().copy() for name, image in images.items()}
    finally:
        renderer.close()


def _chart(drawn: TopDownMap, position: np.ndarray, heading: np.ndarray, total: tuple[int, int]) -> Image.Image:
    """Returns the map, cropped and scaled to fit beside the views, with an arrow at each view."""
    image = Image.fromarray(drawn.image)
    box = Image.fromarray((drawn.image != OUTSIDE).any(2)).getbbox() or (0, 0, *image.size)
    image = image.crop(box)
    scale = min((total[1] - 2 * _GAP) / image.height, _MAX_MAP_SHARE * total[0] / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = ImageOps.expand(image.resize(size, Image.Resampling.LANCZOS), _GAP, _PAPER)
    draw = ImageDraw.Draw(image)
    places = (drawn.to_pixel(position) - box[:2]) * scale + _GAP
    for k, ((x, y), angle) in enumerate(zip(places.tolist(), heading.tolist(), strict=True)):
        # On the map, x points right and z down.
        tip, side = np.array([-math.sin(angle), -math.cos(angle)]), np.array([math.cos(angle), -math.sin(angle)])
        corners = np.array([x, y]) + np.array([30 * tip, 13 * side + 4 * tip, -13 * side + 4 * tip])
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=_MARK)
        _number(draw, (x, y), k + 1)
    return image


def _number(draw: ImageDraw.ImageDraw, centre: tuple[float, float], number: int) -> None:
    x, y = centre
    draw.ellipse((x - 13, y - 13, x + 13, y + 13), fill=_MARK, outline=_INK, width=2)
    draw.text((x, y), str(number), fill=_INK, font=ImageFont.load_default(16), anchor="mm")
