"""A film as the page shows it: one video that holds all its images, and the memory as a heat map."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from matplotlib import colormaps
from scipy.ndimage import gaussian_filter1d

from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.saliency import PolicyTrace
from batchsim.agents.report.gallery.maps import palette_png
from batchsim.agents.report.gallery.video import Video, encode

_FAR_IS = "magma_r"  # light where something is near
_HOT = "inferno"
_TITLES = {"depth": "Depth", "rgb": "Colour"}
# Of a frame's gradients the share that is drawn at full heat.
_HOTTEST = 0.01
_BLUR = 1.0  # pixels
_MEMORY_ROWS = 96
_MEMORY_COLORS = 32


@dataclass(frozen=True)
class Panel:
    """One image's place in a frame, pixels."""

    name: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Clip:
    """One episode's images: `panels` says where they lie in the frames of `video`.

    `memory`: the heat map as a PNG's data address, one column a step; empty if there is none. `units`: rows of it, and
    how many the policy has.
    """

    video: Video
    panels: tuple[Panel, ...]
    memory: str = ""
    units: tuple[int, int] = (0, 0)

    def data(self, number: int) -> dict:
        """What the page's script needs; the file itself lies in the element `film-<number>`."""
        return {
            "id": number,
            "mime": self.video.mime,
            "size": [self.video.width, self.video.height],
            "columns": self.video.columns,
            "panels": [astuple(panel) for panel in self.panels],
            "memory": self.memory,
            "units": self.units,
        }


def make_clip(film: EpisodeReplay) -> Clip:
    """Put the film's images side by side and encode them: the view large, the others stacked beside it."""
    frames, panels = _laid_out(film.view, _images(film))
    video = encode(frames)
    if film.watched is None:
        return Clip(video, panels)
    png, rows = memory_image(film.watched)
    uri = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Clip(video, panels, uri, (rows, film.watched.memory.shape[1]))


def _images(film: EpisodeReplay) -> dict[str, np.ndarray]:
    """What the agent was given, and where in it the policy looks, by title: uint8 `[T, h, w, 3]`."""
    images = {}
    for name, frames in film.seen.items():
        images[f"{_TITLES[name]}, as given"] = _colored(name, frames)
        if film.watched and name in film.watched.saliency:
            images["Looks at"] = saliency_image(name, frames, film.watched.saliency[name])
    return images


def _laid_out(view: np.ndarray, images: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[Panel, ...]]:
    """Frames uint8 `[T, H, W, 3]` with the `view` on the left and the `images` in columns beside it."""
    count, height, width, _ = view.shape
    panels = [Panel("View", 0, 0, width, height)]
    parts = [view]
    left, top = width, 0
    for name, frames in images.items():
        # Half as large as the view, or less, in whole pixels; two fit above each other.
        scale = max(1, height // (2 * frames.shape[1]))
        part = frames.repeat(scale, 1).repeat(scale, 2)
        if top + part.shape[1] > height:
            left, top = left + panels[-1].width, 0
        panels.append(Panel(name, left, top, part.shape[2], part.shape[1]))
        parts.append(part)
        top += part.shape[1]
    right = max(panel.left + panel.width for panel in panels)
    canvas = np.zeros((count, height + height % 2, right + right % 2, 3), np.uint8)
    for panel, part in zip(panels, parts, strict=True):
        canvas[:, panel.top : panel.top + panel.height, panel.left : panel.left + panel.width] = part
    return canvas, tuple(panels)


def _colored(name: str, frames: np.ndarray) -> np.ndarray:
    if name == "rgb":
        return frames
    colors = (255 * colormaps[_FAR_IS](np.sqrt(np.linspace(0, 1, 256)))[:, :3]).astype(np.uint8)
    colors[0] = 0  # nothing was hit
    return colors[frames[..., 0]]


def saliency_image(name: str, frames: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Uint8 `[T, h, w, 3]`: the image in dark grey, and on it in hot colours where the gradient is large.

    - `frames`: uint8 `[T, h, w, C]`; `saliency`: float `[T or less, h, w]`, scaled by each frame's largest values and
      blurred by a pixel; frames beyond its end stay grey.
    """
    grey = (255.0 - frames[..., 0]) * (frames[..., 0] > 0) if name == "depth" else frames.mean(-1)
    heat = np.zeros(grey.shape, np.float32)
    heat[: len(saliency)] = saliency
    top = np.quantile(heat, 1 - _HOTTEST, axis=(1, 2), keepdims=True)
    heat = np.clip(heat / np.maximum(top, 1e-12), 0, 1)
    for axis in (1, 2):
        heat = gaussian_filter1d(heat, _BLUR, axis)
    hot = 255 * colormaps[_HOT](0.25 + 0.75 * heat)[..., :3]
    share = np.clip(1.4 * heat, 0, 1)[..., None]
    return (share * hot + (1 - share) * 0.45 * grey[..., None]).astype(np.uint8)


def memory_image(watched: PolicyTrace) -> tuple[bytes, int]:
    """A palette PNG of the recurrent state over time, one column a step, and its number of rows, one a unit.

    The units that change most, each in shades from its least to its greatest value, sorted by when it is greatest:
    early above, late below.
    """
    units = watched.memory[:, np.argsort(-watched.memory.std(0), kind="stable")[:_MEMORY_ROWS]].T
    low, high = units.min(1, keepdims=True), units.max(1, keepdims=True)
    shades = (units - low) / np.maximum(high - low, 1e-9)
    # Smoothed for the order alone, so that a single spike does not place a unit.
    shades = shades[np.argsort(gaussian_filter1d(shades, 4.0, axis=1).argmax(1), kind="stable")]
    levels = np.round(shades * (_MEMORY_COLORS - 1)) / (_MEMORY_COLORS - 1)
    image = (255 * colormaps["viridis"](levels)[..., :3]).astype(np.uint8)
    return palette_png(image), len(image)
