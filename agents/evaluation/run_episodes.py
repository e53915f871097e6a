"""Runs an agent through a set of episodes, each exactly once, and records what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.agent import Agent, MeasuredAgent
from batchsim.agents.evaluation.episode_recorder import EpisodeRecorder
from batchsim.agents.evaluation.results import COUNTED, Evaluation
from batchsim.random_streams import uniform
from batchsim.scenes import EpisodeSet
from batchsim.scenes.categories import CATEGORIES
from batchsim.tasks import ObjectNav

# Steps between two checks whether all episodes have ended; on a GPU, each check waits for the device.
_CHECK_EVERY = 16


@dataclass(frozen=True)
class StepSnapshot:
    """What the agent saw and chose in N environments, before they step. Clone tensors that are kept.

    Attributes:
        index: Index in the set of each environment's episode, int64 `[N]`; -1 if no episode is left to run.
        step: Number of actions taken before in the episode, int64 `[N]`.
        observation: What the agent saw, by sensor.
        episode_start: Whether it is the episode's first observation, bool `[N]`.
        action: The chosen action, int64 `[N]`, or velocities, float32 `[N, A]`.
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
    """Run each of `episodes` once.

    An episode is the same, bit for bit on one device, whatever runs in the other environments: any number of
    environments, the whole set or part of it, in any order. The agent's random numbers depend on `seed`, the episode
    and the step alone.

    Args:
        env: Environments made with `episodes`.
        agent: The agent that acts in `env`.
        episodes: The episodes.
        name: The agent's name in the results.
        scenes: The name of the episode set in the results.
        seed: Seed of the agent's random numbers.
        on_progress: Called with the number of finished episodes and their total.
        on_step: Called with each decision in all environments, before they step.
    """
    total, num_envs, device = len(episodes), env.num_envs, env.device
    streams = torch.as_tensor(episode_streams(episodes, seed), device=device)
    recorder = EpisodeRecorder(episodes)
    observation, _ = env.reset(seed=seed)
    episode_start = torch.ones(num_envs, dtype=torch.bool, device=device)
    # Environment i runs the episodes i, i + N, i + 2N, ..., as `FixedEpisodes` assigns them. The loop runs until all
    # have ended: stopping after a number of finished episodes would favour short ones.
    number = torch.arange(num_envs, device=device)
    step = torch.zeros_like(number)
    ended = torch.zeros((), dtype=torch.int64, device=device)
    steps, known = 0, 0
    own = agent if isinstance(agent, MeasuredAgent) else None
    while known < total:
        draws = uniform(streams[number % total], step, 1).squeeze(-1)
        action = agent.act(observation, episode_start, draws)
        if on_step is not None:
            on_step(StepSnapshot(torch.where(number < total, number, -1), step, observation, episode_start, action))
        observation, _, terminated, truncated, info = env.step(action)
        episode_start = terminated | truncated
        recorder.add(number, episode_start, action, info, own.measures() if own else {})
        ended += (episode_start & (number < total)).sum()
        number = number + episode_start * num_envs
        step = torch.where(episode_start, 0, step + 1)
        steps += 1
        if device.type == "cpu" or steps % _CHECK_EVERY == 0:
            known = int(ended)
            on_progress(known, total)
    measures = (*env.task.headline_measures, *COUNTED, *(own.measures() if own else ()))
    categories = env.task.table if isinstance(env.task, ObjectNav) else CATEGORIES
    return Evaluation(name, scenes, seed, recorder.records(), measures, categories=categories)


def episode_streams(episodes: EpisodeSet, seed: int) -> np.ndarray:
    """The random stream of each episode, int64 `[E]`.

    A stream depends on the episode's id, start and goal, so that neither its place in the set nor the folder of its
    scene matters.
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
