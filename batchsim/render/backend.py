"""What the two backends, ray casting and rasterising, have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import moderngl
import torch

from batchsim.render.camera import AnyCamera
from batchsim.render.scene_data.scene_buffers import SceneBuffers

SENSORS = {
    "depth": (1, torch.float32),
    "rgb": (3, torch.uint8),
    "semantic": (1, torch.int32),
    "instance": (1, torch.int32),
}
"""Channels and dtype of each sensor's images."""


class RenderBackend(Protocol):
    """Draws views of one camera into GL buffers. The GL context must be current in every call."""

    def render(self, count: int) -> None:
        """Draws the first `count` views; the commands are issued, and the host does not wait for them."""

    def release(self) -> None:
        """Releases the backend's own GL objects."""


class MakeBackend(Protocol):
    """How a backend is constructed."""

    def __call__(
        self,
        context: moderngl.Context,
        scenes: SceneBuffers,
        num_views: int,
        camera: AnyCamera,
        views: moderngl.Buffer,
        outputs: Mapping[str, moderngl.Buffer],
    ) -> RenderBackend:
        """Makes a backend.

        Args:
            context: The GL context.
            scenes: What is drawn.
            num_views: The largest number of views in a call of `render`.
            camera: The camera of all views.
            views: `num_views` records of 32 bytes: position x y z float32, scene int32, quaternion x y z w float32.
            outputs: By sensor, the buffer for its images: "depth" float32, "semantic" and "instance" int32, "rgb" 3
                times uint8, all `[num_views, height, width]`. The size of "rgb" must be a multiple of 12 bytes.

        Raises:
            RenderError: A buffer exceeds what the driver allows.
        """
