"""`SB3VecEnv`: a `NavVectorEnv` as a `VecEnv` of Stable-Baselines3, also for sb3-contrib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import final_measures
from batchsim.agents.adapters.requirements import MissingLibraryError, check_env
from batchsim.agents.errors import AgentError

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError:
    raise MissingLibraryError("SB3VecEnv", "stable-baselines3", "sb3") from None


class SB3VecEnv(VecEnv):
    """A `VecEnv` of Stable-Baselines3; use "MultiInputPolicy" or "MultiInputLstmPolicy".

    Stable-Baselines3 works on NumPy arrays. On a CPU the arrays share memory with the tensors of the environment.

    Its CNN takes uint8 images only and flattens others, so create the environment with `depth_format="uint8"`. With
    `channels_first=True` Stable-Baselines3 need not transpose them.

    The info of an episode that ended holds `terminal_observation`, `TimeLimit.truncated`, `episode` (return `r` and
    length `l`), the task's measures, and `is_success`, from which Stable-Baselines3 logs `rollout/success_rate`.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
    """

    def __init__(self, env: NavVectorEnv) -> None:
        self.env = check_env(env, "SB3VecEnv")
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> dict[str, np.ndarray]:
        """Starts new episodes, with the seeds and options of `seed` and `set_options`; returns the observations."""
        options = _joined_options(self._options)
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observation, _ = self.env.reset(seed=seeds, options=options)
        self._reset_seeds()
        self._reset_options()
        return _arrays(observation)

    def step_async(self, actions: np.ndarray) -> None:
        """Starts a step with integers `[N]`, or with speeds `[N, 2]`."""
        self.env.step_async(actions)

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Finishes the step; returns observations, rewards, ends and infos."""
        observation, reward, terminated, truncated, info = self.env.step_wait()
        done = (terminated | truncated).cpu().numpy()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            self._describe_ends(infos, done, (truncated & ~terminated).cpu().numpy(), info)
        return _arrays(observation), _array(reward), done, infos

    def _describe_ends(
        self, infos: list[dict[str, Any]], done: np.ndarray, cut_off: np.ndarray, info: dict[str, Any]
    ) -> None:
        """Fills in the infos of the episodes that ended."""
        ended = np.flatnonzero(done)
        rows = torch.from_numpy(ended).to(self.env.device)
        last = {name: _array(value[rows]) for name, value in info["final_obs"].items()}
        measures = {name: _array(value[rows]) for name, value in final_measures(info).items()}
        for k, i in enumerate(ended):
            found = {name: value[k] for name, value in measures.items()}
            infos[i] |= found
            infos[i]["terminal_observation"] = {name: value[k] for name, value in last.items()}
            infos[i]["TimeLimit.truncated"] = bool(cut_off[i])
            infos[i]["episode"] = {"r": float(found["episode_return"]), "l": int(found["episode_length"])}
            if "success" in found:
                infos[i]["is_success"] = bool(found["success"])

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Returns an image of each environment; needs `render_mode="rgb_array"`."""
        return self.env.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """Returns an attribute of some environments; see `NavVectorEnv.call`."""
        values = self.env.get_attr(attr_name)
        return [values[i] for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Sets an attribute that all environments share.

        Raises:
            AgentError: If `indices` leaves environments out.
        """
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise AgentError(f"set_attr({attr_name!r}): environments share attributes; expected indices=None.")
        self.env.set_attr(attr_name, [value] * self.num_envs)

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Calls a method of `NavVectorEnv` once; returns the values of some environments."""
        values = self.env.call(method_name, *args, **kwargs)
        return [values[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """Returns False for each environment: they have no wrappers."""
        return [False for _ in self._get_indices(indices)]


def _array(value: Tensor) -> np.ndarray:
    return value.cpu().numpy()


def _arrays(observation: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: _array(value) for name, value in observation.items()}


def _joined_options(options: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns one dict of batches from one dict for each environment; None if all are empty."""
    names = {name for one in options for name in one}
    if any(one.keys() != names for one in options):
        raise AgentError("set_options: expected the same keys for all environments.")
    return {name: np.array([one[name] for one in options]) for name in names} or None
