"""`Simulator`: scenes, state, task and renderer behind one `step()`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.render.camera import Camera
from batchsim.scenes import Scene
from batchsim.simulation.episode_sources import EpisodeSource
from batchsim.simulation.graphed_transition import GraphedTransition
from batchsim.simulation.transition import StepResult, Transition, Which
from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.streaming.scene_streamer import SceneStreamer
from batchsim.tasks import Task
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_SCENES = "scene_marks"
_STREAMER = "streamer."


@dataclass(frozen=True)
class SimulatorOptions:
    """How bodies move and what they see; metres and degrees, Habitat's PointNav values by default.

    `cameras` take the place of the one that `width`, `height` and `hfov` describe. `simulator_cuda_graph`: on CUDA the step's
    tensors are worked out by one graph (`GraphedTransition`). `compile_simulator`: by what `torch.compile` makes of it.
    """

    sensors: tuple[str, ...] = ("depth",)
    width: int = 64
    height: int = 64
    hfov: float = 90.0
    camera_height: float = 1.25
    forward_step: float = 0.25
    turn_angle: float = 10.0
    allow_sliding: bool = True
    max_episode_steps: int = 500
    max_depth: float = 10.0
    renderer: str = "auto"
    cameras: tuple[Camera, ...] = ()
    simulator_cuda_graph: bool = True
    compile_simulator: bool = False

    def __post_init__(self) -> None:
        positive = ("camera_height", "forward_step", "turn_angle", "max_episode_steps", "max_depth")
        for name in positive:
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 < value < math.inf):
                raise OptionError(f"{name}={value!r}: expected a number of more than 0.")
        if not isinstance(self.max_episode_steps, Integral):
            raise OptionError(f"max_episode_steps={self.max_episode_steps!r}: expected a whole number.")

    @property
    def rig(self) -> tuple[Camera, ...]:
        """All cameras of an agent."""
        return self.cameras or (Camera(self.width, self.height, self.hfov),)


@dataclass(frozen=True)
class _Pending:
    """A step whose images are being drawn; `ended`: whose last views are among them."""

    result: StepResult
    ended: Which | None


class Simulator:
    """N environments in K resident scenes, stepped and rendered together, without a loop over environments.

    - `scenes`: those resident at the beginning. `supply`: where others come from that take their place, in `streamer`;
      it has `scenes` as its resident ones. None: the scenes stay, and `streamer` is None.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        num_envs: int,
        task: Task,
        episodes: EpisodeSource | None = None,
        options: SimulatorOptions | None = None,
        device: str | torch.device = "cpu",
        supply: InitialScenes | None = None,
    ) -> None:
        if num_envs < 1:
            raise OptionError(f"num_envs={num_envs}: expected at least 1.")
        self.options = options or SimulatorOptions()
        self.num_envs = num_envs
        self.device = torch.device(device)
        self.scenes = ResidentScenes(scenes, self.device, replaceable=supply is not None)
        self.task = task
        self.state = State.empty(num_envs, self.device)
        self.motion = Motion(
            self.scenes,
            self.options.forward_step,
            math.radians(self.options.turn_angle),
            self.options.allow_sliding,
        )
        limits = self.options.camera_height, self.options.max_episode_steps
        self.transition = Transition(self.scenes, self.state, self.motion, task, episodes or task, *limits)
        if self.options.compile_simulator:
            self.transition.compile()
        graphed = self.options.simulator_cuda_graph and self.device.type == "cuda"
        self._advance = GraphedTransition(self.transition) if graphed else self.transition
        # Finished episodes' last views are drawn in the same request as the next views, hence twice as many.
        self.renderer = self._make_renderer(scenes, supply is not None) if self.options.sensors else None
        self.streamer = SceneStreamer(self.scenes, self.renderer, supply) if supply else None
        self.images: dict[str, Tensor] = {}
        self._final_images: dict[str, Tensor] = {}
        self._pending: _Pending | None = None

    def _make_renderer(self, scenes: Sequence[Scene], replaceable: bool) -> BatchRenderer:
        options = self.options
        views = 2 * self.num_envs
        size = (options.width, options.height, options.hfov)
        cameras = options.cameras or None
        sensors = (options.sensors, options.renderer)
        return BatchRenderer(
            scenes, views, *size, *sensors, self.device, replaceable_scenes=replaceable, cameras=cameras
        )

    def reset(self, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Begin new episodes where `mask` (bool `[N]`, default all) is set; returns the observations of all."""
        self.check_no_step_pending("reset")
        self.begin(torch.ones(self.num_envs, dtype=torch.bool, device=self.device) if mask is None else mask)
        return self.observe()

    def begin(self, episode_start: Tensor) -> None:
        """Put the environments in `episode_start` (bool `[N]`) at the start of their next episode, without rendering."""
        self.transition.begin(episode_start)

    def step(self, action: Tensor, autoreset: bool = True, episode_start: Tensor | None = None) -> StepResult:
        """Act in all environments at once.

        - `action`: int64 `[N]`.
        - `autoreset`: environments whose episode ends begin the next one within this step, so that `observation` is
          the new episode's and `final_observation` the ended one's; without, they stay as they are.
        - `episode_start`: bool `[N]`, environments that begin their next episode in place of acting, with reward 0.
        """
        self.step_async(action, autoreset, episode_start)
        return self.step_wait()

    def step_async(self, action: Tensor, autoreset: bool = True, episode_start: Tensor | None = None) -> None:
        """The first half of `step`: all but the images, which are drawn while the caller does something else.

        Those of the step before must not be used any more.
        """
        self.check_no_step_pending("step_async")
        result, ended = self._advance(action, episode_start, autoreset)
        self._submit(self.transition.count_views(ended))
        if self.streamer is not None:
            self.streamer.advance(self.state.scene)
        self._pending = _Pending(result, ended)

    def step_wait(self) -> StepResult:
        """The second half of `step`."""
        if self._pending is None:
            raise NoAsyncCallError("step_wait() without step_async() before it.", "step")
        result, ended = self._pending.result, self._pending.ended
        self._pending = None
        images = self._fetch()
        result.observation = {name: image[: self.num_envs] for name, image in images.items()} | result.observation
        if ended is None:
            result.final_observation = result.observation
        else:
            result.final_observation = self._last_images(images, ended) | result.final_observation
        return result

    def check_no_step_pending(self, called: str) -> None:
        """Raise Gymnasium's `AlreadyPendingCallError` between `step_async` and `step_wait`; `called` is who asks."""
        if self._pending is not None:
            raise AlreadyPendingCallError(f"{called}() while a step is under way: call step_wait() first.", "step")

    def measures(self) -> dict[str, Tensor]:
        """The current episodes' measures, length N each: the task's, and `r` (return), `l` (steps), `collisions`."""
        return self.transition.measures()

    def observe(self) -> dict[str, Tensor]:
        """What the environments see now."""
        self.check_no_step_pending("observe")
        sensors = self.transition.look()
        self._submit(self.num_envs)
        return self._fetch() | sensors

    def _last_images(self, images: dict[str, Tensor], ended: Which) -> dict[str, Tensor]:
        """The ended episodes' last images, put where their environments are."""
        last = {name: image[self.num_envs :] for name, image in images.items()}
        if isinstance(ended, slice):
            return last
        for name, image in last.items():
            if name not in self._final_images:
                self._final_images[name] = image.new_zeros((self.num_envs, *image.shape[1:]))
            self._final_images[name].index_copy_(0, ended, image)
        return dict(self._final_images)

    def _submit(self, count: int) -> None:
        """Have the first `count` views drawn."""
        if self.renderer is not None:
            self.renderer.render_async(self.transition.poses[:count], self.transition.view_scene[:count])

    def _fetch(self) -> dict[str, Tensor]:
        """The images that were submitted."""
        if self.renderer is None:
            return {}
        images = self.images = self.renderer.render_wait()
        for camera in self.options.rig if "depth" in self.options.sensors else ():
            images[camera.key("depth")].clamp_(max=self.options.max_depth).div_(self.options.max_depth)
        return images

    def state_dict(self) -> dict[str, Tensor]:
        """All that decides how the episodes go on, by name.

        `State.state_dict`, marks of the task and the scenes, and `SceneStreamer.state_dict` where there is a streamer.
        """
        self.check_no_step_pending("state_dict")
        streamer = self.streamer.state_dict() if self.streamer else {}
        marks = {_SCENES: self._scene_marks()}
        return self.state.state_dict() | marks | {_STREAMER + name: value for name, value in streamer.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, of a simulator of as many environments with the same task and scenes.

        Raises `OptionError` where it is of others.
        """
        self.check_no_step_pending("load_state_dict")
        tensors = dict(tensors)
        marks = tensors.pop(_SCENES, None)
        if marks is None or not torch.equal(marks.cpu(), self._scene_marks()):
            raise OptionError(
                "The state is of environments in other scenes or of another task; load it with those it was saved with."
            )
        streamer = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_STREAMER)}
        self.state.load_state_dict(tensors)
        if self.streamer is not None:
            self.streamer.load_state_dict({name.removeprefix(_STREAMER): v for name, v in streamer.items()})

    def _scene_marks(self) -> Tensor:
        """int64: checksums of the task's name, and of each scene's name and size; of a streamer the names alone."""
        marks = [type(self.task).__name__]
        if self.streamer is not None:
            marks += [f"{len(self.scenes)} of", *(source.name for source in self.streamer.loader.sources)]
            return torch.tensor([zlib.crc32(mark.encode()) for mark in marks])
        marks += [f"{scene.name} {len(scene.triangles)} {scene.walkable.num_cells}" for scene in self.scenes.scenes]
        return torch.tensor([zlib.crc32(mark.encode()) for mark in marks])

    def close(self) -> None:
        """Give the renderer's memory back, and end the loading of scenes."""
        if self.streamer is not None:
            self.streamer.close()
        if self.renderer is not None:
            self.renderer.close()
