"""All cameras of a renderer, drawn by one backend from one set of scene buffers."""

from __future__ import annotations

from collections.abc import Sequence

import moderngl
import torch
from torch import Tensor

from batchsim import poses as pose
from batchsim.render.backend import SENSORS, MakeBackend
from batchsim.render.camera import AnyCamera
from batchsim.render.opengl.shared_tensor import SharedTensor, hand_to_gl, hand_to_torch
from batchsim.render.raster import RasterBackend
from batchsim.render.raycast import RaycastBackend
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays, SceneParts
from batchsim.render.scene_data.scene_buffers import SceneBuffers

BACKENDS: dict[str, MakeBackend] = {"raycast": RaycastBackend, "raster": RasterBackend}


GOAL = "goal"
"""Key of the images of a rig's goal camera."""


def parts_for(backend: str, sensors: Sequence[str], goals: bool = False) -> SceneParts:
    """Returns which arrays of a scene `backend` needs to draw `sensors`, and colour images of `goals`."""
    return SceneParts(
        tree=backend == "raycast",
        chunks=backend == "raster",
        labels="semantic" in sensors or "instance" in sensors,
        instances="instance" in sensors,
        colours="rgb" in sensors or goals,
    )


class CameraRig:
    """Draws views with each of several cameras. The GL context must be current in every call.

    Args:
        context: The GL context.
        backend: A key of `BACKENDS`.
        scenes: The scenes, prepared with `parts_for(backend, sensors)`.
        replaceable: Whether scenes will be replaced, see `SceneBuffers`.
        cameras: The cameras.
        num_views: The largest number of views in a call of `render_async`.
        sensors: Keys of `backend.SENSORS`.
        device: Where poses come from and images go.
        goal_camera: Another camera, which draws colour images of views of its own; None: there is none.
        num_goals: The largest number of its views.
    """

    def __init__(
        self,
        context: moderngl.Context,
        backend: str,
        scenes: Sequence[GpuSceneArrays],
        replaceable: bool,
        cameras: Sequence[AnyCamera],
        num_views: int,
        sensors: Sequence[str],
        device: torch.device,
        goal_camera: AnyCamera | None = None,
        num_goals: int = 0,
    ) -> None:
        self.scenes = SceneBuffers(context, scenes, replaceable)
        self._cameras = [
            _MountedCamera(context, backend, self.scenes, camera, num_views, camera.sees(sensors), device)
            for camera in cameras
        ]
        self._goals: _MountedCamera | None = None
        if goal_camera is not None:
            self._goals = _MountedCamera(context, backend, self.scenes, goal_camera, num_goals, ("rgb",), device)

    def render_async(self, poses: Tensor, scene_index: Tensor, goals: tuple[Tensor, Tensor] | None = None) -> None:
        """Issues the drawing of one view for each of `poses` `[N, 7]` and `scene_index` `[N]` with every camera.

        `goals`: poses and scenes of the views of the goal camera; None: no views. OpenGL owns the images until
        `render_wait`.
        """
        drawn = dict.fromkeys(self._cameras, (poses, scene_index))
        if self._goals is not None and goals is not None:
            drawn[self._goals] = goals
        hand_to_torch({camera.views: 0 for camera in drawn})
        for camera, views in drawn.items():
            camera.write_views(*views)
        outputs = {output: 0 for camera in drawn for output in camera.outputs.values()}
        hand_to_gl({camera.views: len(views[0]) for camera, views in drawn.items()} | outputs)
        for camera, views in drawn.items():
            camera.backend.render(len(views[0]))

    def render_wait(self, count: int, num_goals: int = 0) -> dict[str, Tensor]:
        """Hands the first `count` images of all cameras and sensors to torch; once for each `render_async`.

        `num_goals`: the number of views of the goal camera, whose images are called `GOAL`; 0 if there were none.
        """
        drawn = dict.fromkeys(self._cameras, count)
        images = {key: image for camera in self._cameras for key, image in camera.images(count).items()}
        if self._goals is not None and num_goals:
            drawn[self._goals] = num_goals
            images[GOAL] = self._goals.outputs["rgb"].tensor[:num_goals]
        hand_to_torch({output: number for camera, number in drawn.items() for output in camera.outputs.values()})
        return images

    def release(self) -> None:
        """Releases all GL objects."""
        for camera in (*self._cameras, *([] if self._goals is None else [self._goals])):
            camera.release()
        self.scenes.release()


class _MountedCamera:
    """One camera with its views, its images and its backend."""

    def __init__(
        self,
        context: moderngl.Context,
        backend: str,
        scenes: SceneBuffers,
        camera: AnyCamera,
        num_views: int,
        sensors: Sequence[str],
        device: torch.device,
    ) -> None:
        self._camera = camera
        mount = camera.mount
        self._mount = None if mount is None else mount.to(device)
        self.views = SharedTensor(context, (num_views, 8), torch.int32, device)
        self.outputs = {}
        for name in sensors:
            channels, dtype = SENSORS[name]
            shape = (num_views, camera.height, camera.width, channels)
            self.outputs[name] = SharedTensor(context, shape, dtype, device)
        buffers = {name: output.buffer for name, output in self.outputs.items()}
        self.backend = BACKENDS[backend](context, scenes, num_views, camera, self.views.buffer, buffers)

    def write_views(self, poses: Tensor, scene_index: Tensor) -> None:
        """Writes the records that `MakeBackend` describes."""
        if self._mount is not None:
            poses = pose.compose(poses, self._mount)
        words = self.views.tensor[: len(poses)]
        # Scene numbers are whole numbers from end to end: as float bits they would be denormal, which GPUs flush to 0.
        numbers = words.view(torch.float32)
        numbers[:, 0:3] = poses[:, 0:3]
        words[:, 3] = scene_index
        numbers[:, 4:8] = poses[:, 3:7]

    def images(self, count: int) -> dict[str, Tensor]:
        """Returns the first `count` images by key."""
        return {self._camera.key(name): output.tensor[:count] for name, output in self.outputs.items()}

    def release(self) -> None:
        """Releases all GL objects of this camera."""
        self.backend.release()
        for shared in (self.views, *self.outputs.values()):
            shared.release()
