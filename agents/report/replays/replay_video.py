"""Puts the images of a replay side by side and encodes them as one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from scipy.ndimage import gaussian_filter1d

from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.report.images import data_uri
from batchsim.agents.report.replays.memory_image import memory_image
from batchsim.agents.report.replays.video import Video, encode

_DEPTH_COLORS = "magma_r"  # light where something is near
_SALIENCY_COLORS = "inferno"
_TITLES = {"depth": "Depth", "rgb": "Colour"}
# Share of a frame's gradients that get the hottest colour.
_HOTTEST = 0.01
_BLUR = 1.0  # pixels


@dataclass(frozen=True)
class Panel:
    """One image's place in a frame, pixels."""

    name: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class ReplayVideo:
    """One episode's images.

    Attributes:
        video: The file.
        panels: Where the images are in its frames.
        memory: The policy's recurrent state as the data URI of a heat map with one column per step; empty if unknown.
        units: How many units the heat map shows, and how many the policy has.
    """

    video: Video
    panels: tuple[Panel, ...]
    memory: str = ""
    units: tuple[int, int] = (0, 0)

    def data(self, number: int) -> dict[str, Any]:
        """What the page's script needs; the file itself is in the element `video-<number>`."""
        return {
            "id": number,
            "mime": self.video.mime,
            "size": [self.video.width, self.video.height],
            "columns": self.video.columns,
            "panels": [astuple(panel) for panel in self.panels],
            "memory": self.memory,
            "units": self.units,
        }


def make_video(replay: EpisodeReplay) -> ReplayVideo:
    """Encode the replay's images: the view on the left, the agent's images stacked beside it."""
    frames, panels = _compose(replay.view, _images(replay))
    video = encode(frames)
    if replay.trace is None:
        return ReplayVideo(video, panels)
    png, rows = memory_image(replay.trace.memory)
    return ReplayVideo(video, panels, data_uri(png), (rows, replay.trace.memory.shape[1]))


def _images(replay: EpisodeReplay) -> dict[str, np.ndarray]:
    """The agent's images and their saliency by title, uint8 `[T, h, w, 3]`."""
    images = {}
    for name, frames in replay.seen.items():
        images[f"{_TITLES[name]}, agent's input"] = _colored(name, frames)
        if replay.trace and name in replay.trace.saliency:
            images["Saliency"] = saliency_image(name, frames, replay.trace.saliency[name])
    return images


def _compose(view: np.ndarray, images: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[Panel, ...]]:
    """Frames uint8 `[T, H, W, 3]` with the `view` on the left and the `images` in columns beside it."""
    count, height, width, _ = view.shape
    panels = [Panel("View", 0, 0, width, height)]
    parts = [view]
    left, top = width, 0
    for name, frames in images.items():
        # Scaled by a whole number to at most half the height of the view.
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
    colors = (255 * colormaps[_DEPTH_COLORS](np.sqrt(np.linspace(0, 1, 256)))[:, :3]).astype(np.uint8)
    colors[0] = 0  # nothing was hit
    return colors[frames[..., 0]]


def saliency_image(name: str, frames: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Overlay the saliency in hot colours on the image in dark grey.

    Args:
        name: The sensor, "depth" or "rgb".
        frames: Its images, uint8 `[T, h, w, C]`.
        saliency: Gradients, float `[T or less, h, w]`; scaled by each frame's largest values and blurred by a pixel.
            Frames beyond its end stay grey.

    Returns:
        Uint8 `[T, h, w, 3]`.
    """
    grey = (255.0 - frames[..., 0]) * (frames[..., 0] > 0) if name == "depth" else frames.mean(-1)
    heat = np.zeros(grey.shape, np.float32)
    heat[: len(saliency)] = saliency
    top = np.quantile(heat, 1 - _HOTTEST, axis=(1, 2), keepdims=True)
    heat = np.clip(heat / np.maximum(top, 1e-12), 0, 1)
    for axis in (1, 2):
        heat = gaussian_filter1d(heat, _BLUR, axis)
    hot = 255 * colormaps[_SALIENCY_COLORS](0.25 + 0.75 * heat)[..., :3]
    share = np.clip(1.4 * heat, 0, 1)[..., None]
    return (share * hot + (1 - share) * 0.45 * grey[..., None]).astype(np.uint8)
