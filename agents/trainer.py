"""The training loop: act, step, store, compute returns, update."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agents.networks.policy import Policy
from agents.ppo import PPO, PPOConfig
from agents.rollout import Rollout
from batchsim import NavVectorEnv

EPISODE_MEASURES = {"success": "success", "spl": "spl", "r": "reward", "l": "episode_length"}


@dataclass
class Progress:
    """How far training has come: counters that a checkpoint keeps."""

    frames: int = 0
    updates: int = 0
    seconds: float = 0.0


@dataclass
class EpisodeSums:
    """Sums over the episodes that ended, kept on the device so that no step waits for them."""

    count: Tensor | float = 0.0
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, measures: dict[str, Tensor], done: Tensor) -> None:
        """Count the episodes where `done` (bool `[N]`) is set."""
        weight = done.float()
        self.count = self.count + weight.sum()
        for source, name in EPISODE_MEASURES.items():
            if source in measures:
                self.sums[name] = self.sums.get(name, 0.0) + (measures[source] * weight).sum()

    def means(self) -> dict[str, float]:
        """`episodes` and the mean of each measure; the measures are missing where no episode ended."""
        count = float(self.count)
        if count == 0:
            return {"episodes": 0}
        return {"episodes": int(count)} | {name: float(value) / count for name, value in self.sums.items()}


class Trainer:
    """Trains `policy` in `env` by PPO: one `iteration` is a rollout of `steps` and the update it gives."""

    def __init__(self, env: NavVectorEnv, policy: Policy, config: PPOConfig, steps: int, seed: int) -> None:
        self.env = env
        self.policy = policy
        self.config = config
        self.ppo = PPO(policy, config)
        self.progress = Progress()
        self.generator = torch.Generator().manual_seed(seed)
        num_envs = env.num_envs
        self._observation, _ = env.reset(seed=seed * 1_000_003)
        self._state = policy.initial_state(num_envs)
        self._begun = torch.ones(num_envs, dtype=torch.bool, device=self._state.device)
        self._action = torch.zeros(num_envs, dtype=torch.int64, device=self._state.device)
        self.rollout = Rollout(steps, self._observation, self._state)

    def iteration(self) -> dict[str, float]:
        """Collect a rollout and learn from it; returns losses, episode means, `fps` and seconds by part."""
        begin = time.perf_counter()
        episodes = self.collect()
        collected = time.perf_counter()
        losses = self.ppo.update(self.rollout, self.generator)
        end = time.perf_counter()
        frames = self.rollout.steps * self.rollout.num_envs
        self.progress.frames += frames
        self.progress.updates += 1
        self.progress.seconds += end - begin
        return {
            "frames": self.progress.frames,
            "seconds": self.progress.seconds,
            "fps": frames / (end - begin),
            "us_collect": 1e6 * (collected - begin) / frames,
            "us_learn": 1e6 * (end - collected) / frames,
            **episodes,
            **losses,
        }

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """Fill the rollout with experience; returns the means over the episodes that ended in it."""
        rollout, policy = self.rollout, self.policy
        episodes = EpisodeSums()
        rollout.state.copy_(self._state)
        for t in range(rollout.steps):
            logits, value, state = policy.step(self._observation, self._action, self._begun, self._state)
            action, log_prob = self._sample(logits)
            rollout.store_decision(t, self._observation, self._action, self._begun, action, log_prob, value)
            self._observation, reward, terminated, truncated, info = self.env.step(action)
            reward = reward + self._value_cut_off(truncated, info, action, state)
            done = terminated | truncated
            rollout.store_outcome(t, reward, done)
            episodes.add(info["episode"], done)
            self._action, self._begun, self._state = action, done, state
        _, next_value, _ = policy.step(self._observation, self._action, self._begun, self._state)
        rollout.compute_returns(next_value, self.config.gamma, self.config.gae_lambda)
        return episodes.means()

    def _sample(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Actions drawn from `logits` `[N, A]`, and the logarithms of their probabilities."""
        log_probs = torch.log_softmax(logits, -1)
        noise = torch.rand(logits.shape, generator=self.generator).to(logits.device)
        # The Gumbel-max trick draws from the distribution without leaving the device.
        action = (log_probs - (-noise.clamp(1e-20).log()).log()).argmax(-1)
        return action, log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def _value_cut_off(self, truncated: Tensor, info: dict, action: Tensor, state: Tensor) -> Tensor | float:
        """Discounted value of what the time limit cut off, from the last observation; 0 elsewhere, `[N]`."""
        if not truncated.any():
            return 0.0
        which = truncated.nonzero().squeeze(-1)
        last = {name: value[which] for name, value in info["final_obs"].items()}
        begun = torch.zeros(len(which), dtype=torch.bool, device=which.device)
        _, value, _ = self.policy.step(last, action[which], begun, state[which])
        return torch.zeros_like(state[:, 0]).index_copy_(0, which, self.config.gamma * value)
