"""`RslRlVecEnv`: a `NavVectorEnv` with velocity control as a `VecEnv` of RSL-RL."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import mean_measures
from batchsim.agents.adapters.requirements import MissingLibraryError, check_env
from batchsim.agents.errors import AgentError

try:
    from rsl_rl.env import VecEnv
    from tensordict import TensorDict
except ImportError:
    raise MissingLibraryError("RslRlVecEnv", "rsl-rl-lib", "rsl-rl") from None


class RslRlVecEnv(VecEnv):
    """A `VecEnv` of RSL-RL, whose policies act in real numbers: create the environment with `action_mode="velocity"`.

    Each observation is a group of its own, for `obs_groups` of the runner's configuration. Images are float32, in
    [0, 1] for depth and rgb; RSL-RL's CNN needs `channels_first=True`. Float depth and vectors are not copied.

    RSL-RL adds `gamma * V` to the reward of episodes in `extras["time_outs"]`: those that were truncated and not
    terminated. `extras["log"]` holds the mean measures of the episodes that ended, such as `/success`, and
    `extras["final_info"]` those of each, valid where `extras["_final_info"]` is true.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
        cfg: The configuration that RSL-RL stores with its logs.
        seed: Seed of the first episodes; see `NavVectorEnv.reset`.
    """

    def __init__(self, env: NavVectorEnv, cfg: dict[str, Any] | None = None, seed: int | None = None) -> None:
        self.env = check_env(env, "RslRlVecEnv")
        if not env.single_action_space.shape:
            raise AgentError("RslRlVecEnv: expected an environment with action_mode='velocity'; got 'discrete'.")
        self.num_envs = env.num_envs
        self.num_actions = int(env.single_action_space.shape[0])
        self.max_episode_length = env.max_episode_steps
        self.device = env.device
        self.cfg = cfg or {}
        self._observations = self.reset(seed)

    @property
    def episode_length_buf(self) -> Tensor:
        """Steps taken in each episode, int64 `[N]`; setting it makes episodes end at other times."""
        return self.env.simulator.state.step

    @episode_length_buf.setter
    def episode_length_buf(self, steps: Tensor) -> None:
        self.env.simulator.state.step = steps.to(self.device, torch.int64)

    def reset(self, seed: int | None = None) -> TensorDict:
        """Starts new episodes and returns their observations; RSL-RL itself never does."""
        self._observations = self._groups(self.env.reset(seed=seed)[0])
        return self._observations

    def get_observations(self) -> TensorDict:
        """Returns the current observations."""
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Makes one step with speeds `[N, 2]`; values outside [-1, 1] are clipped."""
        # RSL-RL steps in inference mode; its tensors could not be changed outside of it later.
        with torch.inference_mode(False), torch.no_grad():
            observation, reward, terminated, truncated, info = self.env.step(actions.clone())
        self._observations = self._groups(observation)
        extras = {"time_outs": truncated & ~terminated, "log": mean_measures(info, "/")}
        extras |= {name: info[name] for name in ("final_info", "_final_info")}
        return self._observations, reward, terminated | truncated, extras

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _groups(self, observation: dict[str, Tensor]) -> TensorDict:
        groups = {name: _to_float(value) for name, value in observation.items()}
        return TensorDict(groups, [self.num_envs], device=self.device)


def _to_float(value: Tensor) -> Tensor:
    return value / 255.0 if value.dtype == torch.uint8 else value.float()
