"""`NavVectorEnv`: the simulator behind Gymnasium's vector interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from batchsim.envs.input_validation import (
    read_actions,
    read_autoreset_mode,
    read_elapsed_steps,
    read_reset_mask,
    read_seeds,
    with_entropy,
)
from batchsim.errors import OptionError
from batchsim.render.camera import Camera, read_cameras
from batchsim.render.opengl.devices import choose_device
from batchsim.scenes import AgentBody, EpisodeSet, Scene, resolve
from batchsim.simulation.episode_sources import FixedEpisodes
from batchsim.simulation.simulator import Simulator, SimulatorOptions
from batchsim.simulation.transition import StepResult
from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.tasks import Task, choose_task

OUTPUTS = ("torch", "numpy")


class NavVectorEnv(VectorEnv):
    """N navigation environments stepped and rendered together.

    Observations: of `depth` float32 `[N, height, width, 1]` in [0, 1] (metres clipped to `max_depth`, divided by it),
    `rgb` uint8 `[N, height, width, 3]` and `semantic` int32 `[N, height, width, 1]` those in `sensors`, and the task's
    (PointNav: `pointgoal_with_gps_compass` float32 `[N, 2]`: metres to the goal, radians to the left).
    Actions: int `[N]` or `[N, 1]`, numpy or torch; what they mean is in `task.action_names` (PointNav: 0 stop,
    1 forward, 2 left, 3 right).

    - `task`: "pointnav", "flee", "explore", "module:Class" for a class of your own, or a `batchsim.tasks.Task`.
    - `scenes`: what `scenes.resolve` takes: "homes:train", a file, a folder, a list, `Scene` objects.
    - `num_resident_scenes`: how many of them are in memory at once (K). The others take turns with them, each once in a
      round: at the end of its episode an environment moves on to another scene. None: all up to 128, 32 of more.
    - `episodes`: an `EpisodeSet` to run in turn, each once and then again, instead of drawing episodes without end.
    - `cameras`: several of them on each agent, each a `batchsim.Camera` or a mapping of its fields, in place of the one
      that `width`, `height` and `hfov` describe. Their images are called `NAME_depth`, `NAME_rgb`, `NAME_semantic`;
      `position` is metres from the point `camera_height` above the feet, to the right, up and backwards.
    - `sensors`: images wanted, out of "depth", "rgb", "semantic"; with `()` nothing is rendered.
    - `width`, `height`, `hfov`, `camera_height`, `forward_step`, `turn_angle`, `allow_sliding`,
      `max_depth`, `max_episode_steps`: metres, pixels and degrees; Habitat's values by default.
    - `success_distance`: metres of walking from the goal within which a stop succeeds; PointNav's alone, 0.2 if None.
    - `agent_radius`: metres; the scenes are baked for it.
    - `renderer`: "auto" or a backend's name. `device`: "auto", "cpu", "cuda", "cuda:1".
    - `simulator_cuda_graph`: on CUDA, have all that a step does beside drawing done as one graph, which spares the host most of
      its work; of no effect on a CPU. Where the task cannot be recorded, a warning says why, and steps go without.
    - `compile_simulator`: have the same fused by `torch.compile`, which takes about 20 s at the first step and, on a CPU, a
      C++ compiler. What is rounded may differ in the last digit.
    - `output`: "torch" or "numpy".
    - `autoreset_mode`: SAME_STEP (default), NEXT_STEP or DISABLED, the enum or its name.

    With SAME_STEP, `info["final_obs"]` and `info["final_info"]` are whole batches; their rows mean something only where
    the masks `info["_final_obs"]`, `info["_final_info"]` are set. `info["episode"]` holds the measures of the
    episodes that ended (`r`, `l`, `success`, `spl`, ...), with its mask `info["_episode"]`; `info["position"]` float32
    `[N, 3]` and `info["heading"]` say where the actions led, before any new episode began.

    Returned torch tensors of images are written again by the next step: clone what must last longer. Numpy arrays
    are copies.

    `label_names`: what the numbers in `semantic` mean, those of `scenes.LABELS` first. Names that 3D files bring are
    numbered over all of them; only where files take turns, over each by itself, and `label_names` is None.

    A scene that cannot be loaded is warned about, left out and listed in `failed_scenes`; with `episodes` it is an
    error. Where scenes take turns, episodes depend on the seeds of all environments, on `num_envs` and on the actions.

    Raises `OptionError` for options that cannot be used, `scenes.SceneError` if no scene can.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (Gymnasium's own form; copied for each instance)
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "torch": True,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        scenes: Any = "homes:train",
        *,
        task: str | Task = "pointnav",
        num_resident_scenes: int | None = None,
        episodes: EpisodeSet | None = None,
        sensors: Sequence[str] = ("depth",),
        width: int = 64,
        height: int = 64,
        hfov: float = 90.0,
        cameras: Sequence[Camera | Mapping[str, Any]] | None = None,
        camera_height: float = 1.25,
        agent_radius: float = 0.1,
        forward_step: float = 0.25,
        turn_angle: float = 10.0,
        allow_sliding: bool = True,
        success_distance: float | None = None,
        max_episode_steps: int = 500,
        max_depth: float = 10.0,
        renderer: str = "auto",
        device: str | torch.device = "auto",
        simulator_cuda_graph: bool = True,
        compile_simulator: bool = False,
        output: str = "torch",
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(num_envs, int) or num_envs < 1:
            raise OptionError(f"num_envs={num_envs!r}: expected a whole number of at least 1.")
        if output not in OUTPUTS:
            raise OptionError(f"output={output!r}: expected one of {', '.join(OUTPUTS)}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise OptionError(f"render_mode={render_mode!r}: expected None or 'rgb_array'.")
        self.autoreset_mode = read_autoreset_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.num_envs = num_envs
        self.output = output
        self.render_mode = render_mode
        self.max_episode_steps = max_episode_steps
        self.device = choose_device(device)
        task = choose_task(task, success_distance)
        sources = resolve(scenes, AgentBody(radius=agent_radius))
        if episodes is None:
            supply = InitialScenes.load(sources, num_resident_scenes)
        else:
            supply = InitialScenes.load_all(sources, num_resident_scenes)
        loaded: Sequence[Scene] = list(supply.resident.values())
        if episodes is not None:
            loaded, episodes = task.prepare(loaded, episodes)
        self._failed, self._num_labels = supply.failed_names, supply.num_labels
        self.label_names = supply.label_names
        self.simulator = Simulator(
            loaded,
            num_envs,
            task,
            None,
            SimulatorOptions(
                sensors=tuple(sensors),
                width=width,
                height=height,
                hfov=hfov,
                cameras=() if cameras is None else read_cameras(cameras),
                camera_height=camera_height,
                forward_step=forward_step,
                turn_angle=turn_angle,
                allow_sliding=allow_sliding,
                max_episode_steps=max_episode_steps,
                max_depth=max_depth,
                renderer=renderer,
                simulator_cuda_graph=simulator_cuda_graph,
                compile_simulator=compile_simulator,
            ),
            self.device,
            supply if supply.has_more else None,
        )
        if episodes is not None:
            self.simulator.transition.episodes = FixedEpisodes(episodes, self.simulator.scenes, num_envs)
        self.single_observation_space = gym.spaces.Dict(self._image_spaces() | self.task.observation_spaces())
        self.single_action_space = gym.spaces.Discrete(len(self.task.action_names))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        # NEXT_STEP: environments whose episode ended, which begin anew instead of acting.
        self._waiting = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._was_reset = False

    @property
    def task(self) -> Task:
        """The task that rewards and measures."""
        return self.simulator.task

    @property
    def failed_scenes(self) -> dict[str, str]:
        """Which scenes cannot be loaded and are left out, and why, by name."""
        streamer = self.simulator.streamer
        return self._failed if streamer is None else streamer.failed_scenes

    @property
    def scene_counts(self) -> dict[str, int]:
        """Where scenes take turns: in how many episodes could begin, how often one came, how many were left out."""
        streamer = self.simulator.streamer
        if streamer is None:
            return {}
        failed = len(streamer.failed_scenes)
        return {"scenes_visited": len(streamer.visited), "scene_changes": streamer.changes, "scenes_failed": failed}

    def _image_spaces(self) -> dict[str, gym.Space]:
        """Of each camera in turn, by the names its images have."""
        options = self.simulator.options
        labels = self._num_labels or np.iinfo(np.int32).max

        def space(camera: Camera, sensor: str) -> gym.Space:
            low, high, channels, dtype = {
                "depth": (0.0, 1.0, 1, np.float32),
                "rgb": (0, 255, 3, np.uint8),
                "semantic": (0, labels - 1, 1, np.int32),
            }[sensor]
            return gym.spaces.Box(low, high, (camera.height, camera.width, channels), dtype)

        return {camera.key(name): space(camera, name) for camera in options.rig for name in options.sensors}

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin new episodes in all environments, or in those of `options["reset_mask"]` (bool `[N]`).

        `seed`: an int s gives environment i the seed s + i; a list gives each its own. Without a seed, or with None
        in the list, streams that were seeded before go on; the first reset then draws seeds from the operating
        system's entropy.

        `options["elapsed_steps"]`: int `[N]`, how much of `max_episode_steps` is behind the new episodes already. A
        trainer spreads these out, so that not all first episodes end at once, and then all second ones.
        """
        self.simulator.check_no_step_pending("reset")
        mask = read_reset_mask(options, self.num_envs, self.device)
        elapsed = read_elapsed_steps(options, self.num_envs, self.max_episode_steps, self.device)
        if mask is not None and not self._was_reset and not mask.all():
            raise gym.error.ResetNeeded("The first reset() must begin all environments; reset_mask leaves some out.")
        self._begin_streams(seed, mask)
        observation = self.simulator.reset(mask)
        if elapsed is not None:
            state = self.simulator.state
            state.step = elapsed if mask is None else torch.where(mask, elapsed, state.step)
        self._was_reset = True
        self._waiting = torch.zeros_like(self._waiting) if mask is None else self._waiting & ~mask
        return self._out(observation), {}

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Act in all environments: observations, reward float32 `[N]`, terminated and truncated bool `[N]`, info."""
        self.step_async(actions)
        return self.step_wait()

    def step_async(self, actions: Any) -> None:
        """The first half of `step`: act, and have the images drawn while the caller does something else.

        From then on the images of the step before must not be used. Until `step_wait` only `close` may be called;
        others raise `gymnasium.error.AlreadyPendingCallError`.
        """
        if not self._was_reset:
            raise gym.error.ResetNeeded("Call reset() before step().")
        same_step = self.autoreset_mode == AutoresetMode.SAME_STEP
        # NEXT_STEP: what ended in the last step begins in this one, its action unused, its reward 0.
        episode_start = self._waiting if self.autoreset_mode == AutoresetMode.NEXT_STEP else None
        self.simulator.step_async(self._actions(actions), same_step, episode_start)

    def step_wait(self) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """The second half of `step`, with what that returns; `gymnasium.error.NoAsyncCallError` without the first."""
        result = self.simulator.step_wait()
        info = _info(result)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self._waiting = result.done
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            info |= {
                "final_obs": result.final_observation,
                "_final_obs": result.done,
                "final_info": {"episode": result.measures},
                "_final_info": result.done,
            }
        return self._out((result.observation, result.reward, result.terminated, result.truncated, info))

    def observe(self) -> dict[str, Any]:
        """The observations of all environments as they stand, drawn again without a step."""
        return self._out(self.simulator.observe())

    def state_dict(self) -> dict[str, Tensor]:
        """All that decides how the environments go on, as copies by name; safetensors can keep it.

        What is drawn is not kept: `observe` gives it again after `load_state_dict`.
        """
        flags = {"waiting": self._waiting.clone(), "was_reset": torch.tensor(self._was_reset)}
        return {f"simulator.{name}": value for name, value in self.simulator.state_dict().items()} | flags

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on exactly where another environment was when its `state_dict` gave `tensors`.

        Raises `OptionError` where that one had another `num_envs`, other scenes or another task.
        """
        prefix = "simulator."
        inner = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        if not {"waiting", "was_reset"} <= tensors.keys():
            raise OptionError("Not what NavVectorEnv.state_dict gives: waiting or was_reset is missing.")
        self.simulator.load_state_dict(inner)
        self._waiting = tensors["waiting"].to(self.device, copy=True)
        self._was_reset = bool(tensors["was_reset"])

    def render(self) -> tuple[np.ndarray, ...] | None:
        """What each environment sees now, uint8 `[height, width, 3]` each: rgb, or depth as grey with white near.

        With several cameras, through the first.
        """
        self.simulator.check_no_step_pending("render")
        images = self.simulator.images
        rgb, depth = (self.simulator.options.rig[0].key(sensor) for sensor in ("rgb", "depth"))
        if self.render_mode is None or not images.keys() & {rgb, depth}:
            return None
        if rgb in images:
            return tuple(images[rgb][: self.num_envs].cpu().numpy().copy())
        depth = images[depth][: self.num_envs].cpu().numpy()
        grey = np.where(depth > 0, 255 * (1 - depth), 0).astype(np.uint8)
        return tuple(np.repeat(grey, 3, axis=-1))

    def close_extras(self, **kwargs: Any) -> None:
        """Give the renderer's memory back."""
        self.simulator.close()

    def _begin_streams(self, seed: int | Sequence[int | None] | None, mask: Tensor | None) -> None:
        """Begin anew the streams, in `mask`, of those environments for which `seed` holds one."""
        if seed is None and self._was_reset:
            return
        seeds = read_seeds(seed, self.num_envs)
        given = torch.tensor([s is not None for s in seeds]) | (not self._was_reset)
        seeds = with_entropy(seeds)
        which = given.to(self.device) if mask is None else given.to(self.device) & mask
        streamer = self.simulator.streamer
        if streamer is not None and mask is None and given.all():
            streamer.restart(int(seeds[0]))
        state = self.simulator.state
        state.seed = torch.where(which, seeds.to(self.device), state.seed)
        state.episode = torch.where(which, -1, state.episode)

    def _actions(self, actions: Any) -> Tensor:
        return read_actions(actions, self.num_envs, self.task.action_names, self.device)

    def _out(self, value: Any) -> Any:
        return value if self.output == "torch" else _to_numpy(value)


def _info(result: StepResult) -> dict[str, Any]:
    return {
        "episode": result.measures,
        "_episode": result.done,
        "position": result.position,
        "heading": result.heading,
    }


def _to_numpy(value: Any) -> Any:
    """The same nested dicts and tuples with numpy copies in place of tensors."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: _to_numpy(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_to_numpy(item) for item in value)
    return value
