"""Runs an agent through a set of episodes, each exactly once, and keeps what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    tracks = [_Track.begun(episodes, i) for i in range(num_envs)]
    records: dict[int, EpisodeRecord] = {}
    while len(records) < total:
        action = agent.act(observation, begun)
        observation, _, terminated, truncated, info = env.step(action)
        begun = terminated | truncated
        moves = zip(tracks, info["position"].tolist(), info["heading"].tolist(), action.tolist(), strict=True)
        for track, *move in moves:
            track.add(*move)
        for i in begun.nonzero().squeeze(-1).tolist():
            if running[i] < total:
                measures = {key: value[i].item() for key, value in info["episode"].items()}
                records[running[i]] = _record(episodes, running[i], measures, tracks[i])
            running[i] += num_envs
            tracks[i] = _Track.begun(episodes, running[i])
        on_progress(len(records), total)
    return Evaluation(name, scenes, seed, tuple(records[i] for i in range(total)))


@dataclass
class _Track:
    """What one environment did since its episode began."""

    path: list[list[float]]
    headings: list[float]
    actions: list[int] = field(default_factory=list)

    @staticmethod
    def begun(episodes: EpisodeSet, number: int) -> _Track:
        index = number % len(episodes)
        return _Track([episodes.start_position[index].tolist()], [float(episodes.start_heading[index])])

    def add(self, position: list[float], heading: float, action: int) -> None:
        self.path.append(position)
        self.headings.append(heading)
        self.actions.append(action)


def _record(episodes: EpisodeSet, index: int, measures: dict[str, float], track: _Track) -> EpisodeRecord:
    names = {"l": "episode_length", "r": "reward"}
    return EpisodeRecord(
        scene=episodes.scene_names[episodes.scene_index[index]],
        episode_id=episodes.episode_id[index],
        start_distance=float(episodes.geodesic_distance[index]),
        goal=episodes.goal[index].tolist(),
        measures={names.get(key, key): float(value) for key, value in measures.items()},
        path=[[round(x, 3) for x in point] for point in track.path],
        headings=[round(heading, 4) for heading in track.headings],
        actions=track.actions,
    )
