"""The training loop: act, step, store, compute returns, update."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from batchsim import NavVectorEnv, OptionError
from batchsim.agents.distributed.preemption import Preemption
from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.collector import Collector, part
from batchsim.agents.ppo.device_timer import Stopwatch
from batchsim.agents.ppo.episode_statistics import EpisodeStatistics, full_name
from batchsim.agents.ppo.malloc_tuning import keep_freed_memory
from batchsim.agents.ppo.ppo import PPO, PPOConfig
from batchsim.agents.ppo.rollout_buffer import Rollout


@dataclass
class Progress:
    """How far training has come: counters that a checkpoint keeps. `frames` counts those of all ranks."""

    frames: int = 0
    updates: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains `policy` in `env` by PPO: one `iteration` is a rollout of `steps` and the update it gives.

    - `env`: one environment, or several alike that take turns (double buffering): while the images of one are drawn,
      the policy acts in the next. What is learned from is the experience of all.
    - `ranks`: the processes that train together; each has environments of its own, and what is reported is of all.
    - `preemption`: stops the rollouts of late ranks; None lets all run to their end.
    - `episode_measures`: names of those figures of `iteration` that are means over the episodes that ended.
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
    ) -> None:
        envs = env if isinstance(env, Sequence) else (env,)
        self.env = envs[0]  # for what all have in common
        if self.env.device.type == "cpu":
            keep_freed_memory()
        self.policy = policy
        self.config = config
        self.ranks = ranks
        self.seed = seed
        self.ppo = PPO(policy, config, ranks)
        self.progress = Progress()
        self.generator = torch.Generator().manual_seed(seed)
        self._preemption = preemption
        self._measures = ("r", "l", *self.env.task.headline_measures)
        self.collectors = [Collector(env, policy) for env in envs]
        self.num_envs = len(envs) * self.env.num_envs
        self.begin_episodes()
        first = self.collectors[0]
        self.rollout = Rollout(steps, self.num_envs, first.observation, first.memory)
        for collector, columns in zip(self.collectors, self.rollout.parts(len(envs)), strict=True):
            collector.write_to(columns, config.gamma)

    @property
    def episode_measures(self) -> tuple[str, ...]:
        """Names of those figures of `iteration` that are means over the episodes that ended."""
        return tuple(map(full_name, self._measures))

    @property
    def failed_scenes(self) -> dict[str, str]:
        """Which scenes cannot be loaded and are left out, and why, by name."""
        return {name: why for c in self.collectors for name, why in c.env.failed_scenes.items()}

    @property
    def scene_counts(self) -> dict[str, int]:
        """What `NavVectorEnv.scene_counts` says, of all environments together."""
        streamers = [c.env.simulator.streamer for c in self.collectors]
        if None in streamers:
            return {}
        return {
            "scenes_visited": len(set().union(*(streamer.visited for streamer in streamers))),
            "scene_changes": sum(streamer.changes for streamer in streamers),
            "scenes_failed": len(self.failed_scenes),
        }

    def close(self) -> None:
        """Close all environments."""
        for collector in self.collectors:
            collector.env.close()

    def begin_episodes(self) -> None:
        """Begin new episodes everywhere: others for each seed, rank and environment, and others after a resume."""
        place = self.ranks.rank * self.num_envs
        first = self.seed * 1_000_003 + self.progress.updates * 15_485_863
        # Where only time ends episodes, they would all be at the same stage in each rollout: those of all ranks are
        # spread evenly over an episode's length.
        everywhere = self.ranks.size * self.num_envs
        for collector in self.collectors:
            number = place + torch.arange(self.env.num_envs)
            collector.begin_episodes(first + place, number * self.env.max_episode_steps // everywhere)
            place += self.env.num_envs

    def iteration(self) -> dict[str, float]:
        """Collect a rollout and learn from it; returns losses, episode means, `fps` and seconds by part."""
        begin, watch = time.perf_counter(), Stopwatch(self.env.device)
        watch.mark()
        episodes = self.collect()
        watch.mark()
        losses = self.ppo.update(self.rollout, self.generator)
        watch.mark()
        collecting, learning = watch.laps()
        frames = self.rollout.length * self.rollout.num_envs
        own = {"frames": frames, "us_collect": 1e6 * collecting, "us_learn": 1e6 * learning} | episodes.totals()
        # The learning rate may follow the clock, and must be the same everywhere: the first rank's counts.
        own["seconds"] = time.perf_counter() - begin if self.ranks.is_first else 0.0
        total = self.ranks.sum(own | {f"loss/{name}": value for name, value in losses.items()})
        return self._count(total, losses)

    def _count(self, total: Mapping[str, float], losses: Sequence[str]) -> dict[str, float]:
        """Count an update, and make means of the sums over it."""
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
        """Fill the rollout with experience; returns the sums over the episodes that ended in it."""
        rollout, collectors = self.rollout, self.collectors
        episodes = EpisodeStatistics(self._measures, self.env.num_envs, self.env.device)
        for collector in collectors:
            collector.begin(episodes)
        for t in range(rollout.steps):
            for collector in collectors:
                if t > 0:
                    collector.receive(t - 1)
                collector.decide(t)
            rollout.length = t + 1
            if self._preemption and self._preemption.is_late(rollout.length):
                break
        for collector in collectors:
            collector.receive(rollout.length - 1)
        if self._preemption:
            self._preemption.finish()
        next_value = torch.cat([collector.finish() for collector in collectors])
        rollout.compute_returns(next_value, self.config.gamma, self.config.gae_lambda)
        return episodes

    def state_dict(self) -> dict[str, Tensor]:
        """All beside policy, optimiser and `progress` that decides how this rank goes on, as copies by name."""
        own = {"generator": self.generator.get_state(), "collectors": torch.tensor(len(self.collectors))}
        parts = {i: collector.state_dict() for i, collector in enumerate(self.collectors)}
        return own | {f"{i}.{name}": value for i, tensors in parts.items() for name, value in tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with the episodes of another trainer's `state_dict`.

        Raises `OptionError` where they are of other environments, and KeyError where something is missing.
        """
        saved = int(tensors["collectors"])
        if saved != len(self.collectors):
            raise OptionError(
                f"double_buffering has changed: the environments were saved in {saved} batches, and this run has "
                f"{len(self.collectors)}."
            )
        for i, collector in enumerate(self.collectors):
            collector.load_state_dict(part(tensors, f"{i}."))
        self.generator.set_state(tensors["generator"])
