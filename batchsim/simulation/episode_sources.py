"""Where the next episodes come from: drawn by the task without end, or read from a fixed set."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.scenes import EpisodeSet
from batchsim.world.resident_scenes import ResidentScenes


class EpisodeSource(Protocol):
    """Gives one episode to each environment."""

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """The episode with number `episode` (int64 `[N]`) of the streams `seed`: scene, position, heading, goal."""


class FixedEpisodes:
    """An `EpisodeSet` dealt out in turn: environment i of N runs the episodes i, i + N, i + 2N, ... and begins anew."""

    def __init__(self, episodes: EpisodeSet, scenes: ResidentScenes, num_envs: int) -> None:
        if len(episodes) == 0:
            raise OptionError("The episode set is empty: there is nothing to run.")
        slot_of_name = {scene.name: slot for slot, scene in enumerate(scenes.scenes)}
        missing = sorted({name for name in episodes.scene_names if name not in slot_of_name})
        if missing:
            raise OptionError(f"The episodes name scenes that are not loaded: {', '.join(missing[:5])}.")
        slots = torch.tensor([slot_of_name[name] for name in episodes.scene_names], dtype=torch.int64)
        device = scenes.device
        self._columns = {
            "scene": slots[torch.as_tensor(episodes.scene_index, dtype=torch.int64)].to(device),
            "position": torch.as_tensor(episodes.start_position, dtype=torch.float32, device=device),
            "heading": torch.as_tensor(episodes.start_heading, dtype=torch.float32, device=device),
            "goal": torch.as_tensor(episodes.goal_index, dtype=torch.int64, device=device),
        }
        if bool((self._columns["goal"] < 0).any()):
            raise OptionError("Some episodes' goals have no distance field: add them with Scene.with_goals first.")
        self._count = len(episodes)
        self._num_envs = num_envs

    def index(self, episode: Tensor) -> Tensor:
        """Which of the set (int64 `[N]`) the environments run in their `episode`-th episode, wrapping at the end."""
        env = torch.arange(self._num_envs, device=episode.device)
        return (env + episode.clamp(min=0) * self._num_envs) % self._count

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """The episodes of the set that are next; `seed` plays no part."""
        index = self.index(episode)
        return {name: column[index] for name, column in self._columns.items()}
