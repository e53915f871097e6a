"""`BatchRenderer`: pictures of N cameras in K scenes, drawn in one request."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.render.camera import Camera
from batchsim.render.context import create_context, renderer_name
from batchsim.render.raster import RasterBackend
from batchsim.render.sharing import SharedTensor
from scenes import Scene

SENSORS = ("depth",)
BACKENDS = ("auto", "raster")


class BatchRenderer:
    """Draws up to `num_views` views at once.

    - `scenes`: what to draw; `scene_index` of `render` counts through them.
    - `width`, `height` (pixels), `hfov` (degrees): the camera that all views share.
    - `sensors`: names out of `SENSORS`. `backend`: one of `BACKENDS`.

    Raises `OptionError` for options that cannot be used and `RenderError` where OpenGL cannot.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        num_views: int,
        width: int = 64,
        height: int = 64,
        hfov: float = 90.0,
        sensors: Sequence[str] = ("depth",),
        backend: str = "auto",
        device: str | torch.device = "cpu",
    ) -> None:
        if num_views < 1:
            raise OptionError(f"num_views={num_views}: expected at least 1.")
        if not scenes:
            raise OptionError("scenes is empty: expected at least one Scene.")
        unknown = [name for name in sensors if name not in SENSORS]
        if unknown or not sensors:
            raise OptionError(f"sensors={tuple(sensors)!r}: expected some of {', '.join(SENSORS)}.")
        if backend not in BACKENDS:
            raise OptionError(f"renderer={backend!r}: expected one of {', '.join(BACKENDS)}.")
        self.camera = Camera(width, height, hfov)
        self.num_views = num_views
        self.num_scenes = len(scenes)
        self.sensors = tuple(sensors)
        self.device = torch.device(device)
        self.context = create_context()
        self._depth = torch.zeros((num_views, height, width), dtype=torch.float32)
        with self.context:  # whatever other context is current in this process stays so
            self._views = SharedTensor(self.context, (num_views, 8), torch.float32)
            self._backend = RasterBackend(self.context, scenes, num_views, self.camera, self._views.buffer)
        self.backend = "raster"

    @property
    def gl_renderer(self) -> str:
        """The OpenGL driver's name of what draws."""
        return renderer_name(self.context)

    def render(self, poses: Tensor, scene_index: Tensor) -> dict[str, Tensor]:
        """Draw one view for each pose.

        - `poses`: float32 `[N, 7]`, N at most `num_views`; camera position x y z (metres), quaternion x y z w.
        - `scene_index`: int64 `[N]`.
        - returns `{"depth": float32 [N, height, width, 1]}` in metres along the camera's axis, 0 = nothing hit.

        The returned tensors are written again by the next call: clone what must last.
        """
        count = len(poses)
        if poses.shape != (count, 7) or scene_index.shape != (count,) or count > self.num_views:
            raise OptionError(
                f"poses {tuple(poses.shape)} and scene_index {tuple(scene_index.shape)}: expected [N, 7] and [N] "
                f"with N <= num_views = {self.num_views}."
            )
        views = self._views.tensor
        views[:count, 0:3] = poses[:, 0:3]
        views[:count, 3] = scene_index.to(torch.int32).view(torch.float32)
        views[:count, 4:8] = poses[:, 3:7]
        depth = self._depth[:count]
        with self.context:
            self._views.to_gl(count)
            self._backend.render(scene_index, depth)
        return {"depth": depth.unsqueeze(-1)}

    def close(self) -> None:
        """Give everything back; the renderer cannot be used afterwards."""
        if self._backend is not None:
            with self.context:
                self._backend.release()
                self._views.release()
            self.context.release()
            self._backend = None
