"""`TorchRLEnv`: a `NavVectorEnv` as a batched `EnvBase` of TorchRL."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.adapters.final_observations import final_measures, next_observations
from batchsim.agents.adapters.flatten import boxes_of
from batchsim.agents.adapters.requirements import MissingLibraryError, check_env

try:
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, Unbounded
    from torchrl.envs import EnvBase
except ImportError:
    raise MissingLibraryError("TorchRLEnv", "torchrl", "torchrl") from None


class TorchRLEnv(EnvBase):
    """A TorchRL environment of batch size `[N]`; all tensors stay on the environment's device.

    The entries of a tensordict are the observations by name, and `measures`: the task's measures of the episode so far
    (`success`, `spl`, `episode_return`, ...), zeros at its start. `("next", name)` of an episode that ended is its last
    observation. The observation that starts the next episode comes from the same step, so `reset` renders nothing.

    Actions are integers `[N]`, or speeds `[N, 2]` with `action_mode="velocity"`.

    An episode that ended must be reset before the next step, as TorchRL's collectors and `rollout` do.

    Args:
        env: The environment, with the default `output`, `autoreset_mode` and `reuse_buffers`.
    """

    def __init__(self, env: NavVectorEnv) -> None:
        self.env = check_env(env, "TorchRLEnv")
        super().__init__(device=env.device, batch_size=[env.num_envs])
        batch = self.batch_size
        observations = {name: _spec(box, self) for name, box in boxes_of(env.single_observation_space).items()}
        env.reset()  # there are no measures before
        self._blank_measures = {name: torch.zeros_like(value) for name, value in env.simulator.measures().items()}
        measures = {
            name: Unbounded(value.shape, dtype=value.dtype, device=self.device)
            for name, value in self._blank_measures.items()
        }
        self.observation_spec = Composite(
            observations | {"measures": Composite(measures, shape=batch, device=self.device)},
            shape=batch,
            device=self.device,
        )
        space = env.single_action_space
        if isinstance(space, gym.spaces.Discrete):
            self.action_spec = Categorical(int(space.n), shape=batch, device=self.device, dtype=torch.int64)
        else:
            self.action_spec = _spec(space, self)
        self.reward_spec = Unbounded((*batch, 1), device=self.device)
        flag = Categorical(2, shape=(*batch, 1), dtype=torch.bool, device=self.device)
        self.done_spec = Composite(
            done=flag, terminated=flag.clone(), truncated=flag.clone(), shape=batch, device=self.device
        )
        self._current: dict[str, Tensor] = {}
        self._ended = torch.zeros(batch, dtype=torch.bool, device=self.device)
        self._next_seed: int | None = None

    def _set_seed(self, seed: int | None) -> None:
        self._next_seed = seed

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        asked = None if tensordict is None else tensordict.get("_reset", None)
        mask = None if asked is None else asked.reshape(self.batch_size)
        if mask is None or self._next_seed is not None or not self._current:
            self._current, _ = self.env.reset(seed=self._next_seed)
            self._next_seed = None
            self._ended = torch.zeros_like(self._ended)
        else:
            early = mask & ~self._ended
            if early.any():
                self._current, _ = self.env.reset(options={"reset_mask": early})
            self._ended = self._ended & ~mask
        # (the rows outside `mask` are not read)
        return self._as_tensordict(self._current, self._blank_measures)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        self._current, reward, terminated, truncated, info = self.env.step(tensordict["action"])
        done = terminated | truncated
        self._ended = done
        so_far = {name: info[name] for name in self._blank_measures}
        ended = final_measures(info)
        measures = {
            name: torch.where(done.reshape(-1, *[1] * (value.dim() - 1)), ended[name], value)
            for name, value in so_far.items()
        }
        result = self._as_tensordict(next_observations(self._current, info), measures)
        ends = {"done": done, "terminated": terminated, "truncated": truncated}
        for name, value in {"reward": reward, **ends}.items():
            result.set(name, value.unsqueeze(-1))
        return result

    def _as_tensordict(self, observation: dict[str, Tensor], measures: dict[str, Tensor]) -> TensorDict:
        nested = TensorDict(measures, self.batch_size, device=self.device)
        return TensorDict(observation | {"measures": nested}, self.batch_size, device=self.device)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Closes the environment."""
        if not self.is_closed:
            self.env.close()
        super().close(raise_if_closed=raise_if_closed)


def _spec(box: Any, env: EnvBase) -> Bounded:
    low, high = (torch.as_tensor(bound, device=env.device) for bound in (box.low, box.high))
    shape = (*env.batch_size, *box.shape)
    return Bounded(low.expand(shape), high.expand(shape), shape, dtype=low.dtype, device=env.device)
