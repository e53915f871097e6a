"""`NavEnv`: one navigation environment behind Gymnasium's single-environment interface."""

from __future__ import annotations

import sys
from inspect import signature
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from batchsim.envs.vector_env import NavVectorEnv
from batchsim.errors import ActionError
from batchsim.simulation.simulator import Simulator


class NavEnv(gym.Env):
    """One navigation environment with numpy observations: a `NavVectorEnv` of size 1.

    With seed s + i and the same scenes in memory, it goes through the same episodes as environment i of a
    `NavVectorEnv` with seed s. The info of a step holds the measures of the current episode so far
    (`episode_return`, `episode_length`, `success`, `spl`, ...), and `position` and `heading`.

    Pickling and copying keep the arguments of the constructor, not the state.

    Args:
        scenes: Where to navigate; see `NavVectorEnv`.
        render_mode: "rgb_array" for `render`, or None.
        **options: The other options of `NavVectorEnv`, except `num_envs`, `output`, `reuse_buffers` and
            `autoreset_mode`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (Gymnasium's form)

    def __init__(self, scenes: Any = "homes:train", *, render_mode: str | None = None, **options: Any) -> None:
        self._arguments = {"scenes": scenes, "render_mode": render_mode, **options}
        fixed = {"num_envs": 1, "output": "numpy", "autoreset_mode": AutoresetMode.DISABLED, "reuse_buffers": False}
        known = signature(NavVectorEnv).parameters.keys() - fixed.keys()
        unknown = [name for name in options if name not in known]
        if unknown:
            expected = ", ".join(sorted(known))
            raise TypeError(f"NavEnv() got an unexpected keyword argument {unknown[0]!r}; expected some of {expected}.")
        self.render_mode = render_mode
        self._vector = NavVectorEnv(scenes=scenes, render_mode=render_mode, **fixed, **options)
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arguments of the constructor."""
        return _construct, (type(self), self._arguments), {"spec": self.spec}

    @property
    def simulator(self) -> Simulator:
        """The simulator behind the interface."""
        return self._vector.simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts the next episode; with a seed, the first one of that seed.

        Args:
            seed: Restarts the random stream of episodes.
            options: Only `elapsed_steps`, an int: the number of steps that count as taken already.

        Returns:
            The observation, and an info, which is empty without the option `expert`.
        """
        super().reset(seed=seed)
        batched = {name: np.asarray([value]) for name, value in (options or {}).items()}
        observation, info = self._vector.reset(seed=seed, options=batched)
        return _first_row(observation), _first_values(info)

    def step(self, action: int) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Makes one step; `info` holds the episode's measures so far (`success`, `spl`, `distance_to_goal`, ...).

        Raises:
            ActionError: If the action is not in `action_space`. Speeds outside [-1, 1] are clipped.
        """
        observation, reward, terminated, truncated, info = self._vector.step(self._batch(action))
        flags = bool(terminated[0]), bool(truncated[0])
        return _first_row(observation), float(reward[0]), *flags, _first_values(info)

    def expert(self) -> tuple[int, np.ndarray]:
        """Returns the best action, and the metres to go after each action, float32 `[A]`; see `NavVectorEnv.expert`."""
        action, cost = self._vector.expert()
        return int(action[0]), cost[0]

    def _batch(self, action: Any) -> np.ndarray:
        """Returns an array with the action as its only row."""
        kinds, shapes = ("iu", ((), (1,))) if self.action_space.shape == () else ("iuf", (self.action_space.shape,))
        try:
            array = np.asarray(action)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        if array.dtype.kind not in kinds or array.shape not in shapes:
            raise ActionError(f"action: expected one in {self.action_space}; got {action!r}.")
        return array[None]

    def render(self) -> np.ndarray | None:
        """Returns the last observed image, uint8 `[height, width, 3]`, or None without a `render_mode`."""
        images = self._vector.render()
        return None if images is None else images[0]

    def close(self) -> None:
        """Releases the renderer's memory."""
        self._vector.close()


def _first_row(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in observation.items()}


def _first_values(info: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of environment 0, without masks."""
    return {name: _to_scalar(value[0]) for name, value in info.items() if not name.startswith("_")}


def _to_scalar(value: Any) -> Any:
    """Returns Python numbers for numpy scalars, and arrays as they are."""
    return value.item() if value.ndim == 0 else value


def _construct(cls: type[NavEnv], arguments: dict[str, Any]) -> NavEnv:
    return cls(**arguments)


def make_untimed(**options: Any) -> NavEnv:
    """Returns a `NavEnv` without a step limit, for `gym.make`, which adds a `TimeLimit` wrapper."""
    return NavEnv(**options, max_episode_steps=sys.maxsize)
