"""What the viewer shows of an agent's place: colour, depth and labels as JPEG files, and the top-down map."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from batchsim import poses
from batchsim.agents.report.gallery.maps import MapImage, draw_map
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.scenes import Scene

SENSORS = ("rgb", "depth", "semantic")
_QUALITY = 85
_GOLDEN = 0.381966  # of the colour wheel, so that neighbouring labels differ
_DEPTH_STEPS = 1024


class Display:
    """Draws one scene from any pose.

    Args:
        scene: The scene.
        width: Pixels of each image.
        height: Pixels of each image.
        hfov: Horizontal field of view, degrees.
        camera_height: Metres above the floor.
        max_depth: Depth that is drawn in the last colour, metres.
    """

    def __init__(
        self, scene: Scene, width: int, height: int, hfov: float, camera_height: float, max_depth: float = 10.0
    ) -> None:
        self.scene = scene
        self.map: MapImage = draw_map(scene)
        self._camera_height = camera_height
        self._max_depth = max_depth
        self._renderer = BatchRenderer([scene], 1, width, height, hfov, SENSORS)
        self._scene_index = torch.zeros(1, dtype=torch.int64)
        self._depth_colors = (255 * colormaps["viridis_r"](np.linspace(0, 1, _DEPTH_STEPS))[:, :3]).astype(np.uint8)
        self._depth_colors[0] = 0  # nothing there
        self._label_colors = label_colors(len(scene.label_names))

    def draw(self, position: np.ndarray, heading: float, pitch: float) -> list[bytes]:
        """Returns the JPEG files of colour, depth and labels.

        Args:
            position: Where the agent's feet are, metres `[3]`.
            heading: Radians.
            pitch: Radians that the camera is tilted up.
        """
        pose = torch.zeros(1, 7)
        pose[0, :3] = torch.as_tensor(position)
        pose[0, 1] += self._camera_height
        pose[0, 3:] = poses.tilted(poses.heading_to_quaternion(torch.tensor(heading)), torch.tensor(pitch))
        images = self._renderer.render(pose, self._scene_index)
        rgb = images["rgb"][0].numpy()
        depth = images["depth"][0, :, :, 0].numpy()
        shade = np.where(depth > 0, (depth * ((_DEPTH_STEPS - 1) / self._max_depth)).clip(1, _DEPTH_STEPS - 1), 0)
        labels = images["semantic"][0, :, :, 0].numpy()
        return [_jpeg(rgb), _jpeg(self._depth_colors[shade.astype(np.int32)]), _jpeg(self._label_colors[labels])]

    def on_map(self, position: np.ndarray) -> list[float]:
        """Returns column and row of a point on the map."""
        return [float(value) for value in self.map.plan.to_pixel(position)]

    def close(self) -> None:
        """Releases the renderer's memory."""
        self._renderer.close()


def label_colors(count: int) -> np.ndarray:
    """Returns a colour for each of `count` labels, uint8 `[count, 3]`; label 0, nothing, is black."""
    hue = (np.arange(count) * _GOLDEN) % 1.0
    lightness = 0.45 + 0.3 * ((np.arange(count) // 3) % 2)
    phase = 2 * math.pi * (hue[:, None] + np.array([0, 1 / 3, 2 / 3]))
    colors = lightness[:, None] + 0.28 * np.cos(phase)
    colors[:1] = 0
    return (255 * colors.clip(0, 1)).round().astype(np.uint8)


def _jpeg(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
