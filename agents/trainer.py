"""The training loop: act, step, store, compute returns, update."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.cut_offs import CutOffs
from agents.distributed import ALONE, Ranks
from agents.host_memory import keep_freed_memory
from agents.networks.policy import Policy
from agents.ppo import PPO, PPOConfig
from agents.preemption import Preemption
from agents.rollout import Rollout
from agents.sampling import ActionDraws
from agents.stopwatch import Stopwatch
from batchsim import NavVectorEnv

_NAMES = {"r": "reward", "l": "episode_length"}  # Gymnasium's short names in full


@dataclass
class Progress:
    """How far training has come: counters that a checkpoint keeps. `frames` counts those of all ranks."""

    frames: int = 0
    updates: int = 0
    seconds: float = 0.0


class EpisodeSums:
    """Sums over the episodes that ended, kept on the device so that no step waits for them."""

    def __init__(self, measures: Sequence[str], num_envs: int, device: torch.device) -> None:
        self._measures = measures
        self._sums = torch.zeros(1 + len(measures), num_envs, device=device)

    def add(self, measures: Mapping[str, Tensor], done: Tensor) -> None:
        """Count the episodes where `done` (bool `[N]`) is set."""
        rows = [done.float(), *(measures[name].float() for name in self._measures)]
        self._sums += torch.where(done, torch.stack(rows), 0.0)

    def totals(self) -> dict[str, float]:
        """`episodes`, how many ended, and the sum of each measure over them."""
        names = ("episodes", *(_NAMES.get(name, name) for name in self._measures))
        return dict(zip(names, self._sums.double().sum(1).tolist(), strict=True))


class Trainer:
    """Trains `policy` in `env` by PPO: one `iteration` is a rollout of `steps` and the update it gives.

    - `ranks`: the processes that train together; each has an environment of its own, and what is reported is of all.
    - `preemption`: stops the rollouts of late ranks; None lets all run to their end.
    - `episode_measures`: names of those figures of `iteration` that are means over the episodes that ended.
    """

    def __init__(
        self,
        env: NavVectorEnv,
        policy: Policy,
        config: PPOConfig,
        steps: int,
        seed: int,
        ranks: Ranks = ALONE,
        preemption: Preemption | None = None,
    ) -> None:
        if env.device.type == "cpu":
            keep_freed_memory()
        self.env = env
        self.policy = policy
        self.config = config
        self.ranks = ranks
        self.seed = seed
        self.ppo = PPO(policy, config, ranks)
        self.progress = Progress()
        self.generator = torch.Generator().manual_seed(seed)
        self._preemption = preemption
        self._measures = ("r", "l", *env.task.headline_measures)
        self._begun = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self._action = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self.begin_episodes()
        self.rollout = Rollout(steps, self._observation, self._state)
        self._cut_offs = CutOffs(self.rollout, self._observation, env.max_episode_steps, config.gamma)

    @property
    def episode_measures(self) -> tuple[str, ...]:
        """Names of those figures of `iteration` that are means over the episodes that ended."""
        return tuple(_NAMES.get(name, name) for name in self._measures)

    def begin_episodes(self) -> None:
        """Begin new episodes everywhere: others for each seed, rank and environment, and others after a resume."""
        num_envs = self.env.num_envs
        first = self.seed * 1_000_003 + self.progress.updates * 15_485_863 + self.ranks.rank * num_envs
        # Where only time ends episodes, they would all be at the same stage in each rollout: those of all ranks are
        # spread evenly over an episode's length.
        place = self.ranks.rank * num_envs + torch.arange(num_envs)
        elapsed = place * self.env.max_episode_steps // (self.ranks.size * num_envs)
        self._observation, _ = self.env.reset(seed=first, options={"elapsed_steps": elapsed})
        self._draws = ActionDraws(first + torch.arange(num_envs, device=self.env.device))
        self._state = self.policy.initial_state(num_envs)
        self._begun.fill_(True)
        self._action.zero_()

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
    def collect(self) -> EpisodeSums:
        """Fill the rollout with experience; returns the sums over the episodes that ended in it."""
        rollout, policy = self.rollout, self.policy
        episodes = EpisodeSums(self._measures, rollout.num_envs, self.env.device)
        rollout.begin(self._state)
        for t in range(rollout.steps):
            logits, value, state = policy.step(self._observation, self._action, self._begun, self._state)
            action, log_prob = self._draws.draw(logits)
            rollout.store_decision(t, self._observation, self._action, self._begun, action, log_prob, value)
            self._observation, reward, terminated, truncated, info = self.env.step(action)
            done = terminated | truncated
            rollout.store_outcome(t, reward, done)
            self._cut_offs.add(t, policy, truncated, info["final_obs"], action, state)
            episodes.add(info["episode"], done)
            self._action, self._begun, self._state = action, done, state
            if self._preemption and self._preemption.is_late(t + 1):
                rollout.length = t + 1
                break
        if self._preemption:
            self._preemption.finish()
        self._cut_offs.finish(policy)
        _, next_value, _ = policy.step(self._observation, self._action, self._begun, self._state)
        rollout.compute_returns(next_value, self.config.gamma, self.config.gae_lambda)
        return episodes

    def state_dict(self) -> dict[str, Tensor]:
        """All beside policy, optimiser and `progress` that decides how this rank goes on, as copies by name."""
        own = {
            "generator": self.generator.get_state(),
            **self._draws.state_dict(),
            "begun": self._begun.clone(),
            "action": self._action.clone(),
            "memory": self._state.clone(),
        }
        return own | {f"env.{name}": value for name, value in self.env.state_dict().items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with the episodes of another trainer's `state_dict`.

        Raises `OptionError` where they are of other environments, and KeyError where something is missing.
        """
        prefix = "env."
        inner = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        own = {name: tensors[name].to(self.env.device) for name in ("begun", "action", "memory")}
        self.env.load_state_dict(inner)
        self.generator.set_state(tensors["generator"])
        self._draws.load_state_dict({name: tensors[name] for name in ("streams", "count")})
        self._begun, self._action, self._state = own["begun"], own["action"], own["memory"]
        self._observation = self.env.observe()
