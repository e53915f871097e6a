"""Collects experience: one batch of environments and the policy that acts in them, step by step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.imitation.labels import expert_action, take_turns
from batchsim.agents.imitation.schedule import Imitation
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_sampler import ActionSampler
from batchsim.agents.ppo.episode_statistics import EpisodeStatistics
from batchsim.agents.ppo.rollout_buffer import RolloutBuffer
from batchsim.agents.ppo.truncation_bootstrap import TruncationBootstrap
from batchsim.scenes.prefixes import with_prefix, without_prefix

_OWN = ("episode_start", "action", "memory")


class Collector:
    """Lets `policy` act in the N environments of `env` and stores the experience in `buffer`.

    A step has two halves, `decide` and `receive`. Between them the images are rendered, and other collectors may use
    the device.

    Args:
        env: The environments.
        policy: The policy that acts.
        buffer: The rollout buffer, of N environments.
        gamma: The discount factor, for truncated episodes.
        seed: The seed of the first episodes, see `begin_episodes`.
        elapsed: Steps that count as done in the first episodes, int `[N]`.

    Attributes:
        imitation: What imitation does in the next steps.
    """

    def __init__(
        self, env: NavVectorEnv, policy: Policy, buffer: RolloutBuffer, gamma: float, seed: int, elapsed: Tensor
    ) -> None:
        self.env = env
        self.policy = policy
        self.buffer = buffer
        self.imitation = Imitation()
        self.begin_episodes(seed, elapsed)
        self.truncation_bootstrap = TruncationBootstrap(buffer, self.observation, env.max_episode_steps, gamma)

    def begin_episodes(self, seed: int, elapsed: Tensor) -> None:
        """Begins new episodes.

        Args:
            seed: The seed of environment 0; that of environment i is `seed` + i.
            elapsed: Steps that count as done in each episode, int `[N]`.
        """
        num_envs, device = self.env.num_envs, self.env.device
        self.observation, self._info = self.env.reset(seed=seed, options={"elapsed_steps": elapsed})
        streams = seed + torch.arange(num_envs, device=device)
        self._sampler = ActionSampler(streams, self.policy.config.continuous)
        self.memory = self.policy.initial_state(num_envs)
        self._episode_start = torch.ones(num_envs, dtype=torch.bool, device=device)
        self._action = self.policy.blank_action(num_envs)

    def begin(self) -> None:
        """Begins a rollout."""
        self.buffer.begin(self.memory)

    def decide(self, t: int) -> None:
        """Lets the policy choose at step `t` of the rollout, and starts the environments' step."""
        observation = self.buffer.prepare(self.observation)
        logits, value, memory = self.policy.step(observation, self._action, self._episode_start, self.memory)
        action, log_prob = self._sampler.draw(logits)
        if self.imitation.needs_labels:
            label = expert_action(self.env, self._info)
            action, log_prob, by_expert = take_turns(
                action, log_prob, logits, label, self.imitation.expert_share, *self._sampler.place
            )
            self.buffer.store_labels(t, label, by_expert)
        self.buffer.store_decision(t, observation, self._action, self._episode_start, action, log_prob, value)
        self._action, self.memory = action, memory
        self.env.step_async(action)

    def receive(self, t: int, episodes: EpisodeStatistics) -> None:
        """Stores the outcome of step `t`, and adds the episodes that ended to `episodes`."""
        self.observation, reward, terminated, truncated, info = self.env.step_wait()
        self._info = info
        self._episode_start = terminated | truncated
        self.buffer.store_outcome(t, reward, self._episode_start)
        cut_off = truncated & ~terminated
        self.truncation_bootstrap.add(t, self.policy, cut_off, info["final_obs"], self._action, self.memory)
        episodes.add(info["final_info"], self._episode_start)

    def finish(self) -> Tensor:
        """Ends the rollout; returns the values float32 `[N]` of the observations after its last step."""
        self.truncation_bootstrap.finish(self.policy)
        _, value, _ = self.policy.step(self.observation, self._action, self._episode_start, self.memory)
        return value

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of everything but the policy that determines how the episodes continue.

        Call it between whole steps only.
        """
        own = (self._episode_start.clone(), self._action.clone(), self.memory.clone())
        return (
            dict(zip(_OWN, own, strict=True)) | self._sampler.state_dict() | with_prefix("env.", self.env.state_dict())
        )

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Continues the episodes of the collector whose `state_dict` returned `tensors`.

        Raises:
            OptionError: If they belong to different environments.
            KeyError: If a tensor is missing.
            ValueError: If a tensor has another dtype or shape, or values that are out of range.
        """
        self.env.load_state_dict(without_prefix("env.", tensors))
        for name, current in zip(_OWN, (self._episode_start, self._action, self.memory), strict=True):
            _require_like(name, tensors[name], current)
        if (
            not self.policy.config.continuous
            and not ((tensors["action"] >= 0) & (tensors["action"] < self.policy.config.num_actions)).all()
        ):
            raise ValueError("action holds numbers of no action")
        self._sampler.load_state_dict({name: tensors[name] for name in ("streams", "count")})
        self._episode_start, self._action, self.memory = (tensors[name].to(self.env.device) for name in _OWN)
        self.observation = self.env.observe()
        self._info = {}


def _require_like(name: str, value: Tensor, current: Tensor) -> None:
    """Raises ValueError unless `value` has the dtype and shape of `current`, and is finite."""
    if value.dtype != current.dtype or value.shape != current.shape or not value.isfinite().all():
        expected = f"finite {current.dtype} of the shape {tuple(current.shape)}"
        raise ValueError(f"{name} is {value.dtype} of the shape {tuple(value.shape)}; expected {expected}")
