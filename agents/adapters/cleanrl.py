"""`CleanRLVectorEnv`: a `NavVectorEnv` with the conventions of CleanRL's single-file scripts."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import final_measures
from batchsim.agents.adapters.flatten import Flattener
from batchsim.agents.adapters.requirements import check_env


class CleanRLVectorEnv(gym.vector.VectorEnv):
    """The vector environment that CleanRL's scripts expect of `gym.vector.SyncVectorEnv`.

    Observations are rows, float32 `[N, D]`; `unflatten` gives a network the images and vectors in them.
    `info["final_info"]` holds, if an episode ended, a dict for each environment whose episode ended and None for the
    others: the measures, and `episode` with return `r` and length `l`. `info["final_observation"]` holds their last
    observations.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
        output: "numpy", as in CleanRL, or "torch" to leave everything on the environment's device.
    """

    def __init__(self, env: NavVectorEnv, output: str = "numpy") -> None:
        super().__init__()
        self.env = check_env(env, "CleanRLVectorEnv")
        self._is_numpy = output == "numpy"
        self._flattener = Flattener(env.single_observation_space)
        self.num_envs, self.metadata, self.render_mode = env.num_envs, env.metadata, env.render_mode
        self.single_observation_space = self._flattener.space
        self.single_action_space, self.action_space = env.single_action_space, env.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes; see `NavVectorEnv.reset`."""
        observation, _ = self.env.reset(seed=seed, options=options)
        return self._out(self._flattener.flatten(observation)), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Makes one step; returns observations, rewards, terminations, truncations and infos."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        rows = self._flattener.flatten(observation)
        values = tuple(self._out(value) for value in (rows, reward, terminated, truncated))
        return (*values, self._ends(info))

    def unflatten(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the observations in `rows`, `[..., D]`, as views `[..., *shape]` by name; images in [0, 1]."""
        return self._flattener.unflatten(rows)

    def render(self) -> tuple[Any, ...] | None:
        """Returns an image of each environment; see `NavVectorEnv.render`."""
        return self.env.render()

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the environment."""
        self.env.close()

    def _ends(self, info: dict[str, Any]) -> dict[str, Any]:
        """Returns what is known of the episodes that ended; empty if there are none."""
        done = info["_final_info"].cpu().numpy()
        if not done.any():
            return {}
        last = self._out(self._flattener.flatten(info["final_obs"]))
        measures = {name: value.cpu().numpy() for name, value in final_measures(info).items()}
        infos, observations = (np.full(self.num_envs, None, dtype=object) for _ in range(2))
        for i in np.flatnonzero(done):
            found = {name: value[i] for name, value in measures.items()}
            infos[i] = {**found, "episode": {"r": found["episode_return"], "l": found["episode_length"]}}
            observations[i] = last[i]
        ends = {"final_info": infos, "final_observation": observations}
        return {**ends, "_final_info": done, "_final_observation": done}

    def _out(self, value: Tensor) -> Any:
        return value.cpu().numpy() if self._is_numpy else value
