"""All cameras of a renderer, drawn by one backend from one set of scene buffers."""

from __future__ import annotations

from collections.abc import Sequence

import moderngl
import torch
from torch import Tensor

from batchsim import poses as pose
from batchsim.render.camera import Camera
from batchsim.render.opengl.shared_tensor import SharedTensor
from batchsim.render.raster import RasterBackend
from batchsim.render.raycast import RaycastBackend
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays, SceneParts
from batchsim.render.scene_data.scene_buffers import SceneBuffers

CHANNELS = {"depth": (1, torch.float32), "rgb": (3, torch.uint8), "semantic": (1, torch.int32)}
"""Of each sensor."""


def parts_for(backend: str, sensors: Sequence[str]) -> SceneParts:
    """What of a scene `backend` needs to draw `sensors`."""
    return SceneParts(
        tree=backend == "raycast",
        chunks=backend == "raster",
        labels="semantic" in sensors,
        colours="rgb" in sensors,
    )


class Rig:
    """Draws up to `num_views` views with each of `cameras`.

    - `backend`: "raycast" or "raster"; `scenes` prepared with `parts_for` it; `replaceable` as in `SceneBuffers`.

    The GL context must be current in every call.
    """

    def __init__(
        self,
        context: moderngl.Context,
        backend: str,
        scenes: Sequence[GpuSceneArrays],
        replaceable: bool,
        cameras: Sequence[Camera],
        num_views: int,
        sensors: Sequence[str],
        device: torch.device,
    ) -> None:
        self.scenes = SceneBuffers(context, scenes, replaceable)
        self._cameras = [_MountedCamera(context, backend, self.scenes, c, num_views, sensors, device) for c in cameras]

    def draw(self, poses: Tensor, scene_index: Tensor) -> None:
        """Have each camera draw a view for each of `poses` `[N, 7]`, scenes `[N]`: OpenGL's turn with the images."""
        for camera in self._cameras:
            camera.draw(poses, scene_index)

    def images(self, count: int) -> dict[str, Tensor]:
        """The first `count` images that `draw` made, of all cameras and sensors: torch's turn. Once a `draw`."""
        return {key: image for camera in self._cameras for key, image in camera.images(count).items()}

    def release(self) -> None:
        """Give all GL objects back."""
        for camera in self._cameras:
            camera.release()
        self.scenes.release()


class _MountedCamera:
    """One of the cameras: its views, its images, and what draws them."""

    def __init__(
        self,
        context: moderngl.Context,
        backend: str,
        scenes: SceneBuffers,
        camera: Camera,
        num_views: int,
        sensors: Sequence[str],
        device: torch.device,
    ) -> None:
        self._camera = camera
        mount = camera.mount
        self._mount = None if mount is None else mount.to(device)
        self._views = SharedTensor(context, (num_views, 8), torch.float32, device)
        self._outputs = {}
        for name in sensors:
            channels, dtype = CHANNELS[name]
            shape = (num_views, camera.height, camera.width, channels)
            self._outputs[name] = SharedTensor(context, shape, dtype, device)
        self._backend: RasterBackend | RaycastBackend
        if backend == "raster":
            views = self._views.buffer
            self._backend = RasterBackend(context, scenes, num_views, camera, views, self._outputs)
        else:
            buffers = {name: output.buffer for name, output in self._outputs.items()}
            self._backend = RaycastBackend(context, scenes, num_views, camera, self._views.buffer, buffers)

    def draw(self, poses: Tensor, scene_index: Tensor) -> None:
        if self._mount is not None:
            poses = pose.compose(poses, self._mount)
        count = len(poses)
        self._views.to_torch(0)
        views = self._views.tensor
        views[:count, 0:3] = poses[:, 0:3]
        views[:count, 3] = scene_index.to(torch.int32).view(torch.float32)
        views[:count, 4:8] = poses[:, 3:7]
        self._views.to_gl(count)
        for output in self._outputs.values():
            output.to_gl(0)
        self._backend.render(count)

    def images(self, count: int) -> dict[str, Tensor]:
        if isinstance(self._backend, RasterBackend):
            self._backend.finish(count)
        else:
            for output in self._outputs.values():
                output.to_torch(count)
        return {self._camera.key(name): output.tensor[:count] for name, output in self._outputs.items()}

    def release(self) -> None:
        self._backend.release()
        for shared in (self._views, *self._outputs.values()):
            shared.release()
