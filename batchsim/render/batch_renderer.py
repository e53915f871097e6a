"""`BatchRenderer` draws the images of N cameras in K scenes in one call."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import moderngl
import torch
from torch import Tensor

from batchsim import defaults
from batchsim.errors import OptionError, RenderError
from batchsim.piecewise_copy import PiecewiseCopy
from batchsim.render import backend_autotune
from batchsim.render.backend import SENSORS
from batchsim.render.camera import AnyCamera, Camera, read_cameras, require_pinhole
from batchsim.render.camera_rig import BACKENDS as _BACKENDS
from batchsim.render.camera_rig import CameraRig, parts_for
from batchsim.render.opengl.context import (
    create_context,
    exclusive,
    is_from_before_fork,
    release_context,
    renderer_name,
)
from batchsim.render.opengl.devices import choose_device
from batchsim.render.opengl.gl_errors import checked
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays, prepare_scene
from batchsim.render.scene_data.scene_buffers import UPLOAD_GIVEN_UP
from batchsim.scenes import Scene

BACKENDS = ("auto", *_BACKENDS)
NO_SCENE = -1
"""Scene number of a view that stays empty; it costs almost nothing."""

_FEW_RASTERISERS = ("H100", "H200")  # GPUs on which few processors rasterise, so that ray casting is always faster

_log = logging.getLogger(__name__)


class BatchRenderer:
    """Draws up to `num_views` views at once.

    Args:
        scenes: What to draw; `scene_index` of `render` is an index into them.
        num_views: The largest number of views per call.
        width: Pixels of every image.
        height: Pixels of every image.
        hfov: Horizontal field of view, degrees.
        sensors: Names out of "depth", "rgb", "semantic", "instance", drawn together.
        backend: "raycast", "raster", or "auto": times both on views of these scenes, keeps the faster and logs which;
            the attribute `backend` names it. The two agree within rounding, not bit for bit: name one if runs must
            repeat exactly.
        device: Where poses come from and images go: "cpu", "cuda", "cuda:1" or "auto". On CUDA nothing is copied.
        replaceable_scenes: Whether `replace_scene` will be called: each scene gets a slot of equal size with spare
            room.
        cameras: Cameras in place of `width`, `height` and `hfov`, each a `Camera`, a `Lidar` or a mapping of its
            fields. Every view is drawn with each of them.
        goal_camera: Another camera, which draws colour images of views of its own (`goals` of `render_async`).
        num_goals: The largest number of its views per call.

    Raises:
        OptionError: An option is invalid.
        RenderError: OpenGL cannot be used, or the scenes do not fit.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        num_views: int,
        width: int = Camera.width,
        height: int = Camera.height,
        hfov: float = defaults.HFOV,
        sensors: Sequence[str] = ("depth",),
        backend: str = "auto",
        device: str | torch.device = "cpu",
        replaceable_scenes: bool = False,
        cameras: Sequence[AnyCamera | Mapping[str, Any]] | None = None,
        goal_camera: AnyCamera | None = None,
        num_goals: int = 0,
    ) -> None:
        self.cameras: tuple[AnyCamera, ...] = (Camera(width, height, hfov),)
        if cameras is not None:
            self.cameras = read_cameras(cameras)
        self.num_views = num_views
        self.num_scenes = len(scenes)
        self.sensors = tuple(sensors)
        self.device = choose_device(device)
        self._replaceable = replaceable_scenes
        self._pending: tuple[int, int] | None = None
        self._goal_camera, self._num_goals = goal_camera, num_goals
        self._check_options(backend)
        self.context = create_context(self.device)
        try:
            with checked(self.context, "preparing to draw"):
                self.backend = self._fastest(scenes) if backend == "auto" else backend
                rig = self._make_rig(self.backend, scenes)
        except BaseException:
            release_context(self.context)
            raise
        self._rig: CameraRig | None = rig
        # Also releases a renderer that is dropped without close(). At exit the memory of a process goes anyway, except
        # that buffers shared with CUDA must be unregistered while the context exists.
        self._finalizer = weakref.finalize(self, _release, self.context, rig)
        self._finalizer.atexit = self.device.type == "cuda"

    def _check_options(self, backend: str) -> None:
        if not isinstance(self.num_views, int) or self.num_views < 1:
            raise OptionError(f"num_views={self.num_views!r}: expected a whole number of at least 1.")
        if self.num_scenes == 0:
            raise OptionError("scenes is empty: expected at least one Scene.")
        if not self.sensors or set(self.sensors) - set(SENSORS) or len(set(self.sensors)) < len(self.sensors):
            raise OptionError(f"sensors={self.sensors!r}: expected some of {', '.join(SENSORS)}, each once.")
        if backend not in BACKENDS:
            raise OptionError(f"backend={backend!r}: expected one of {', '.join(BACKENDS)}.")
        if backend == "raster":
            for camera in self._all_cameras():
                require_pinhole(camera)

    def _all_cameras(self) -> tuple[AnyCamera, ...]:
        return self.cameras if self._goal_camera is None else (*self.cameras, self._goal_camera)

    def _make_rig(self, backend: str, scenes: Sequence[Scene]) -> CameraRig:
        parts = parts_for(backend, self.sensors, self._goal_camera is not None)
        arrays = [prepare_scene(scene, parts) for scene in scenes]
        cameras, sensors = self.cameras, self.sensors
        return CameraRig(
            self.context,
            backend,
            arrays,
            self._replaceable,
            cameras,
            self.num_views,
            sensors,
            self.device,
            self._goal_camera,
            self._num_goals,
        )

    def _fastest(self, scenes: Sequence[Scene]) -> str:
        """Returns the backend that is faster on views from eye height all over the scenes."""
        curved = [camera.projection for camera in self._all_cameras() if camera.projection != "pinhole"]
        if curved:
            _log.info("backend='auto' uses raycast, which alone draws %s", ", ".join(curved))
            return "raycast"
        if any(name in self.gl_renderer for name in _FEW_RASTERISERS):
            _log.info("backend='auto' uses raycast on %s", self.gl_renderer)
            return "raycast"
        scenes = backend_autotune.typical_scenes(scenes)
        # An environment asks for half of its views in most steps: the other half is for final views of episodes.
        poses, scene_index = backend_autotune.sample_views(scenes, max(1, self.num_views // 2))
        poses, scene_index = poses.to(self.device), scene_index.to(self.device)
        rigs: dict[str, CameraRig] = {}

        def draw(name: str, count: int) -> None:
            rigs[name].render_async(poses[:count], scene_index[:count])
            rigs[name].render_wait(count)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        try:
            for name in _BACKENDS:
                rigs[name] = self._make_rig(name, scenes)
            draws = {name: lambda count, name=name: draw(name, count) for name in rigs}
            seconds = backend_autotune.seconds_per_view(draws, len(poses))
        finally:
            for rig in rigs.values():
                rig.release()
        best = min(seconds, key=seconds.__getitem__)
        rates = ", ".join(f"{name} {1 / s:,.0f} views/s" for name, s in seconds.items())
        _log.info("backend='auto' uses %s on %s: %s", best, self.gl_renderer, rates)
        return best

    @property
    def gl_renderer(self) -> str:
        """The OpenGL driver's name for what draws."""
        return renderer_name(self.context)

    def render(self, poses: Tensor, scene_index: Tensor) -> dict[str, Tensor]:
        """Draws one view for each pose.

        Args:
            poses: float32 `[N, 7]`, N at most `num_views`: camera position x y z (metres), quaternion x y z w.
            scene_index: int64 `[N]`, in [0, number of scenes), or `NO_SCENE` (-1) for an empty image.

        Returns:
            By sensor: "depth" float32 `[N, height, width, 1]`, metres along the camera's axis (along the ray for other
            cameras than pinhole ones), 0 = nothing hit; "rgb"
            uint8 `[N, height, width, 3]`; "semantic" (labels) and "instance" (objects) int32 `[N, height, width, 1]`,
            0 = nothing. With `cameras` one of each for every camera, such as `NAME_depth`. The next call overwrites
            these tensors: clone what must last.

        Raises:
            OptionError: The shapes do not fit.
            RenderError: The renderer is closed, another thread is using it, the process was forked after it was made,
                or its OpenGL context is lost.
        """
        with exclusive(self.context):
            self.render_async(poses, scene_index)
            return self.render_wait()

    def render_async(self, poses: Tensor, scene_index: Tensor, goals: tuple[Tensor, Tensor] | None = None) -> None:
        """First half of `render`: starts drawing and returns. `render_wait` returns the images.

        The images of the call before must not be used any more. Views that were started before and not fetched are
        lost. `goals`: poses `[M, 7]` and scenes `[M]` that the goal camera draws in the same request.
        """
        count = len(poses)
        if poses.shape != (count, 7) or scene_index.shape != (count,) or count > self.num_views:
            raise OptionError(
                f"poses {tuple(poses.shape)} and scene_index {tuple(scene_index.shape)}: expected [N, 7] and [N] "
                f"with N <= num_views = {self.num_views}."
            )
        num_goals = 0 if goals is None else len(goals[0])
        if num_goals > self._num_goals:
            raise OptionError(f"goals: {num_goals} views; expected at most num_goals = {self._num_goals}.")
        rig = self._open_rig()
        self._pending = None
        with checked(self.context, "drawing"):
            rig.render_async(poses, scene_index, goals if num_goals else None)
        self._pending = count, num_goals

    def render_wait(self) -> dict[str, Tensor]:
        """Second half of `render`: returns the images that `render_async` started, those of goals as "goal".

        On CUDA torch's current stream waits until they are drawn, and the host does not.

        Raises:
            RenderError: Nothing was started, or as in `render`.
        """
        rig = self._open_rig()
        if self._pending is None:
            raise RenderError("render_wait() without render_async(): nothing is being drawn.")
        counts, self._pending = self._pending, None
        with checked(self.context, "fetching images"):
            return rig.render_wait(*counts)

    def prepare(self, scene: Scene) -> GpuSceneArrays:
        """Returns what `replace_scene` needs of `scene`. It uses no OpenGL, so that another thread may call it."""
        buffers = self._open_rig().scenes
        return prepare_scene(scene, buffers.parts, buffers.textures.side if buffers.textures else 1)

    def replace_scene(self, slot: int, scene: Scene | GpuSceneArrays) -> PiecewiseCopy:
        """Replaces the scene with number `slot`. `advance` of the result writes the data in slices.

        Until it has returned True, views of `slot` are empty. If the scene is larger than its slot, all slots are
        enlarged first, which takes longer.

        Raises:
            OptionError: The renderer was made without `replaceable_scenes=True`.
            RenderError: The driver has no room for the scene; or, by `advance`, another scene was put into the slot
                or the renderer was closed before all was written.
        """
        if not self._replaceable:
            raise OptionError("replace_scene: make the BatchRenderer with replaceable_scenes=True.")
        rig = self._open_rig()
        arrays = scene if isinstance(scene, GpuSceneArrays) else self.prepare(scene)
        with checked(self.context, "making room for a scene"):
            return PiecewiseCopy(self._upload(rig, rig.scenes.replace(slot, arrays)))

    def _upload(self, rig: CameraRig, pieces: Iterator[int]) -> Iterator[int]:
        """Runs `pieces` with the context current and errors checked."""
        while True:
            if rig is not self._rig:
                raise RenderError(UPLOAD_GIVEN_UP)
            with checked(self.context, "uploading a scene"):
                size = next(pieces, None)
            if size is None:
                return
            yield size

    def _open_rig(self) -> CameraRig:
        if self._rig is None:
            raise RenderError("This renderer is closed; make a new one.")
        return self._rig

    def close(self) -> None:
        """Releases all memory. Afterwards `render` raises `RenderError`; closing again does nothing."""
        if self._rig is None:
            return
        self._rig = None
        self._finalizer()


def _release(context: moderngl.Context, rig: CameraRig) -> None:
    if is_from_before_fork(context):
        return
    try:
        with checked(context, "closing"):
            rig.release()
    except RenderError as error:  # there is nothing to release in a lost context
        _log.warning("%s", error)
    release_context(context)
