"""`NavVectorEnv`: N navigation environments behind Gymnasium's vector interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from batchsim import defaults
from batchsim.control import VelocityControl, VelocityOptions
from batchsim.envs.build_simulator import build_simulator, read_options
from batchsim.envs.episode_ends import EpisodeEnds
from batchsim.envs.infos import expert_info, numpy_info, torch_info
from batchsim.envs.input_validation import (
    check_reset_options,
    read_actions,
    read_autoreset_mode,
    read_elapsed_steps,
    read_reset_mask,
    read_rows,
    read_seeds,
    with_entropy,
)
from batchsim.envs.output import one_each, pictures, to_numpy
from batchsim.envs.spaces import image_spaces
from batchsim.errors import OptionError
from batchsim.noise import Noise
from batchsim.option_checks import flag, one_of, whole_number
from batchsim.process.exit_gate import close_at_exit, gated
from batchsim.render.camera import AnyCamera, Camera
from batchsim.render.opengl.devices import choose_device
from batchsim.scenes import AgentBody, EpisodeSet
from batchsim.scenes.prefixes import with_prefix, without_prefix
from batchsim.settings import Setting, with_setting
from batchsim.tasks import Task

OUTPUTS = ("torch", "numpy")
MOST_ENVS = 1 << 20


class NavVectorEnv(VectorEnv):
    """N navigation environments, stepped and rendered together in one batch.

    Observations are a dict of the images in `sensors` and of the task's sensors:

    - `depth`: float32 `[N, height, width, 1]` in [0, 1]: metres, clipped to `max_depth` and divided by it; 0 where
      there is nothing.
    - `rgb`: uint8 `[N, height, width, 3]`.
    - `semantic`: int32 `[N, height, width, 1]`, labels; 0 where there is nothing. `label_names` lists their names.
    - `instance`: int32 `[N, height, width, 1]`, numbers of objects, as in `Scene.instances`; 0 where there is none.
    - PointNav adds `pointgoal_with_gps_compass`: float32 `[N, 2]`, metres to the goal and radians to the left.

    Actions are integers `[N]` or `[N, 1]`, numpy or torch; `task.action_names` names them (PointNav: 0 stop, 1 forward,
    2 left, 3 right).

    The info of a step has the keys of Gymnasium's `SyncVectorEnv`: the measures of the current episodes so far
    (`episode_return`, `episode_length`, `collisions`, `path_length`, and the task's, such as `success` and `spl`), and
    where the actions led (`position` float32 `[N, 3]`, metres, and `heading`, radians), each with a mask such as
    `_success`. `autoreset_mode` decides what follows the end of an episode:

    - SAME_STEP: the next episode starts within the same step. `info["final_obs"]` holds the last observations of the
      episodes that ended, and `info["final_info"]` their measures; the masks are `info["_final_obs"]` and
      `info["_final_info"]`.
    - NEXT_STEP: the next episode starts in the next step, in place of an action and with reward 0.
    - DISABLED: the environment stays as it is, with reward 0, until `reset` with a `reset_mask`.

    Torch infos are whole batches; rows outside a mask hold the values before the reset. Numpy infos are exactly those
    of `SyncVectorEnv`.

    Pickling and copying keep the arguments of the constructor, not the state; for that, see `state_dict`.

    Scenes that cannot be loaded are skipped with a warning and listed in `failed_scenes` (with `episodes`, they are an
    error). When scenes are swapped, episodes depend on the seeds of all environments, on `num_envs` and on the actions.

    Args:
        num_envs: N, the number of environments.
        scenes: Where to navigate: a set such as "homes:train", a file, a folder, a `Scene`, or a list of these (see
            `batchsim.scenes.resolve`).
        task: A name in `batchsim.tasks.TASKS` ("pointnav", "objectnav", "imagenav", ...), "module:Class" for a class of
            your own, or a `batchsim.Task`.
        num_resident_scenes: At most this many scenes are in memory at a time (default: all, or 32 if the set has more
            than 128; for a single environment, all, or 2 if the set has more than 4). Others are swapped in as
            episodes end.
        episodes: Run these episodes in order, over and over, instead of sampling episodes without end.
        sensors: Images to render: any of "depth", "rgb", "semantic" and "instance"; `()` renders nothing.
        width: Image width, pixels.
        height: Image height, pixels.
        hfov: Horizontal field of view, degrees.
        cameras: Cameras of each agent in place of the one described by `width`, `height` and `hfov`: each a
            `batchsim.Camera`, a `batchsim.Lidar` or a mapping of its fields. Their images are called `NAME_depth`,
            `NAME_rgb` and `NAME_semantic`, or `depth`, `rgb` and `semantic` if there is one without a name; `position`
            is relative to the point `camera_height` above the floor.
        camera_height: Height of the camera above the floor, metres.
        agent_radius: Radius of the agent, metres. Scenes are baked for it.
        agent_height: Height of the agent, metres. Scenes are baked for it.
        forward_step: Length of a step forward, metres.
        turn_angle: Angle of a turn, degrees.
        tilt_angle: Angle by which the actions look_up and look_down tilt the camera, degrees.
        allow_sliding: Whether agents slide along walls, as in Habitat, or stop at them.
        success_distance: Walking distance from the goal within which a stop succeeds, metres (default: the task's own,
            0.2 for PointNav); for tasks with a goal that are given by name.
        max_episode_steps: Steps after which an episode is truncated.
        max_depth: Depth that observations are clipped to and divided by, metres.
        min_depth: Depth at which observations of depth begin (0 in the observation), metres.
        action_mode: "discrete" for numbered actions, or "velocity" for actions `[N, 2]` in [-1, 1]: the speed ahead and
            of turning to the left (tasks that look up and down have a third one, of tilting the camera).
        velocity: Parameters of velocity control, a `batchsim.VelocityOptions` or a mapping of its fields.
        noise: Noise of motion and images: a `batchsim.Noise`, or a mapping such as
            `{"rgb": {"model": "gaussian", "intensity": 0.1}, "depth": "redwood"}`.
        depth_format: "float32" for depth in [0, 1], or "uint8" for 0 to 255.
        channels_first: Whether images are `[N, channels, height, width]` instead of `[N, height, width, channels]`.
        renderer: "raycast", "raster", or "auto", which times both and takes the faster one.
        device: "auto", "cpu", "cuda" or a device such as "cuda:1".
        simulator_cuda_graph: On CUDA, whether to run all tensor operations of a step as one CUDA graph, which saves
            most of the host's work. If a task cannot be recorded, a warning says why and steps run without.
        compile_simulator: Whether to fuse these operations with `torch.compile`. This takes about 20 s at the first
            step and, on a CPU, a C++ compiler. Results may differ in the last digit.
        output: "torch" or "numpy".
        reuse_buffers: Whether the torch images of a step may be overwritten by the next one, which saves a copy. A
            trainer that copies observations into its own rollout buffer can set it.
        autoreset_mode: SAME_STEP (default), NEXT_STEP or DISABLED, as the enum or its name.
        render_mode: "rgb_array" for `render`, which needs "rgb" or "depth" in `sensors`; or None.
        expert: Whether the infos of `reset` and `step` hold what `expert` returns for the new observations:
            `expert_action` int64 `[N]` and `expert_cost` float32 `[N, A]`. On CUDA it is part of the step's graph.
        setting: Name of a published benchmark whose options to use, such as "habitat-objectnav-2022"; see
            `batchsim-scenes settings`. Other values of options that it fixes are refused.

    Attributes:
        setting: The `batchsim.settings.Setting`; None if none was named.
        simulator: The simulator behind the interface; its `state` holds the state of all environments.
        device: Where observations, rewards and other tensors are.
        label_names: Names of the values of `semantic`, those of `scenes.LABELS` first; None if scenes are swapped and
            their files have names of their own.

    Raises:
        OptionError: If an option is invalid.
        SceneError: If no scene can be loaded.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (Gymnasium's own form; copied for each instance)
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "torch": True,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    setting: Setting | None

    @with_setting
    def __init__(
        self,
        num_envs: int = 1,
        scenes: Any = "homes:train",
        *,
        task: str | Task = "pointnav",
        num_resident_scenes: int | None = None,
        episodes: EpisodeSet | None = None,
        sensors: Sequence[str] = ("depth",),
        width: int = Camera.width,
        height: int = Camera.height,
        hfov: float = defaults.HFOV,
        cameras: Sequence[AnyCamera | Mapping[str, Any]] | None = None,
        camera_height: float = defaults.CAMERA_HEIGHT,
        agent_radius: float = AgentBody.radius,
        forward_step: float = defaults.FORWARD_STEP,
        turn_angle: float = defaults.TURN_ANGLE,
        allow_sliding: bool = True,
        success_distance: float | None = None,
        max_episode_steps: int = defaults.MAX_EPISODE_STEPS,
        max_depth: float = defaults.MAX_DEPTH,
        depth_format: str = "float32",
        channels_first: bool = False,
        renderer: str = "auto",
        device: str | torch.device = "auto",
        tilt_angle: float = defaults.TILT_ANGLE,
        agent_height: float = AgentBody.height,
        min_depth: float = 0.0,
        action_mode: str = "discrete",
        velocity: VelocityOptions | Mapping[str, Any] | None = None,
        noise: Noise | Mapping[str, Any] | None = None,
        simulator_cuda_graph: bool = True,
        compile_simulator: bool = False,
        output: str = "torch",
        reuse_buffers: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        expert: bool = False,
    ) -> None:
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.num_envs = whole_number("num_envs", num_envs, 1, MOST_ENVS)
        self.output = one_of("output", output, OUTPUTS)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise OptionError(f"render_mode={render_mode!r}: expected None or 'rgb_array'.")
        self.render_mode = render_mode
        self.autoreset_mode = read_autoreset_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        options = read_options(self._arguments)
        if render_mode is not None and not any(name in options.sensors for name in ("rgb", "depth")):
            raise OptionError(
                f"render_mode={render_mode!r}: expected 'rgb' or 'depth' in sensors; got {options.sensors!r}."
            )
        self.max_episode_steps = options.max_episode_steps
        self.device = choose_device(device)
        built = build_simulator(self.num_envs, self._arguments, options, self.device)
        self.simulator, self.label_names = built.simulator, built.label_names
        self._failed = built.failed_scenes
        spaces = image_spaces(self.simulator, built.num_labels) | self.task.observation_spaces()
        self.single_observation_space = gym.spaces.Dict(spaces)
        self.single_action_space = self.simulator.transition.control.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._ends = EpisodeEnds(self.num_envs, self.autoreset_mode, self.device)
        self._was_reset = False
        close_at_exit()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arguments of the constructor."""
        return _construct, (type(self), self._arguments), {"spec": self.spec, "setting": self.setting}

    def sibling(self, num_envs: int, **changes: Any) -> NavVectorEnv:
        """Makes an environment with the same task, options and scenes in memory, but another number of slots.

        Environments can be moved between the two: `other.load_state_dict(envs.state_dict(rows=i), rows=j)`. The new one
        has to be reset once before, and draws its own episodes.

        Args:
            num_envs: The number of its environments.
            **changes: Other options of the constructor that are replaced, such as `sensors` or `autoreset_mode`.

        Raises:
            OptionError: If the scenes are swapped, or an option is invalid.
        """
        if self.simulator.streamer is not None:
            raise OptionError(
                "sibling: scenes are swapped while episodes run, so two environments would soon hold different ones. "
                "Use num_resident_scenes=None with at most 128 scenes."
            )
        scenes = self.simulator.scenes.scenes
        same = {"task": self.task, "scenes": scenes, "num_resident_scenes": len(scenes), "episodes": None}
        same |= {"success_distance": None}
        renderer = self.simulator.renderer
        same |= {} if renderer is None else {"renderer": renderer.backend}
        return type(self)(**self._arguments | same | {"num_envs": num_envs} | changes)

    @property
    def task(self) -> Task:
        """The task that rewards and measures."""
        return self.simulator.task

    @property
    def failed_scenes(self) -> dict[str, str]:
        """Why scenes could not be loaded, by name."""
        streamer = self.simulator.streamer
        return self._failed if streamer is None else streamer.failed_scenes

    @property
    def scene_counts(self) -> dict[str, int]:
        """If scenes are swapped: how many were used so far, how many swaps were made, how many could not be loaded."""
        streamer = self.simulator.streamer
        if streamer is None:
            return {}
        failed = len(streamer.failed_scenes)
        return {"scenes_visited": len(streamer.visited), "scene_changes": streamer.changes, "scenes_failed": failed}

    @gated
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Starts new episodes.

        Args:
            seed: An int s gives environment i the seed s + i; a list gives each environment its own. Environments
                without a seed continue their random stream; at the first reset they are seeded by the operating
                system.
            options: `reset_mask`, bool `[N]`: reset only these environments. `elapsed_steps`, int `[N]`: the number
                of steps that count as taken already in the new episodes; a trainer uses it so that not all first
                episodes reach `max_episode_steps` at once.

        Returns:
            The observations of all environments, and an info, which is empty without the option `expert`.

        Raises:
            OptionError: If an argument is invalid.
            gymnasium.error.ResetNeeded: If the first reset leaves environments out.
            gymnasium.error.ClosedEnvironmentError: After `close`.
        """
        self._check_open("reset")
        self.simulator.check_no_step_pending("reset")
        check_reset_options(options)
        mask = read_reset_mask(options, self.num_envs, self.device)
        elapsed = read_elapsed_steps(options, self.num_envs, self.max_episode_steps, self.device)
        if mask is not None and not self._was_reset and not mask.all():
            raise gym.error.ResetNeeded("The first reset() must reset all environments; reset_mask leaves some out.")
        self._seed_streams(seed, mask)
        observation = self.simulator.reset(mask)
        if elapsed is not None:
            state = self.simulator.state
            state.step = elapsed if mask is None else torch.where(mask, elapsed, state.step)
        self._was_reset = True
        self._ends.clear(mask)
        return self._out(observation), self._expert_info()

    def _expert_info(self) -> dict[str, Any]:
        if not self.simulator.options.expert:
            return {}
        labels = self.simulator.expert.as_info()
        if self.output == "numpy":
            return expert_info(labels)
        mask = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        return labels | {f"_{name}": mask for name in labels}

    @gated
    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Makes one step in all environments.

        Args:
            actions: Integers `[N]` or `[N, 1]`, numpy or torch.

        Returns:
            Observations, reward (float32 `[N]`), terminated and truncated (bool `[N]`), and info.

        Raises:
            ActionError: If actions have the wrong shape or dtype, or are out of range (not checked for CUDA tensors).
            gymnasium.error.ResetNeeded: Before the first reset.
            gymnasium.error.ClosedEnvironmentError: After `close`.
        """
        self.step_async(actions)
        return self.step_wait()

    @gated
    def step_async(self, actions: Any) -> None:
        """Starts a step: acts, and renders the images in the background until `step_wait`.

        Images of the step before must not be used any more. Until `step_wait`, only `close` may be called; other
        methods raise `gymnasium.error.AlreadyPendingCallError`.
        """
        self._check_open("step")
        self._check_was_reset("step")
        waiting = self._ends.waiting(self.simulator.transition.counts_ended)
        self.simulator.step_async(self._read_actions(actions), self.autoreset_mode, waiting)

    @gated
    def step_wait(self) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Finishes a step; see `step`. Raises `gymnasium.error.NoAsyncCallError` if none was started."""
        self._check_open("step")
        result = self.simulator.step_wait()
        acted = self._ends.update(result)
        info = (torch_info if self.output == "torch" else numpy_info)(result, self.autoreset_mode, acted)
        return (*self._out((result.observation, result.reward, result.terminated, result.truncated)), info)

    @gated
    def expert(self) -> tuple[Any, Any]:
        """Returns what an expert that knows the map would do now, computed from the walking distances of the map.

        It is deterministic, ignores noise of motion and never makes the host wait for a GPU. Tasks with goals and Flee
        have an expert. In Flee, the metres to go are those that the agent could still get farther from its start.

        Returns:
            The best action, int64 `[N]`, and the cost-to-go of all A actions, float32 `[N, A]`: metres of walking left
            to the current goal after the action has really been taken. Turns, looking up and down and the final action
            ("stop" or "found") leave the distance as it is; a step forward changes it with collisions and sliding.

        Raises:
            OptionError: If the task has no expert (Explore), or if actions are velocities.
            gymnasium.error.ResetNeeded: Before the first reset.
            gymnasium.error.ClosedEnvironmentError: After `close`.
        """
        self._check_open("expert")
        self.simulator.check_no_step_pending("expert")
        if not self._was_reset:
            raise gym.error.ResetNeeded("Call reset() before expert().")
        return self._out(self.simulator.expert())

    @gated
    def observe(self) -> dict[str, Any]:
        """Renders and returns the observations of all environments again, without a step."""
        self._check_open("observe")
        return self._out(self.simulator.observe())

    @gated
    def fork(self, source: Any, target: Any, fresh_randomness: bool = False) -> dict[str, Any]:
        """Copies whole environments from slots of this batch to others, on the device and without a step.

        An environment in `target` continues exactly as the one that it was copied from, if it gets the same actions:
        the scene, the agent, the episode with its goal and measures, the random streams of episodes and noise, and
        whether it has ended. Environments in `target` are overwritten.

        Args:
            source: Numbers of the environments to copy, integers `[M]`, or one for all of `target`.
            target: Numbers of the environments to copy them to, integers `[M]`, all different. All of `source` is read
                before `target` is written.
            fresh_randomness: Whether the copies draw new noise and new episodes, each from a random stream of its own.
                The running episode stays the same. Streams depend only on those of `source`, on `target`, and on the
                number of such forks before.

        Returns:
            The observations of all environments.

        Raises:
            OptionError: If numbers are out of range or of the wrong type, or repeated in `target` (values of CUDA
                tensors are not checked).
            gymnasium.error.ResetNeeded: Before the first reset.
            gymnasium.error.ClosedEnvironmentError: After `close`.
        """
        self._check_open("fork")
        self.simulator.check_no_step_pending("fork")
        self._check_was_reset("fork")
        targets = self._read_rows("target", target, different=True)
        sources = self._read_rows("source", source)
        if len(sources) == 1:
            sources = sources.expand_as(targets)
        if len(sources) != len(targets):
            raise OptionError(f"source has {len(sources)} environments, target {len(targets)}; expected as many.")
        observation = self.simulator.fork(sources, targets, flag("fresh_randomness", fresh_randomness))
        self._ends.fork(sources, targets)
        return self._out(observation)

    def state_dict(self, rows: Any = None) -> dict[str, Tensor]:
        """Returns everything that determines the future of the environments, as copies by name.

        The tensors can be saved with safetensors. Images are not included; call `observe` after `load_state_dict`.

        Args:
            rows: Numbers of environments, integers `[M]`: return only these, as tensors whose first dimension is M.
                They can be indexed, concatenated, and put into any slots, also those of another `NavVectorEnv` with the
                same task and scenes (see `sibling`).
        """
        if rows is not None:
            self._check_was_reset("state_dict")
            index = self._read_rows("rows", rows)
            return with_prefix("simulator.", self.simulator.rows(index)) | self._ends.rows(index)
        flags = {"was_reset": torch.tensor(self._was_reset)}
        return (
            {f"simulator.{name}": value for name, value in self.simulator.state_dict().items()}
            | flags
            | self._ends.state_dict()
        )

    def load_state_dict(self, tensors: Mapping[str, Tensor], rows: Any = None) -> None:
        """Restores the result of `state_dict`, also of another instance; it continues exactly as that one.

        Args:
            tensors: The result of `state_dict`, or of `state_dict(rows=...)` if `rows` is given.
            rows: Numbers of the environments that are replaced, integers `[M]`, all different; None: all.

        Raises:
            OptionError: If `num_envs`, the scenes or the task differ, or if the scene of a row is no longer in memory.
                The scenes of rows are not checked on CUDA, unless scenes are swapped.
        """
        prefix = "simulator."
        inner = without_prefix(prefix, tensors)
        if rows is not None:
            self._check_was_reset("load_state_dict")
            index = self._read_rows("rows", rows, different=True)
            self.simulator.put_rows(inner, index)
            self._ends.put_rows(tensors, index)
            return
        missing = {"terminated", "truncated", "was_reset"} - tensors.keys()
        if missing:
            raise OptionError(f"Not a result of NavVectorEnv.state_dict: {', '.join(sorted(missing))} missing.")
        self.simulator.load_state_dict(inner)
        self._ends.load_state_dict(tensors)
        self._was_reset = bool(tensors["was_reset"])

    @gated
    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns the last observed image of each environment, uint8 `[height, width, 3]`, from the first camera.

        The image is rgb, or else depth in grey (white is near).
        """
        self._check_open("render")
        self.simulator.check_no_step_pending("render")
        if self.render_mode is None:
            return None
        self._check_was_reset("render")
        return pictures(self.simulator.images, self.simulator.options)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method, or reads an attribute, once for all environments, as `SyncVectorEnv.call` does for each.

        Args:
            name: Name of a method or attribute of this class, or of a tensor of the `State`, such as "position".
            *args: Arguments of the method.
            **kwargs: Keyword arguments of the method.

        Returns:
            One value for each environment: a batched result is split, any other is repeated.
        """
        single = {"observation_space": "single_observation_space", "action_space": "single_action_space"}
        state = self.simulator.state.tensors()
        value = state[name] if name in state else getattr(self, single.get(name, name))
        if callable(value):
            value = value(*args, **kwargs)
        return one_each(value, self.num_envs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Returns an attribute for each environment; see `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute that all environments share.

        Args:
            name: Name of the attribute.
            values: One value, or a list or tuple of N equal values.

        Raises:
            OptionError: If values differ, or if the attribute is an option of the constructor.
        """
        if isinstance(values, (list, tuple)):
            if len(values) != self.num_envs or any(value != values[0] for value in values):
                raise OptionError(f"set_attr({name!r}): expected one value, or {self.num_envs} equal ones.")
            values = values[0]
        if name in self._arguments:
            raise OptionError(
                f"set_attr({name!r}): this option is fixed; create a new environment with {name}={values!r}."
            )
        setattr(self, name, values)

    def close_extras(self, **kwargs: Any) -> None:
        """Releases the renderer's memory and stops loading scenes."""
        self.simulator.close()

    def _check_open(self, method: str) -> None:
        if self.closed:
            raise gym.error.ClosedEnvironmentError(f"{method}() after close(): create a new environment.")

    def _check_was_reset(self, method: str) -> None:
        if not self._was_reset:
            raise gym.error.ResetNeeded(f"Call reset() before {method}().")

    def _read_rows(self, name: str, rows: Any, different: bool = False) -> Tensor:
        return read_rows(name, rows, self.num_envs, self.device, different)

    def _seed_streams(self, seed: int | Sequence[int | None] | None, mask: Tensor | None) -> None:
        """Restarts the random streams of those environments in `mask` that get a seed."""
        if seed is None and self._was_reset:
            return
        given = read_seeds(seed, self.num_envs)
        seeds = with_entropy(given)
        seeded = torch.tensor([one is not None for one in given]) | (not self._was_reset)
        streamer = self.simulator.streamer
        if streamer is not None and mask is None and seeded.all():
            streamer.restart(int(seeds[0]))
        chosen = seeded.to(self.device) if mask is None else seeded.to(self.device) & mask
        state = self.simulator.state
        state.seed = torch.where(chosen, seeds.to(self.device), state.seed)
        state.episode = torch.where(chosen, -1, state.episode)

    def _read_actions(self, actions: Any) -> Tensor:
        control = self.simulator.transition.control
        if isinstance(control, VelocityControl):
            return control.read(actions, self.num_envs)
        return read_actions(actions, self.num_envs, self.task.action_names, self.device)

    def _out(self, value: Any) -> Any:
        return value if self.output == "torch" else to_numpy(value)


def _construct(cls: type[NavVectorEnv], arguments: dict[str, Any]) -> NavVectorEnv:
    return cls(**arguments)
