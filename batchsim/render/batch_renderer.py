"""`BatchRenderer`: pictures of N cameras in K scenes, drawn in one request."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from batchsim import poses as pose
from batchsim.devices import choose_device
from batchsim.errors import OptionError, RenderError
from batchsim.render.camera import Camera
from batchsim.render.context import create_context, renderer_name
from batchsim.render.prepared_scene import PreparedScene, SceneParts, prepare_scene
from batchsim.render.raster import RasterBackend
from batchsim.render.raycast import RaycastBackend
from batchsim.render.scene_buffers import SceneBuffers
from batchsim.render.scene_upload import SceneUpload
from batchsim.render.sharing import SharedTensor
from scenes import Scene

SENSORS = ("depth", "rgb", "semantic")
BACKENDS = ("auto", "raycast", "raster")
NO_SCENE = -1
"""As a view's scene: nothing is drawn, at next to no cost."""

_CHANNELS = {"depth": (1, torch.float32), "rgb": (3, torch.uint8), "semantic": (1, torch.int32)}
_EYE_HEIGHT = 1.25  # metres above the floor, for the views that `auto` times

_log = logging.getLogger(__name__)


class BatchRenderer:
    """Draws up to `num_views` views at once.

    - `scenes`: what to draw; `scene_index` of `render` counts through them.
    - `width`, `height` (pixels), `hfov` (degrees): the camera that all views share.
    - `sensors`: names out of `SENSORS`, drawn together.
    - `device`: where poses come from and pictures go: "cpu", "cuda", "cuda:1" or "auto". On CUDA nothing is copied.
    - `backend`: "raycast", "raster", or "auto", which times both on views of these scenes and keeps the
      faster; it is logged, and `backend` says which. The two agree within rounding, not bit for bit: name one where
      runs must repeat exactly.
    - `rotating`: scenes will take turns (`replace_scene`): every scene gets a slot of equal size, with room to spare.

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
        rotating: bool = False,
    ) -> None:
        self.camera = Camera(width, height, hfov)
        self.num_views = num_views
        self.num_scenes = len(scenes)
        self.sensors = tuple(sensors)
        self.device = choose_device(device)
        self._rotating = rotating
        candidates = self._candidates(backend)
        self.context = create_context(self.device)
        try:
            with self.context:  # not merely made: several renderers in one process each have their own
                self._views = SharedTensor(self.context, (num_views, 8), torch.float32, self.device)
                self._outputs = {name: self._output(name) for name in self.sensors}
                self.backend = candidates[0] if len(candidates) == 1 else self._fastest(candidates, scenes)
                self._scenes = self._make_scenes(self.backend, scenes, rotating)
                self._backend = self._make(self.backend, self._scenes)
        except BaseException:
            self.context.release()
            raise

    def _candidates(self, backend: str) -> tuple[str, ...]:
        """The backends that can do what is asked; raises `OptionError` where none can."""
        if not isinstance(self.num_views, int) or self.num_views < 1:
            raise OptionError(f"num_views={self.num_views!r}: expected a whole number of at least 1.")
        if self.num_scenes == 0:
            raise OptionError("scenes is empty: expected at least one Scene.")
        if not self.sensors or set(self.sensors) - set(SENSORS) or len(set(self.sensors)) < len(self.sensors):
            raise OptionError(f"sensors={self.sensors!r}: expected some of {', '.join(SENSORS)}, each once.")
        if backend not in BACKENDS:
            raise OptionError(f"renderer={backend!r}: expected one of {', '.join(BACKENDS)}.")
        return ("raycast", "raster") if backend == "auto" else (backend,)

    def _output(self, name: str) -> SharedTensor:
        channels, dtype = _CHANNELS[name]
        shape = (self.num_views, self.camera.height, self.camera.width, channels)
        return SharedTensor(self.context, shape, dtype, self.device)

    def _parts(self, backend: str) -> SceneParts:
        colours = "rgb" in self.sensors
        labels = "semantic" in self.sensors
        return SceneParts(tree=backend == "raycast", vertices=backend == "raster", labels=labels, colours=colours)

    def _make_scenes(self, backend: str, scenes: Sequence[Scene], rotating: bool) -> SceneBuffers:
        parts = self._parts(backend)
        return SceneBuffers(self.context, [prepare_scene(scene, parts) for scene in scenes], rotating)

    def _make(self, backend: str, scenes: SceneBuffers) -> RasterBackend | RaycastBackend:
        views = self._views.buffer
        if backend == "raster":
            return RasterBackend(self.context, scenes, self.num_views, self.camera, views, self._outputs, self.device)
        buffers = {name: output.buffer for name, output in self._outputs.items()}
        return RaycastBackend(self.context, scenes, self.num_views, self.camera, views, buffers)

    def _fastest(self, candidates: Sequence[str], scenes: Sequence[Scene]) -> str:
        """Time the backends on views from eye height all over the scenes."""
        poses, scene_index = (x.to(self.device) for x in _sample_views(scenes, max(1, self.num_views // 2)))
        seconds = {}
        for name in candidates:
            buffers = self._make_scenes(name, scenes, rotating=False)
            backend = self._make(name, buffers)
            times = []
            for _ in range(3):
                start = time.perf_counter()
                self._draw(backend, poses, scene_index)
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
                times.append(time.perf_counter() - start)
            seconds[name] = min(times[1:])  # the first call compiles
            backend.release()
            buffers.release()
        best = min(seconds, key=seconds.__getitem__)
        rates = ", ".join(f"{name} {len(poses) / s:,.0f} views/s" for name, s in seconds.items())
        _log.info("renderer='auto' takes %s on %s: %s", best, self.gl_renderer, rates)
        return best

    @property
    def gl_renderer(self) -> str:
        """The OpenGL driver's name of what draws."""
        return renderer_name(self.context)

    def render(self, poses: Tensor, scene_index: Tensor) -> dict[str, Tensor]:
        """Draw one view for each pose.

        - `poses`: float32 `[N, 7]`, N at most `num_views`; camera position x y z (metres), quaternion x y z w.
        - `scene_index`: int64 `[N]`, in [0, number of scenes), or `NO_SCENE` (-1) for an empty picture.
        - returns by sensor: `depth` float32 `[N, height, width, 1]`, metres along the camera's axis, 0 = nothing hit;
          `rgb` uint8 `[N, height, width, 3]`; `semantic` int32 `[N, height, width, 1]`, 0 = nothing.

        The returned tensors are written again by the next call: clone what must last.
        """
        count = len(poses)
        if poses.shape != (count, 7) or scene_index.shape != (count,) or count > self.num_views:
            raise OptionError(
                f"poses {tuple(poses.shape)} and scene_index {tuple(scene_index.shape)}: expected [N, 7] and [N] "
                f"with N <= num_views = {self.num_views}."
            )
        self._check_open()
        with self.context:
            self._draw(self._backend, poses, scene_index)
        return {name: output.tensor[:count] for name, output in self._outputs.items()}

    def prepare(self, scene: Scene) -> PreparedScene:
        """What `replace_scene` needs of `scene`: numpy alone, so that another thread may do it meanwhile."""
        textures = self._scenes.textures
        return prepare_scene(scene, self._scenes.parts, textures.side if textures else 1)

    def replace_scene(self, slot: int, scene: Scene | PreparedScene) -> SceneUpload:
        """Give the place of scene number `slot` to another scene, whose data `SceneUpload.advance` writes in slices.

        Until that has returned True, views of `slot` show nothing. A scene larger than its slot has all slots grow,
        which takes longer. Raises `OptionError` for a renderer that was not made with `rotating=True`, and
        `RenderError` where the driver has no room for scenes so large.
        """
        if not self._rotating:
            raise OptionError("replace_scene: make the BatchRenderer with rotating=True.")
        self._check_open()
        prepared = scene if isinstance(scene, PreparedScene) else self.prepare(scene)
        with self.context:
            return self._scenes.begin(slot, prepared)

    def _check_open(self) -> None:
        if self._backend is None:
            raise RenderError("This renderer was closed; make a new one.")

    def _draw(self, backend: RasterBackend | RaycastBackend, poses: Tensor, scene_index: Tensor) -> None:
        count = len(poses)
        views = self._views.tensor
        views[:count, 0:3] = poses[:, 0:3]
        views[:count, 3] = scene_index.to(torch.int32).view(torch.float32)
        views[:count, 4:8] = poses[:, 3:7]
        self._views.to_gl(count)
        if isinstance(backend, RasterBackend):
            backend.render(scene_index)
        else:
            for output in self._outputs.values():
                output.to_gl(0)
            backend.render(count)
            for output in self._outputs.values():
                output.to_torch(count)
        self._views.to_torch(0)

    def close(self) -> None:
        """Give everything back. Afterwards `render` raises `RenderError`; closing again does nothing."""
        if self._backend is None:
            return
        with self.context:
            self._backend.release()
            self._scenes.release()
            for shared in (self._views, *self._outputs.values()):
                shared.release()
        self.context.release()
        self._backend = None


def _sample_views(scenes: Sequence[Scene], count: int) -> tuple[Tensor, Tensor]:
    """Poses `[count, 7]` at eye height and scene numbers, the same at every start."""
    rng = np.random.default_rng(0)
    scene_index = np.arange(count) % len(scenes)
    feet = np.zeros((count, 3), np.float32)
    for number, scene in enumerate(scenes[:count]):
        standing = scene.walkable.positions
        mine = scene_index == number
        if len(standing):
            feet[mine] = standing[rng.integers(len(standing), size=mine.sum())]
        else:
            feet[mine] = scene.bounds.mean(0)
    heading = torch.as_tensor(rng.uniform(-np.pi, np.pi, count), dtype=torch.float32)
    eyes = torch.as_tensor(feet) + torch.tensor([0.0, _EYE_HEIGHT, 0.0])
    return torch.cat((eyes, pose.heading_to_quaternion(heading)), -1), torch.as_tensor(scene_index)
