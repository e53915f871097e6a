"""`BatchRenderer`: images of N cameras in K scenes, drawn in one request."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import moderngl
import torch
from torch import Tensor

from batchsim.errors import OptionError, RenderError
from batchsim.render import backend_autotune as choice
from batchsim.render.camera import Camera, several_cameras
from batchsim.render.camera_rig import Rig, parts_for
from batchsim.render.opengl.context import create_context, renderer_name
from batchsim.render.opengl.devices import choose_device
from batchsim.render.opengl.gl_errors import checked
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays, prepare_scene
from batchsim.render.scene_data.scene_upload import SceneUpload
from batchsim.scenes import Scene

SENSORS = ("depth", "rgb", "semantic")
BACKENDS = ("auto", "raycast", "raster")
NO_SCENE = -1
"""As a view's scene: nothing is drawn, at next to no cost."""

_log = logging.getLogger(__name__)


class BatchRenderer:
    """Draws up to `num_views` views at once.

    - `scenes`: what to draw; `scene_index` of `render` counts through them.
    - `width`, `height` (pixels), `hfov` (degrees): the camera that all views share.
    - `cameras`: in its place several of them, each a `Camera` or a mapping of its fields: all draw every view.
    - `sensors`: names out of `SENSORS`, drawn together.
    - `device`: where poses come from and images go: "cpu", "cuda", "cuda:1" or "auto". On CUDA nothing is copied.
    - `backend`: "raycast", "raster", or "auto", which times both on views of these scenes and keeps the
      faster; it is logged, and `backend` says which. The two agree within rounding, not bit for bit: name one where
      runs must repeat exactly.
    - `replaceable`: scenes will take turns (`replace_scene`): every scene gets a slot of equal size, with room to spare.

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
        replaceable: bool = False,
        cameras: Sequence[Camera | Mapping[str, Any]] | None = None,
    ) -> None:
        self.cameras = (Camera(width, height, hfov),) if cameras is None else several_cameras(cameras)
        self.num_views = num_views
        self.num_scenes = len(scenes)
        self.sensors = tuple(sensors)
        self.device = choose_device(device)
        self._replaceable = replaceable
        self._submitted: int | None = None
        self._check_options(backend)
        self.context = create_context(self.device)
        try:
            # Not merely made: several renderers in one process each have their own.
            with checked(self.context, "preparing to draw"):
                self.backend = self._fastest(scenes) if backend == "auto" else backend
                self._rig: Rig | None = self._make(self.backend, scenes)
        except BaseException:
            self.context.release()
            raise
        # One that is forgotten gives its memory back as well; when the program ends, all memory goes anyway.
        self._forgotten = weakref.finalize(self, _give_back, self.context, self._rig)
        self._forgotten.atexit = False

    def _check_options(self, backend: str) -> None:
        if not isinstance(self.num_views, int) or self.num_views < 1:
            raise OptionError(f"num_views={self.num_views!r}: expected a whole number of at least 1.")
        if self.num_scenes == 0:
            raise OptionError("scenes is empty: expected at least one Scene.")
        if not self.sensors or set(self.sensors) - set(SENSORS) or len(set(self.sensors)) < len(self.sensors):
            raise OptionError(f"sensors={self.sensors!r}: expected some of {', '.join(SENSORS)}, each once.")
        if backend not in BACKENDS:
            raise OptionError(f"renderer={backend!r}: expected one of {', '.join(BACKENDS)}.")

    def _make(self, backend: str, scenes: Sequence[Scene]) -> Rig:
        parts = parts_for(backend, self.sensors)
        prepared = [prepare_scene(scene, parts) for scene in scenes]
        cameras, sensors = self.cameras, self.sensors
        return Rig(self.context, backend, prepared, self._replaceable, cameras, self.num_views, sensors, self.device)

    def _fastest(self, scenes: Sequence[Scene]) -> str:
        """Time both backends on views from eye height all over the scenes."""
        scenes = choice.typical_scenes(scenes)
        # Half of all there is room for: the other half is for the last views of episodes that end.
        views = choice.sample_views(scenes, max(1, self.num_views // 2))
        poses, scene_index = (tensor.to(self.device) for tensor in views)
        rigs: dict[str, Rig] = {}

        def draw(name: str, count: int) -> None:
            rigs[name].draw(poses[:count], scene_index[:count])
            rigs[name].images(count)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        try:
            for name in BACKENDS[1:]:
                rigs[name] = self._make(name, scenes)
            draws = {name: lambda count, name=name: draw(name, count) for name in rigs}
            seconds = choice.seconds_per_view(draws, len(poses))
        finally:
            for rig in rigs.values():
                rig.release()
        best = min(seconds, key=seconds.__getitem__)
        rates = ", ".join(f"{name} {1 / s:,.0f} views/s" for name, s in seconds.items())
        _log.info("renderer='auto' takes %s on %s: %s", best, self.gl_renderer, rates)
        return best

    @property
    def gl_renderer(self) -> str:
        """The OpenGL driver's name of what draws."""
        return renderer_name(self.context)

    def render(self, poses: Tensor, scene_index: Tensor) -> dict[str, Tensor]:
        """Draw one view for each pose.

        - `poses`: float32 `[N, 7]`, N at most `num_views`; camera position x y z (metres), quaternion x y z w.
        - `scene_index`: int64 `[N]`, in [0, number of scenes), or `NO_SCENE` (-1) for an empty image.
        - returns by sensor: `depth` float32 `[N, height, width, 1]`, metres along the camera's axis, 0 = nothing hit;
          `rgb` uint8 `[N, height, width, 3]`; `semantic` int32 `[N, height, width, 1]`, 0 = nothing. With `cameras`
          each of them for each camera, as `NAME_depth`, `NAME_rgb`, `NAME_semantic`.

        The returned tensors are written again by the next call: clone what must last. Raises `RenderError` for a
        renderer that was closed, or whose OpenGL context was lost.
        """
        self.submit(poses, scene_index)
        return self.images()

    def submit(self, poses: Tensor, scene_index: Tensor) -> None:
        """The first half of `render`: have the views drawn, while the caller does something else, until `images`.

        Images of the call before must not be used any more. What was submitted before, and not fetched, is lost.
        """
        count = len(poses)
        if poses.shape != (count, 7) or scene_index.shape != (count,) or count > self.num_views:
            raise OptionError(
                f"poses {tuple(poses.shape)} and scene_index {tuple(scene_index.shape)}: expected [N, 7] and [N] "
                f"with N <= num_views = {self.num_views}."
            )
        rig = self._open_rig()
        self._submitted = None
        with checked(self.context, "drawing"):
            rig.draw(poses, scene_index)
        self._submitted = count

    def images(self) -> dict[str, Tensor]:
        """The second half of `render`: the images of what was submitted.

        On CUDA torch's current stream waits until they are drawn, and the host does not. Raises `RenderError` where
        nothing was submitted, and where `render` does.
        """
        rig = self._open_rig()
        if self._submitted is None:
            raise RenderError("images() without submit(): nothing is being drawn.")
        count, self._submitted = self._submitted, None
        with checked(self.context, "fetching images"):
            return rig.images(count)

    def prepare(self, scene: Scene) -> GpuSceneArrays:
        """What `replace_scene` needs of `scene`: numpy alone, so that another thread may do it meanwhile."""
        held = self._open_rig().scenes
        return prepare_scene(scene, held.parts, held.textures.side if held.textures else 1)

    def replace_scene(self, slot: int, scene: Scene | GpuSceneArrays) -> SceneUpload:
        """Give the place of scene number `slot` to another scene, whose data `SceneUpload.advance` writes in slices.

        Until that has returned True, views of `slot` show nothing. A scene larger than its slot has all slots grow,
        which takes longer. Raises `OptionError` for a renderer that was not made with `replaceable=True`, and
        `RenderError` where the driver has no room for scenes so large.
        """
        if not self._replaceable:
            raise OptionError("replace_scene: make the BatchRenderer with replaceable=True.")
        rig = self._open_rig()
        prepared = scene if isinstance(scene, GpuSceneArrays) else self.prepare(scene)
        with checked(self.context, "making room for a scene"):
            return rig.scenes.begin(slot, prepared)

    def _open_rig(self) -> Rig:
        if self._rig is None:
            raise RenderError("This renderer was closed; make a new one.")
        return self._rig

    def close(self) -> None:
        """Give everything back. Afterwards `render` raises `RenderError`; closing again does nothing."""
        if self._rig is None:
            return
        self._rig = None
        self._forgotten()


def _give_back(context: moderngl.Context, rig: Rig) -> None:
    try:
        with checked(context, "closing"):
            rig.release()
    except RenderError as error:  # of a lost context there is nothing to give back
        _log.warning("%s", error)
    context.release()
