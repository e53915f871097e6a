"""`PufferNavEnv`: a `NavVectorEnv` as a native `PufferEnv` of PufferLib."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import mean_measures
from batchsim.agents.adapters.flatten import Flattener
from batchsim.agents.adapters.requirements import MissingLibraryError, check_env

try:
    from pufferlib import PufferEnv
except ImportError:
    raise MissingLibraryError("PufferNavEnv", "pufferlib", "pufferlib") from None


class PufferNavEnv(PufferEnv):
    """A native environment of PufferLib with N agents, one in each environment.

    Pass it to `pufferlib.vector.make(PufferNavEnv, backend=pufferlib.PufferEnv, env_kwargs={"env": env})`. PufferLib
    reads rows of float32 from buffers of its own, so each step copies observations into them. `unflatten` gives a
    policy the images and vectors in a row. The infos hold the mean measures of the episodes that ended.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
        buf: PufferLib's buffers.
        seed: Seed of the first episodes.
    """

    def __init__(self, env: NavVectorEnv, buf: Any = None, seed: int | None = None) -> None:
        self.env = check_env(env, "PufferNavEnv")
        self._flattener = Flattener(env.single_observation_space)
        self.single_observation_space = self._flattener.space
        self.single_action_space = env.single_action_space
        self.num_agents = env.num_envs
        self._seed = seed
        super().__init__(buf)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Starts new episodes; fills the buffer of observations and returns it."""
        observation, _ = self.env.reset(seed=self._seed if seed is None else seed)
        self._fill(observation)
        return self.observations, []

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, float]]]:
        """Makes one step; fills the buffers and returns them with the infos."""
        observation, reward, terminated, truncated, info = self.env.step(np.asarray(actions))
        self._fill(observation)
        for buffer, value in ((self.rewards, reward), (self.terminals, terminated), (self.truncations, truncated)):
            buffer[:] = value.cpu().numpy()
        measures = {name: float(value) for name, value in mean_measures(info).items()}
        infos = [measures] if measures else []
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def unflatten(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the observations in `rows`, `[..., D]`, as views `[..., *shape]` by name; images in [0, 1]."""
        return self._flattener.unflatten(rows)

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _fill(self, observation: dict[str, Tensor]) -> None:
        torch.from_numpy(self.observations).copy_(self._flattener.flatten(observation))
