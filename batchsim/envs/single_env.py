"""`NavEnv`: one navigation environment behind Gymnasium's single-environment interface."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from batchsim.envs.vector_env import NavVectorEnv


class NavEnv(gym.Env):
    """One navigation environment with numpy observations: a `NavVectorEnv` of size 1.

    With seed s + i, it goes through the same episodes as environment i of a `NavVectorEnv` with seed s.

    Args:
        scenes: Where to navigate; see `NavVectorEnv`.
        render_mode: "rgb_array" for `render`, or None.
        **options: The other options of `NavVectorEnv`, except `num_envs`, `output` and `autoreset_mode`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (Gymnasium's form)

    def __init__(self, scenes: Any = "homes:train", *, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self._vector = NavVectorEnv(
            1, scenes, output="numpy", autoreset_mode=AutoresetMode.DISABLED, render_mode=render_mode, **options
        )
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space

    @property
    def simulator(self) -> Any:
        """The simulator behind the interface."""
        return self._vector.simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts the next episode; with a seed, the first one of that seed. The info is empty."""
        super().reset(seed=seed)
        observation, _ = self._vector.reset(seed=seed)
        return _first_row(observation), {}

    def step(self, action: int) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Makes one step; `info` holds the episode's measures so far (`success`, `spl`, `distance_to_goal`, ...)."""
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray([action]))
        measures = {name: value[0].item() for name, value in info["episode"].items()}
        return _first_row(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), measures

    def render(self) -> np.ndarray | None:
        """Returns the last observed image, uint8 `[height, width, 3]`, or None without a `render_mode`."""
        images = self._vector.render()
        return None if images is None else images[0]

    def close(self) -> None:
        """Releases the renderer's memory."""
        self._vector.close()


def _first_row(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in observation.items()}


def make_untimed(**options: Any) -> NavEnv:
    """Returns a `NavEnv` without a step limit, for `gym.make`, which adds a `TimeLimit` wrapper."""
    return NavEnv(**options, max_episode_steps=sys.maxsize)
