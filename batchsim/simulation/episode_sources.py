"""Where the next episodes come from: sampled by the task without end, or taken from a fixed set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.scenes import EpisodeSet, Scene
from batchsim.scenes.episodes.linking import on_floor
from batchsim.world.resident_scenes import ResidentScenes


class EpisodeSource(Protocol):
    """Provides the next episode of each environment. Every `Task` is one."""

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Returns one episode for each environment: `scene`, `position`, `heading` and `goal`, all of length N.

        A source may add more, such as `goal_radius` (metres, nan = the task's).

        Args:
            scenes: The resident scenes.
            seed: int64 `[N]`, each environment's random stream.
            episode: int64 `[N]`, number of the episode in that stream.
        """


class FixedEpisodes:
    """Deals out an `EpisodeSet` in order: environment i of N runs the episodes i, i + N, i + 2N, ..., then starts over.

    A forked environment continues with the episodes of the environment that it was copied from.

    Args:
        episodes: The episodes.
        scenes: The resident scenes by slot.
        num_envs: N.
        device: Where to store the episodes.

    Attributes:
        first: int64 `[N]`, the first episode of each environment, counted in the set.

    Raises:
        OptionError: If the set is empty, needs a scene that is not loaded, or has goals without a distance field.
    """

    def __init__(self, episodes: EpisodeSet, scenes: Sequence[Scene], num_envs: int, device: torch.device) -> None:
        if len(episodes) == 0:
            raise OptionError("The episode set is empty.")
        slot_of_name = {scene.name: slot for slot, scene in enumerate(scenes)}
        missing = sorted({name for name in episodes.scene_names if name not in slot_of_name})
        if missing:
            raise OptionError(f"The episodes need scenes that are not loaded: {', '.join(missing[:5])}.")
        slots = torch.tensor([slot_of_name[name] for name in episodes.scene_names], dtype=torch.int64)
        start = np.array(episodes.start_position, np.float32)
        for number, slot in enumerate(slots.tolist()):
            mine = episodes.scene_index == number
            # A start above the floor would add the fall to the path of the first step.
            start[mine] = on_floor(scenes[slot].walkable, start[mine])
        self._columns = {
            "scene": slots[torch.as_tensor(episodes.scene_index, dtype=torch.int64)].to(device),
            "position": torch.as_tensor(start, device=device),
            "heading": torch.as_tensor(episodes.start_heading, dtype=torch.float32, device=device),
            "goal": torch.as_tensor(episodes.goal_index, dtype=torch.int64, device=device),
            "image": torch.as_tensor(episodes.goal_image, dtype=torch.int64, device=device),
            "goal_radius": torch.as_tensor(episodes.goal_radius, dtype=torch.float32, device=device),
        }
        if bool((self._columns["goal"] < 0).any()):
            raise OptionError("Some goals have no distance field: add them with Scene.with_goals first.")
        self._count = len(episodes)
        self._num_envs = num_envs
        self.first = torch.arange(num_envs, device=device)

    def index(self, episode: Tensor) -> Tensor:
        """Returns which episodes of the set (int64 `[N]`) the environments run as their number `episode`."""
        return (self.first + episode.clamp(min=0) * self._num_envs) % self._count

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Returns the next episode of each environment; see `EpisodeSource`. `seed` is ignored."""
        index = self.index(episode)
        return {name: column[index] for name, column in self._columns.items()}
