"""`Simulator`: scenes, state, task and renderer behind one `step()`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim import defaults
from batchsim.control import Control, DiscreteControl, VelocityControl, VelocityOptions
from batchsim.errors import OptionError
from batchsim.expert.expert import Expert
from batchsim.noise import Noise
from batchsim.option_checks import flag, one_of, real_number, whole_number
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.render.camera import AnyCamera, Camera
from batchsim.render.camera_rig import GOAL
from batchsim.scenes import Scene
from batchsim.simulation.environment_rows import EnvironmentRows, scene_mark
from batchsim.simulation.episode_sources import EpisodeSource
from batchsim.simulation.goal_images import GoalImages
from batchsim.simulation.graphed_transition import GraphedTransition
from batchsim.simulation.task_scenes import task_for_scenes
from batchsim.simulation.transition import EnvIndex, StepResult, Transition
from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.streaming.scene_streamer import SceneStreamer
from batchsim.tasks import Task
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

ACTION_MODES = ("discrete", "velocity")
DEPTH_FORMATS = ("float32", "uint8")

_SCENES = "scene_marks"
_STREAMER = "streamer."


@dataclass(frozen=True)
class SimulatorOptions:
    """How agents move and what they see; Habitat's PointNav values by default.

    Args:
        sensors: Names of the images to render.
        width: Image width, pixels.
        height: Image height, pixels.
        hfov: Horizontal field of view, degrees.
        camera_height: Height of the camera above the floor, metres.
        forward_step: Length of a step forward, metres.
        turn_angle: Angle of a turn, degrees.
        allow_sliding: Whether agents slide along walls.
        max_episode_steps: Steps after which an episode is truncated.
        max_depth: Depth that observations are clipped to and divided by, metres.
        renderer: Rendering backend, or "auto".
        cameras: Cameras in place of the one described by `width`, `height` and `hfov`.
        tilt_angle: Angle by which looking up or down tilts the camera, degrees.
        min_depth: Depth that observations of depth begin at, metres.
        action_mode: "discrete" or "velocity".
        velocity: Parameters of velocity control.
        noise: Noise of motion and images.
        expert: Whether every step computes the expert's actions and costs (`Expert`).
        depth_format: "float32" for depth in [0, 1], or "uint8" for 0 to 255.
        channels_first: Whether images are `[N, channels, height, width]` instead of `[N, height, width, channels]`.
        reuse_buffers: Whether the images of a step may be overwritten by the next one, which saves a copy.
        simulator_cuda_graph: Whether to run the step's tensor operations as one CUDA graph (`GraphedTransition`).
        compile_simulator: Whether to fuse them with `torch.compile`.

    Raises:
        OptionError: If a value is out of range.
    """

    sensors: tuple[str, ...] = ("depth",)
    width: int = Camera.width
    height: int = Camera.height
    hfov: float = defaults.HFOV
    camera_height: float = defaults.CAMERA_HEIGHT
    forward_step: float = defaults.FORWARD_STEP
    turn_angle: float = defaults.TURN_ANGLE
    allow_sliding: bool = True
    max_episode_steps: int = defaults.MAX_EPISODE_STEPS
    max_depth: float = defaults.MAX_DEPTH
    renderer: str = "auto"
    cameras: tuple[AnyCamera, ...] = ()
    depth_format: str = "float32"
    channels_first: bool = False
    reuse_buffers: bool = False
    simulator_cuda_graph: bool = True
    compile_simulator: bool = False
    tilt_angle: float = defaults.TILT_ANGLE
    min_depth: float = 0.0
    action_mode: str = "discrete"
    velocity: VelocityOptions = field(default_factory=VelocityOptions)
    noise: Noise = field(default_factory=Noise)
    expert: bool = False

    def __post_init__(self) -> None:
        checked = {
            "width": whole_number("width", self.width, 1, 4096, "pixels"),
            "height": whole_number("height", self.height, 1, 4096, "pixels"),
            "hfov": real_number("hfov", self.hfov, 1, 170, "degrees"),
            "camera_height": real_number("camera_height", self.camera_height, 0.01, 100, "metres"),
            # A step is split into parts shorter than a cell, and the expert tries headings: both must be few.
            "forward_step": real_number("forward_step", self.forward_step, 1e-4, 10, "metres"),
            "turn_angle": real_number("turn_angle", self.turn_angle, 0.1, 180, "degrees"),
            "tilt_angle": real_number("tilt_angle", self.tilt_angle, 0.1, 90, "degrees"),
            "min_depth": real_number("min_depth", self.min_depth, 0, 10_000, "metres"),
            "action_mode": one_of("action_mode", self.action_mode, ACTION_MODES),
            "max_depth": real_number("max_depth", self.max_depth, 0.01, 10_000, "metres"),
            "max_episode_steps": whole_number("max_episode_steps", self.max_episode_steps, 1, unit="steps"),
            "depth_format": one_of("depth_format", self.depth_format, DEPTH_FORMATS),
            "allow_sliding": flag("allow_sliding", self.allow_sliding),
            "channels_first": flag("channels_first", self.channels_first),
            "reuse_buffers": flag("reuse_buffers", self.reuse_buffers),
            "simulator_cuda_graph": flag("simulator_cuda_graph", self.simulator_cuda_graph),
            "compile_simulator": flag("compile_simulator", self.compile_simulator),
            "expert": flag("expert", self.expert),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not self.min_depth < self.max_depth:
            raise OptionError(f"min_depth={self.min_depth!r}: expected less than max_depth={self.max_depth!r}.")

    @property
    def rig(self) -> tuple[AnyCamera, ...]:
        """All cameras of an agent."""
        return self.cameras or (Camera(self.width, self.height, self.hfov),)


@dataclass(frozen=True)
class _PendingStep:
    """A step whose images are being rendered.

    `ended` selects the environments whose last views are among the `views`; those of the goals of `started` follow.
    """

    result: StepResult
    ended: EnvIndex | None
    views: int
    started: EnvIndex | None
    waiting: Tensor | None


class Simulator:
    """N environments in K resident scenes, stepped and rendered together.

    Args:
        scenes: The scenes that are resident at the start.
        num_envs: N.
        task: Rewards, measures and ends episodes.
        episodes: Where new episodes come from; None: the task samples them.
        options: How agents move and what they see.
        device: Where the tensors are.
        initial: The set of which `scenes` are the loaded ones, whose other scenes are swapped in while episodes run;
            None: the scenes stay.

    Attributes:
        scenes: The scenes as tensors (`ResidentScenes`).
        state: The state of all environments (`State`).
        motion: Moves the agents (`Motion`).
        transition: The tensor operations of a step (`Transition`).
        renderer: The `BatchRenderer`; None without sensors.
        streamer: Swaps scenes (`SceneStreamer`); None if the scenes stay.
        images: The images of the last observations, `[N, ...]` each.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        num_envs: int,
        task: Task,
        episodes: EpisodeSource | None = None,
        options: SimulatorOptions | None = None,
        device: str | torch.device = "cpu",
        initial: InitialScenes | None = None,
    ) -> None:
        self.options = options or SimulatorOptions()
        self.num_envs = whole_number("num_envs", num_envs, 1)
        self.device = torch.device(device)
        self.scenes = ResidentScenes(
            scenes, self.device, replaceable=initial is not None, with_objects=task.uses_objects
        )
        self.task = task = task_for_scenes(task, self.scenes, initial)
        self.state = State.empty(self.num_envs, self.device)
        noise, control = self.options.noise, self._make_control()
        self.motion = Motion(
            self.scenes, self.options.forward_step, self.options.allow_sliding, control.farthest, noise.actuation
        )
        self._expert = self._make_expert() if self.options.expert else None
        limits = self.options.camera_height, self.options.max_episode_steps
        shows_goals = bool(task.goal_image and self.options.sensors)
        self.transition = Transition(
            self.scenes, self.state, self.motion, task, episodes or task, *limits, control, shows_goals, self._expert
        )
        self.goal_images: GoalImages | None = None
        if task.goal_image and self.options.sensors:
            self.goal_images = GoalImages(task, self.options.rig, self.num_envs, self.device)
        if self.options.compile_simulator:
            self.transition.compile()
        graphed = self.options.simulator_cuda_graph and self.device.type == "cuda"
        self._advance = GraphedTransition(self.transition) if graphed else self.transition
        self.renderer = self._make_renderer(scenes, initial is not None) if self.options.sensors else None
        self.streamer = SceneStreamer(self.scenes, self.renderer, initial) if initial else None
        self.images: dict[str, Tensor] = {}
        self._final_images: dict[str, Tensor] = {}  # only with reuse_buffers
        self._rows = EnvironmentRows(self.transition, self.goal_images, self.streamer)
        self._depth_keys = {camera.key("depth") for camera in self.options.rig}
        self._pending: _PendingStep | None = None

    def _make_renderer(self, scenes: Sequence[Scene], replaceable: bool) -> BatchRenderer:
        options = self.options
        # The last views of episodes that end are rendered together with the next views, hence twice as many.
        views = len(self.transition.poses)
        size = (options.width, options.height, options.hfov)
        cameras = options.cameras or None
        sensors = (options.sensors, options.renderer)
        return BatchRenderer(
            scenes,
            views,
            *size,
            *sensors,
            self.device,
            replaceable_scenes=replaceable,
            cameras=cameras,
            goal_camera=self.goal_images.camera if self.goal_images else None,
            num_goals=self.num_envs,
        )

    def reset(self, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Starts new episodes in the environments of `mask` (bool `[N]`, default: all); returns all observations."""
        self.check_no_step_pending("reset")
        everything = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        mask = everything if mask is None else mask
        self.transition.start_episodes(mask)
        return self._observe(mask)

    def step(
        self,
        action: Tensor,
        mode: AutoresetMode = AutoresetMode.SAME_STEP,
        waiting: Tensor | None = None,
    ) -> StepResult:
        """Makes one step in all environments.

        Args:
            action: int64 `[N]`.
            mode: What happens when an episode ends. SAME_STEP: the next one starts within this step, so that
                `observation` is of the new episode and `final_observation` of the old one. NEXT_STEP and DISABLED: the
                environment stays as it is, and the caller names it as `waiting` in the next step.
            waiting: bool `[N]`, the environments that do not act, with reward 0. NEXT_STEP: they start their next
                episode instead. DISABLED: they stay as they are.
        """
        self.step_async(action, mode, waiting)
        return self.step_wait()

    def step_async(
        self,
        action: Tensor,
        mode: AutoresetMode = AutoresetMode.SAME_STEP,
        waiting: Tensor | None = None,
    ) -> None:
        """Starts a step: does everything but the images, which are rendered in the background until `step_wait`.

        Images of the step before must not be used any more.
        """
        self.check_no_step_pending("step_async")
        result, ended = self._advance(action, mode, waiting)
        started = self.transition.started(mode, ended, waiting)
        views = self.transition.count_views(ended)
        self._submit(views, self.transition.count_goals(started))
        if self.streamer is not None:
            self.streamer.advance(self.state.scene)
        self._pending = _PendingStep(result, ended, views, started, waiting)

    def step_wait(self) -> StepResult:
        """Finishes the step started by `step_async`."""
        if self._pending is None:
            raise NoAsyncCallError("Call step_async() before step_wait().", "step")
        pending = self._pending
        result, ended = pending.result, pending.ended
        self._pending = None
        views = self._fetch(pending.views)
        goals = {}
        if self.goal_images is not None:
            mask = result.done if pending.waiting is None else pending.waiting
            goals = self._to_observations(self.goal_images.update(views.pop(GOAL, None), pending.started, mask))
            result.observation |= self._to_observations(self.goal_images.observation)
        self.images = self._to_observations({name: view[: self.num_envs] for name, view in views.items()})
        result.observation = self.images | result.observation
        if ended is None:
            result.final_observation = result.observation
        else:
            last = {name: view[self.num_envs : pending.views] for name, view in views.items()}
            images = self._by_environment(self._to_observations(last), ended)
            result.final_observation = images | result.final_observation | goals
        return result

    def check_no_step_pending(self, method: str) -> None:
        """Raises Gymnasium's `AlreadyPendingCallError` between `step_async` and `step_wait`, naming `method`."""
        if self._pending is not None:
            raise AlreadyPendingCallError(f"A step is pending: call step_wait() first, then {method}().", "step")

    @property
    def expert(self) -> Expert:
        """The expert of the task.

        Raises:
            OptionError: If the task has none, or if actions are velocities.
        """
        if self._expert is None:
            self._expert = self._make_expert()
        return self._expert

    def _make_expert(self) -> Expert:
        options = self.options
        if options.action_mode != "discrete":
            raise OptionError(
                f"The expert chooses numbered actions: it needs action_mode='discrete', not {options.action_mode!r}."
            )
        return Expert(self.scenes, self.state, self.motion, self.task, options.forward_step, options.turn_angle)

    def measures(self) -> dict[str, Tensor]:
        """Returns the measures of the current episodes, `[N]` each; see `Transition.measures`."""
        return self.transition.measures()

    def observe(self) -> dict[str, Tensor]:
        """Renders and returns the observations of the current state."""
        self.check_no_step_pending("observe")
        return self._observe(None)

    def _observe(self, started: Tensor | None) -> dict[str, Tensor]:
        """Renders the current state, and the goals of the environments in `started` (bool `[N]`)."""
        sensors = self.transition.observe()
        if self.goal_images is None:
            self._submit(self.num_envs)
            self.images = self._to_observations(self._fetch(self.num_envs))
            return self.images | sensors
        everything = slice(None)
        if started is not None:
            self.transition.place_goals(everything, started)
        self._submit(self.num_envs, 0 if started is None else self.num_envs)
        views = self._fetch(self.num_envs)
        if started is not None:
            self.goal_images.update(views.pop(GOAL), everything, started)
        self.images = self._to_observations(views)
        return self.images | sensors | self._to_observations(self.goal_images.observation)

    def _by_environment(self, images: dict[str, Tensor], ended: EnvIndex) -> dict[str, Tensor]:
        """Puts the last images of the environments in `ended` into the rows of these environments."""
        if isinstance(ended, slice):
            return images
        result = {}
        for name, image in images.items():
            rows = self._final_images.get(name)
            if rows is None:
                rows = image.new_zeros((self.num_envs, *image.shape[1:]))
            if self.options.reuse_buffers:
                self._final_images[name] = rows
            result[name] = rows.index_copy_(0, ended, image)
        return result

    def _submit(self, count: int, num_goals: int = 0) -> None:
        """Starts rendering the first `count` views, and the first `num_goals` of goals."""
        if self.renderer is not None:
            views = self.transition
            goals = (views.goal_poses[:num_goals], views.goal_scene[:num_goals]) if num_goals else None
            self.renderer.render_async(views.poses[:count], views.view_scene[:count], goals)

    def _fetch(self, views: int) -> dict[str, Tensor]:
        """Returns the images of the submitted views, in the renderer's buffers.

        The first `views` are those of agents, and have noise.
        """
        if self.renderer is None:
            return {}
        images = self.renderer.render_wait()
        seed, counter = self.transition.view_seed[:views], self.transition.view_counter[:views]
        noise = self.options.noise
        for camera in self.options.rig:
            seen = camera.sees(self.options.sensors) if isinstance(camera, Camera) else ()  # a lidar has no noise
            if noise.depth is not None and "depth" in seen:
                depth = images[camera.key("depth")]
                depth[:views] = noise.depth(depth[:views], seed, counter)
            if noise.rgb is not None and "rgb" in seen:
                rgb = images[camera.key("rgb")]
                rgb[:views] = noise.rgb(rgb[:views], seed, counter)
        return images

    def _to_observations(self, views: dict[str, Tensor]) -> dict[str, Tensor]:
        """Converts rendered images to observations: scales depth, changes formats, copies unless buffers are reused."""
        return {name: self._to_observation(view, name in self._depth_keys) for name, view in views.items()}

    def _to_observation(self, view: Tensor, is_depth: bool) -> Tensor:
        options, image = self.options, view
        if is_depth:
            low, high = options.min_depth, options.max_depth
            image = image.clamp_(low, high) if options.reuse_buffers else image.clamp(low, high)
            image = image.sub_(low).div_(high - low) if low else image.div_(high)
            if options.depth_format == "uint8":
                image = image.mul_(255).round_().to(torch.uint8)
        if options.channels_first:
            image = image.permute(0, 3, 1, 2).contiguous()
        is_shared = image.untyped_storage().data_ptr() == view.untyped_storage().data_ptr()
        return image.clone() if is_shared and not options.reuse_buffers else image

    def _make_control(self) -> Control:
        options, names = self.options, self.task.action_names
        if options.action_mode == "velocity":
            return VelocityControl(names, options.velocity, self.device)
        return DiscreteControl(names, options.forward_step, options.turn_angle, options.tilt_angle, self.device)

    def fork(self, source: Tensor, target: Tensor, fresh_randomness: bool = False) -> dict[str, Tensor]:
        """Copies the environments `source` into `target`, int64 `[M]` both; see `NavVectorEnv.fork`."""
        self.check_no_step_pending("fork")
        self._rows.fork(source, target, fresh_randomness)
        self.images = {name: image.index_copy(0, target, image[source]) for name, image in self.images.items()}
        goals = self._to_observations(self.goal_images.observation) if self.goal_images is not None else {}
        return self.images | self.transition.observe() | goals

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Returns copies of everything that determines the future of the environments `index`, int64 `[M]`."""
        self.check_no_step_pending("state_dict")
        return self._rows.take(index)

    def put_rows(self, tensors: Mapping[str, Tensor], index: Tensor) -> None:
        """Puts the result of `rows` into the environments `index`, int64 `[M]`.

        Raises:
            OptionError: If the task or the scenes differ.
        """
        self.check_no_step_pending("load_state_dict")
        self._rows.put(tensors, index)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything that determines the future of the episodes, as copies by name.

        These are the state, the goal images, the dealing of fixed episodes, a checksum of the task and the scenes, and
        the progress of the streamer, if there is one.
        """
        self.check_no_step_pending("state_dict")
        streamer = self.streamer.state_dict() if self.streamer else {}
        checksum = {_SCENES: self._scene_checksums()}
        goals = self.goal_images.state_dict() if self.goal_images else {}
        own = self.state.state_dict() | goals | self._rows.state_dict() | checksum
        return own | {_STREAMER + name: value for name, value in streamer.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the result of `state_dict` of a simulator with the same number of environments, task and scenes.

        Raises:
            OptionError: If one of these differs.
        """
        self.check_no_step_pending("load_state_dict")
        tensors = dict(tensors)
        checksums = tensors.pop(_SCENES, None)
        if checksums is None or not torch.equal(checksums.cpu(), self._scene_checksums()):
            raise OptionError(
                "The saved state is of other scenes or another task. Load it with the scenes and task that saved it."
            )
        streamer = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_STREAMER)}
        if self.goal_images is not None:
            self.goal_images.load_state_dict(tensors)
        self._rows.load_state_dict(tensors)
        self.state.load_state_dict(tensors)
        if self.streamer is not None:
            self.streamer.load_state_dict({name.removeprefix(_STREAMER): v for name, v in streamer.items()})

    def _scene_checksums(self) -> Tensor:
        """Returns int64 checksums of the task's name and of each scene's name and size (of a streamer, names only)."""
        parts = [type(self.task).__name__]
        if self.streamer is not None:
            parts += [f"{len(self.scenes)} of", *(source.name for source in self.streamer.loader.sources)]
        else:
            parts += map(scene_mark, self.scenes.scenes)
        return torch.tensor([zlib.crc32(part.encode()) for part in parts])

    def close(self) -> None:
        """Releases the renderer's memory and stops loading scenes."""
        if self.streamer is not None:
            self.streamer.close()
        if self.renderer is not None:
            self.renderer.close()
