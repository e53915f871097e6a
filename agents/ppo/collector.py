"""One batch of environments and the policy that acts in them: experience, a step at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_sampler import ActionSampler
from batchsim.agents.ppo.episode_statistics import EpisodeStatistics
from batchsim.agents.ppo.rollout_buffer import Rollout
from batchsim.agents.ppo.truncation_bootstrap import TruncationBootstrap


class Collector:
    """Lets `policy` act in the N environments of `env`, and keeps what goes on from one step to the next.

    A step has two halves, `decide` and `receive`. Between them the images are drawn, and other collectors may use
    the device. `begin_episodes` and `write_to` come first.
    """

    def __init__(self, env: NavVectorEnv, policy: Policy) -> None:
        self.env = env
        self.policy = policy
        self.observation: dict[str, Tensor] = {}
        self.memory = policy.initial_state(env.num_envs)
        self._episode_start = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self._action = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)

    def begin_episodes(self, seed: int, elapsed: Tensor) -> None:
        """Begin new episodes: environment i's with the seed `seed` + i and `elapsed` (int `[N]`) steps behind it."""
        num_envs = self.env.num_envs
        self.observation, _ = self.env.reset(seed=seed, options={"elapsed_steps": elapsed})
        self._sampler = ActionSampler(seed + torch.arange(num_envs, device=self.env.device))
        self.memory = self.policy.initial_state(num_envs)
        self._episode_start.fill_(True)
        self._action.zero_()

    def write_to(self, rollout: Rollout, gamma: float) -> None:
        """Put all experience to come into `rollout`, of N columns; `gamma` discounts what time limits cut off."""
        self.rollout = rollout
        self.truncation_bootstrap = TruncationBootstrap(rollout, self.observation, self.env.max_episode_steps, gamma)

    def begin(self, episodes: EpisodeStatistics) -> None:
        """Begin a rollout; the episodes that end in it are added to `episodes`."""
        self.rollout.begin(self.memory)
        self._episodes = episodes

    def decide(self, t: int) -> None:
        """Let the policy choose at step `t` of the rollout, and set the environments going."""
        logits, value, memory = self.policy.step(self.observation, self._action, self._episode_start, self.memory)
        action, log_prob = self._sampler.draw(logits)
        self.rollout.store_decision(t, self.observation, self._action, self._episode_start, action, log_prob, value)
        self._action, self.memory = action, memory
        self.env.step_async(action)

    def receive(self, t: int) -> None:
        """Take what step `t` brought."""
        self.observation, reward, terminated, truncated, info = self.env.step_wait()
        self._episode_start = terminated | truncated
        self.rollout.store_outcome(t, reward, self._episode_start)
        self.truncation_bootstrap.add(t, self.policy, truncated, info["final_obs"], self._action, self.memory)
        self._episodes.add(info["episode"], self._episode_start)

    def finish(self) -> Tensor:
        """End the rollout; returns the values float32 `[N]` of where its last step led."""
        self.truncation_bootstrap.finish(self.policy)
        _, value, _ = self.policy.step(self.observation, self._action, self._episode_start, self.memory)
        return value

    def state_dict(self) -> dict[str, Tensor]:
        """All beside the policy that decides how the episodes go on, as copies by name; not between steps' halves."""
        own = {
            "episode_start": self._episode_start.clone(),
            "action": self._action.clone(),
            "memory": self.memory.clone(),
        }
        return (
            own | self._sampler.state_dict() | {f"env.{name}": value for name, value in self.env.state_dict().items()}
        )

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with the episodes of another's `state_dict`.

        Raises `OptionError` where they are of other environments, and KeyError where something is missing.
        """
        own = {name: tensors[name].to(self.env.device) for name in ("episode_start", "action", "memory")}
        self.env.load_state_dict(part(tensors, "env."))
        self._sampler.load_state_dict({name: tensors[name] for name in ("streams", "count")})
        self._episode_start, self._action, self.memory = own["episode_start"], own["action"], own["memory"]
        self.observation = self.env.observe()


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
