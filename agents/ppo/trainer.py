"""The training loop: collects rollouts and learns from them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import gymnasium as gym
import torch
from torch import Tensor

from batchsim import NavVectorEnv, OptionError
from batchsim.agents.distributed.preemption import Preemption
from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.imitation.schedule import Imitation, ImitationConfig
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.collector import Collector
from batchsim.agents.ppo.device_timer import DeviceTimer
from batchsim.agents.ppo.episode_statistics import EpisodeStatistics, full_name
from batchsim.agents.ppo.malloc_tuning import keep_freed_memory
from batchsim.agents.ppo.ppo import PPO, PPOConfig
from batchsim.agents.ppo.rollout_buffer import RolloutBuffer
from batchsim.scenes.prefixes import with_prefix, without_prefix


@dataclass
class Progress:
    """How far training has come, as a checkpoint keeps it."""

    frames: int = 0
    """Frames of experience, of all ranks."""
    updates: int = 0
    """Rollouts that were learned from."""
    seconds: float = 0.0
    """Time spent collecting and learning."""


class Learner(Protocol):
    """Improves a policy from rollouts, as `PPO` does."""

    optimizer: torch.optim.Optimizer
    imitation: Imitation

    def update(self, rollout: RolloutBuffer, generator: torch.Generator) -> dict[str, float]:
        """Learns from `rollout`; returns the means of the losses."""

    def set_learning_rate(self, rate: float) -> None:
        """Sets the learning rate of the next updates."""


class Trainer:
    """Trains `policy` in `env` by PPO: each `iteration` collects a rollout of `steps` and learns from it.

    Args:
        env: One vector environment, or several alike for double buffering: while the images of one are rendered, the
            policy acts in the next. The policy learns from the experience of all.
        policy: The policy.
        config: PPO's constants.
        steps: Steps of each environment in a rollout.
        seed: Seed of episodes, actions and minibatches.
        ranks: The processes that train together. Each has environments of its own; figures are of all.
        preemption: Stops the rollouts of late ranks; None lets every rollout run to its end.
        imitation: Options of learning from the environments' expert; None: no imitation.
        learner: What learns from the rollouts, which hold observations as the environments give them; PPO if None.

    Raises:
        OptionError: If there is no expert to imitate.
    """

    def __init__(
        self,
        env: NavVectorEnv | Sequence[NavVectorEnv],
        policy: Policy,
        config: PPOConfig,
        steps: int,
        seed: int,
        ranks: Ranks = SINGLE_PROCESS,
        preemption: Preemption | None = None,
        imitation: ImitationConfig | None = None,
        learner: Learner | None = None,
    ) -> None:
        envs = env if isinstance(env, Sequence) else (env,)
        self.env = envs[0]  # for what all have in common
        if self.env.device.type == "cpu":
            keep_freed_memory()
        self.policy = policy
        self.config = config
        self.imitation = imitation or ImitationConfig()
        self.ranks = ranks
        self.seed = seed
        self.ppo: Learner = learner or PPO(policy, config, ranks)
        self.progress = Progress()
        self.generator = torch.Generator().manual_seed(seed)
        self._preemption = preemption
        self._measures = ("episode_return", "episode_length", *self.env.task.headline_measures)
        self.num_envs = len(envs) * self.env.num_envs
        state_size = policy.initial_state(1).shape[1]
        space = cast("gym.spaces.Dict", self.env.single_observation_space)
        actions = self.env.single_action_space
        size = math.prod(actions.shape) if isinstance(actions, gym.spaces.Box) else 0  # numbers of an action
        self.rollout = RolloutBuffer(
            steps,
            self.num_envs,
            space,
            state_size,
            self.env.device,
            action_size=size,
            prepare=policy.prepare if learner is None else None,
            with_labels=self.imitation.imitation,
        )
        columns = self.rollout.split(len(envs))
        self.collectors = [
            Collector(env, policy, buffer, config.gamma, seed, elapsed)
            for env, buffer, (seed, elapsed) in zip(envs, columns, self._episode_starts(len(envs)), strict=True)
        ]

        if self.imitation.imitation:
            self.env.expert()  # raises if there is none
        self.set_share_done(0.0)

    def set_share_done(self, share: float) -> None:
        """Tells imitation which fraction of training is done."""
        now = self.imitation.at(share)
        self.ppo.imitation = now
        for collector in self.collectors:
            collector.imitation = now

    @property
    def episode_measures(self) -> tuple[str, ...]:
        """Names of the figures of `iteration` that are means over the episodes that ended."""
        return tuple(map(full_name, self._measures))

    @property
    def failed_scenes(self) -> dict[str, str]:
        """The scenes that cannot be loaded and are left out: the reason by name."""
        return {name: why for c in self.collectors for name, why in c.env.failed_scenes.items()}

    @property
    def scene_counts(self) -> dict[str, int]:
        """`NavVectorEnv.scene_counts` of all environments together; empty if all scenes are resident."""
        streamers = [s for s in (c.env.simulator.streamer for c in self.collectors) if s is not None]
        if not streamers:
            return {}
        return {
            "scenes_visited": len(set[str]().union(*(streamer.visited for streamer in streamers))),
            "scene_changes": sum(streamer.changes for streamer in streamers),
            "scenes_failed": len(self.failed_scenes),
        }

    def close(self) -> None:
        """Closes all environments."""
        for collector in self.collectors:
            collector.env.close()

    def begin_episodes(self) -> None:
        """Begins new episodes everywhere: different for each seed, rank and environment, and after each resume."""
        starts = self._episode_starts(len(self.collectors))
        for collector, (seed, elapsed) in zip(self.collectors, starts, strict=True):
            collector.begin_episodes(seed, elapsed)

    def _episode_starts(self, batches: int) -> Iterator[tuple[int, Tensor]]:
        """Yields the seed and the elapsed steps `[N]` of each batch of environments."""
        place = self.ranks.rank * self.num_envs
        first = self.seed * 1_000_003 + self.progress.updates * 15_485_863
        # Episodes that only the time limit ends would all be at the same stage in each rollout: those of all ranks are
        # spread evenly over an episode's length.
        everywhere = self.ranks.size * self.num_envs
        for _ in range(batches):
            number = place + torch.arange(self.env.num_envs)
            yield first + place, number * self.env.max_episode_steps // everywhere
            place += self.env.num_envs

    def iteration(self) -> dict[str, float]:
        """Collects a rollout and learns from it; returns losses, episode means, `fps` and microseconds by part."""
        begin, timer = time.perf_counter(), DeviceTimer(self.env.device)
        timer.mark()
        episodes = self.collect()
        timer.mark()
        losses = self.ppo.update(self.rollout, self.generator)
        timer.mark()
        collecting, learning = timer.laps()
        frames = self.rollout.length * self.rollout.num_envs
        own = {"frames": frames, "us_collect": 1e6 * collecting, "us_learn": 1e6 * learning} | episodes.totals()
        # The learning rate may depend on the time and must be the same on all ranks: the first rank's clock counts.
        own["seconds"] = time.perf_counter() - begin if self.ranks.is_first else 0.0
        total = self.ranks.sum(own | with_prefix("loss/", losses))
        return self._count(total, tuple(losses))

    def _count(self, total: Mapping[str, float], losses: Sequence[str]) -> dict[str, float]:
        """Counts an update, and returns its sums as means."""
        progress, frames, episodes = self.progress, int(total["frames"]), int(total["episodes"])
        progress.frames += frames
        progress.updates += 1
        progress.seconds += total["seconds"]
        means = {name: total[name] / episodes for name in self.episode_measures} if episodes else {}
        return {
            "frames": progress.frames,
            "updates": progress.updates,
            "seconds": progress.seconds,
            "fps": frames / total["seconds"],
            "us_collect": total["us_collect"] / frames,
            "us_learn": total["us_learn"] / frames,
            "episodes": episodes,
            **means,
            **{name: total[f"loss/{name}"] / self.ranks.size for name in losses},
        }

    @torch.no_grad()
    def collect(self) -> EpisodeStatistics:
        """Fills the rollout buffer; returns the sums over the episodes that ended."""
        rollout, collectors = self.rollout, self.collectors
        episodes = EpisodeStatistics(self._measures, self.env.num_envs, self.env.device)
        for collector in collectors:
            collector.begin()
        for t in range(rollout.steps):
            for collector in collectors:
                if t > 0:
                    collector.receive(t - 1, episodes)
                collector.decide(t)
            rollout.length = t + 1
            if self._preemption and self._preemption.is_late(rollout.length):
                break
        for collector in collectors:
            collector.receive(rollout.length - 1, episodes)
        if self._preemption:
            self._preemption.finish()
        next_value = torch.cat([collector.finish() for collector in collectors])
        rollout.compute_returns(next_value, self.config.gamma, self.config.gae_lambda)
        return episodes

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of what determines how this rank continues, but policy, optimiser and `progress`."""
        tensors = {"generator": self.generator.get_state(), "collectors": torch.tensor(len(self.collectors))}
        for i, collector in enumerate(self.collectors):
            tensors |= with_prefix(f"{i}.", collector.state_dict())
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Continues the episodes of the trainer whose `state_dict` returned `tensors`.

        Raises:
            OptionError: If they belong to different environments.
            KeyError: If a tensor is missing.
        """
        saved = int(tensors["collectors"])
        if saved != len(self.collectors):
            raise OptionError(
                f"double_buffering has changed: the environments were saved in {saved} batches, and this run has "
                f"{len(self.collectors)}."
            )
        for i, collector in enumerate(self.collectors):
            collector.load_state_dict(without_prefix(f"{i}.", tensors))
        self.generator.set_state(tensors["generator"])
