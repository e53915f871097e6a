"""`SkrlEnv`: a `NavVectorEnv` as an environment of skrl."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import mean_measures
from batchsim.agents.adapters.requirements import MissingLibraryError, check_env

try:
    from skrl.envs.wrappers.torch import Wrapper
    from skrl.utils.spaces.torch import flatten_tensorized_space, tensorize_space
except ImportError:
    raise MissingLibraryError("SkrlEnv", "skrl", "skrl") from None


class SkrlEnv(Wrapper):
    """An environment for skrl's trainers, in place of `skrl.envs.wrappers.torch.wrap_env`.

    skrl stores observations as rows, float32 `[N, D]`. A model takes a row apart with
    `skrl.utils.spaces.torch.unflatten_tensorized_space(self.observation_space, rows)`; values of uint8 images are from
    0 to 255. The info of a step has `episode`: the mean measures of the episodes that ended, which skrl logs.

    skrl passes the first observation of the next episode to the agent as the last one of the episode before, so
    leave `time_limit_bootstrap` off.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
        seed: Seed of the first episodes; see `NavVectorEnv.reset`.
    """

    def __init__(self, env: NavVectorEnv, seed: int | None = None) -> None:
        super().__init__(check_env(env, "SkrlEnv"))
        self._seed = seed
        self._observation: Tensor | None = None

    @property
    def observation_space(self) -> gym.Space:
        """The space of one environment's observations, a `Dict`."""
        return self._env.single_observation_space

    @property
    def action_space(self) -> gym.Space:
        """The space of one environment's actions."""
        return self._env.single_action_space

    def reset(self, *, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Starts the first episodes, or, with a seed, those of that seed; otherwise returns the current observations.

        Later episodes start by themselves.
        """
        if self._observation is None or seed is not None:
            self._observation = self._rows(self._env.reset(seed=self._seed if seed is None else seed)[0])
        return self._observation, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Makes one step; returns observations `[N, D]`, rewards and ends `[N, 1]`, and the info."""
        observation, reward, terminated, truncated, info = self._env.step(actions)
        self._observation = self._rows(observation)
        info = {**info, "episode": mean_measures(info)}
        return self._observation, reward.unsqueeze(1), terminated.unsqueeze(1), truncated.unsqueeze(1), info

    def state(self) -> None:
        """Returns None: there is no state apart from the observations."""
        return None

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Returns an image of each environment, or None without a `render_mode`."""
        return self._env.render()

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()

    def _rows(self, observation: dict[str, Tensor]) -> Tensor:
        rows = flatten_tensorized_space(tensorize_space(self.observation_space, observation, device=self.device))
        return rows.to(torch.float32)
