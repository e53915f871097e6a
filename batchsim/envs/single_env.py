"""`NavEnv`: one environment behind Gymnasium's plain interface."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from batchsim.envs.vector_env import NavVectorEnv


class NavEnv(gym.Env):
    """One navigation environment, numpy in and out: row 0 of a `NavVectorEnv` of size 1.

    Takes the options of `NavVectorEnv` except `num_envs`, `output` and `autoreset_mode`. With a seed s it lives
    through what environment i of a vector environment seeded s - i does.
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
        """The simulator of this one environment."""
        return self._vector.simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin the next episode; a seed begins the stream of episodes anew."""
        super().reset(seed=seed)
        observation, _ = self._vector.reset(seed=seed)
        return _first_row(observation), {}

    def step(self, action: int) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Act; `info` holds the episode's measures so far (`success`, `spl`, `distance_to_goal`, ...)."""
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray([action]))
        measures = {name: value[0].item() for name, value in info["episode"].items()}
        return _first_row(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), measures

    def render(self) -> np.ndarray | None:
        """What the agent sees, uint8 `[height, width, 3]`, or None without a `render_mode`."""
        images = self._vector.render()
        return None if images is None else images[0]

    def close(self) -> None:
        """Give the renderer's memory back."""
        self._vector.close()


def _first_row(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in observation.items()}


def make_untimed(**options: Any) -> NavEnv:
    """A `NavEnv` for `gym.make`, whose wrapper keeps the time: `max_episode_steps` given there may be more than 500."""
    return NavEnv(**options, max_episode_steps=sys.maxsize)
