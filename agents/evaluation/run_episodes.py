"""Runs an agent through a set of episodes, each exactly once, and keeps what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.registry import Agent
from batchsim.agents.evaluation.episode_recorder import EpisodeRecorder
from batchsim.agents.evaluation.results import COUNTED, Evaluation
from batchsim.random_streams import uniform
from batchsim.scenes import EpisodeSet

# How often a GPU is asked whether all episodes have ended, in steps: each time, the host waits for it.
_STEPS_BETWEEN_LOOKS = 16


@dataclass(frozen=True)
class StepSnapshot:
    """What the agent saw in N environments and decided, before anything moves; clone what is to be kept.

    - `index` int64 `[N]`: which episode of the set each environment is in, -1 where none is left to run.
    - `step` int64 `[N]`: how many actions the episode saw before this one.
    - `observation`: what the agent saw; `episode_start` bool `[N]`: for the first time in its episode.
    - `action` int64 `[N]`: what it is about to do.
    """

    index: Tensor
    step: Tensor
    observation: dict[str, Tensor]
    episode_start: Tensor
    action: Tensor


def run_episodes(
    env: NavVectorEnv,
    agent: Agent,
    episodes: EpisodeSet,
    name: str,
    scenes: str,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[StepSnapshot], None] | None = None,
) -> Evaluation:
    """Let `agent` act in `env`, which was made with `episodes`, until each of them has ended once.

    An episode goes the same way, bit for bit on one device, whatever runs beside it: any number of environments, the
    whole set or a part of it, in any order. What the agent draws depends on `seed`, the episode and the step alone.

    - `on_progress` is called with the number of episodes that have ended and their total.
    - `on_step` is called with each decision, of all environments at once; how the episodes end is in their records.
    """
    total, num_envs, device = len(episodes), env.num_envs, env.device
    streams = torch.as_tensor(episode_streams(episodes, seed), device=device)
    log = EpisodeRecorder(episodes)
    observation, _ = env.reset(seed=seed)
    episode_start = torch.ones(num_envs, dtype=torch.bool, device=device)
    # Environment i runs the episodes i, i + N, i + 2N, ...: the same deal as `FixedEpisodes`, which begins anew after
    # the last. All wait for the longest: stopping at a number of ended episodes would favour the short ones.
    number = torch.arange(num_envs, device=device)
    step = torch.zeros_like(number)
    ended = torch.zeros((), dtype=torch.int64, device=device)
    steps, known = 0, 0
    while known < total:
        draws = uniform(streams[number % total], step, 1).squeeze(-1)
        action = agent.act(observation, episode_start, draws)
        if on_step is not None:
            on_step(StepSnapshot(torch.where(number < total, number, -1), step, observation, episode_start, action))
        observation, _, terminated, truncated, info = env.step(action)
        episode_start = terminated | truncated
        log.add(number, episode_start, action, info)
        ended += (episode_start & (number < total)).sum()
        number = number + episode_start * num_envs
        step = torch.where(episode_start, 0, step + 1)
        steps += 1
        if device.type == "cpu" or steps % _STEPS_BETWEEN_LOOKS == 0:
            known = int(ended)
            on_progress(known, total)
    return Evaluation(name, scenes, seed, log.records(), (*env.task.headline_measures, *COUNTED))


def episode_streams(episodes: EpisodeSet, seed: int) -> np.ndarray:
    """The stream of random numbers of each episode, int64 `[E]`.

    An episode is known by its id, start and goal, so that neither its place in the set nor the folder of its scene
    matters.
    """
    columns = (episodes.start_position, episodes.start_heading, episodes.goal)
    places = [np.ascontiguousarray(column, "<f4") for column in columns]
    digests = [
        blake2b(
            b"|".join([str(seed).encode(), name.encode(), *(place[e].tobytes() for place in places)]), digest_size=8
        )
        for e, name in enumerate(episodes.episode_id)
    ]
    return np.array([int.from_bytes(digest.digest(), "little", signed=True) for digest in digests], np.int64)
