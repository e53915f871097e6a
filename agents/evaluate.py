"""Runs an agent through a set of episodes, each exactly once, and keeps what happened."""

from __future__ import annotations

from collections.abc import Callable

import torch

from agents.baselines import Agent
from agents.evaluation import EpisodeRecord, Evaluation
from batchsim import NavVectorEnv
from scenes import EpisodeSet


def run_episodes(
    env: NavVectorEnv,
    agent: Agent,
    episodes: EpisodeSet,
    name: str,
    scenes: str,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Let `agent` act in `env`, which was made with `episodes`, until each of them has ended once.

    `on_progress` is called with the number of episodes that have ended and their total.
    """
    total, num_envs = len(episodes), env.num_envs
    observation, _ = env.reset(seed=seed)
    begun = torch.ones(num_envs, dtype=torch.bool)
    # Environment i runs the episodes i, i + N, i + 2N, ...: the same deal as `FixedEpisodes`.
    running = list(range(num_envs))
    paths = [[episodes.start_position[i % total].tolist()] for i in range(num_envs)]
    records: dict[int, EpisodeRecord] = {}
    while len(records) < total:
        observation, _, terminated, truncated, info = env.step(agent.act(observation, begun))
        begun = terminated | truncated
        for i, position in enumerate(info["position"].tolist()):
            paths[i].append(position)
        for i in begun.nonzero().squeeze(-1).tolist():
            if running[i] < total:
                measures = {key: value[i].item() for key, value in info["episode"].items()}
                records[running[i]] = _record(episodes, running[i], measures, paths[i])
            running[i] += num_envs
            paths[i] = [episodes.start_position[running[i] % total].tolist()]
        on_progress(len(records), total)
    return Evaluation(name, scenes, seed, tuple(records[i] for i in range(total)))


def _record(episodes: EpisodeSet, index: int, measures: dict[str, float], path: list[list[float]]) -> EpisodeRecord:
    names = {"l": "episode_length", "r": "reward"}
    return EpisodeRecord(
        scene=episodes.scene_names[episodes.scene_index[index]],
        episode_id=episodes.episode_id[index],
        start_distance=float(episodes.geodesic_distance[index]),
        goal=episodes.goal[index].tolist(),
        measures={names.get(key, key): float(value) for key, value in measures.items()},
        path=[[round(x, 3) for x in point] for point in path],
    )
