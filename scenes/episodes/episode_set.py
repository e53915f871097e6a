"""`EpisodeSet`: episodes with a start and a goal, over several scenes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from batchsim.scenes.errors import SceneError

_TUPLES = ("scene_names", "episode_id")


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """E episodes over several scenes. Arrays of length E, metres and radians.

    - `scene_names`: the scenes; `scene_index` int32 `[E]` points into them.
    - `start_position` float32 `[E, 3]`, on the floor; `start_heading` float32 `[E]`, 0 looks along -z, positive left.
    - `goal` float32 `[E, 3]`; `goal_index` int32 `[E]`: which of the scene's baked goals it is, -1 if none.
    - `geodesic_distance` float32 `[E]`: from start to goal, inf if there is no path.
    - `episode_id`: strings, unique within each scene.
    - `goal_image` int32 `[E]`: which image of a single object shows the goal; -1 (the default) leaves it to the task.
    - `goal_radius` float32 `[E]`: distance from the goal within which a stop succeeds; nan (the default for all) leaves
      that to the task.
    - `offset` float64 `[E, 3]`: positions plus `offset` are positions in the frame of the scene's file, metres
      (`Scene.offset`); 0 by default.
    """

    scene_names: tuple[str, ...]
    scene_index: np.ndarray
    start_position: np.ndarray
    start_heading: np.ndarray
    goal: np.ndarray
    goal_index: np.ndarray
    geodesic_distance: np.ndarray
    episode_id: tuple[str, ...]
    offset: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    goal_image: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    goal_radius: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        count = len(self.episode_id)
        if not len(self.goal_radius):
            object.__setattr__(self, "goal_radius", np.full(count, np.nan, np.float32))
        if not len(self.offset):
            object.__setattr__(self, "offset", np.zeros((count, 3)))
        if not len(self.goal_image):
            object.__setattr__(self, "goal_image", np.full(count, -1, np.int32))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "scene_names" and len(value) != count:
                raise SceneError(f"EpisodeSet.{item.name} has {len(value)} entries; expected {count}, as episode_id.")

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.episode_id)

    def __repr__(self) -> str:
        return f"EpisodeSet({len(self)} episodes in {len(self.scene_names)} scenes)"

    @property
    def start_rotation(self) -> np.ndarray:
        """float32 `[E, 4]`: the start headings as quaternions x, y, z, w (rotations about y)."""
        half = self.start_heading / 2
        zero = np.zeros_like(half)
        return np.stack([zero, np.sin(half), zero, np.cos(half)], -1).astype(np.float32)

    def select(self, which: np.ndarray | slice) -> EpisodeSet:
        """Returns the episodes that an index array, bool mask or slice selects, with the same `scene_names`."""
        chosen = np.arange(len(self))[which]
        arrays = {name: getattr(self, name)[chosen] for name in _columns()}
        return replace(self, **arrays, episode_id=tuple(self.episode_id[i] for i in chosen))

    def without_idle_scenes(self) -> EpisodeSet:
        """Returns the same episodes without the scenes that have none."""
        used, scene_index = np.unique(self.scene_index, return_inverse=True)
        names = tuple(self.scene_names[k] for k in used)
        return replace(self, scene_names=names, scene_index=scene_index.astype(np.int32))

    @staticmethod
    def concatenate(parts: Iterable[EpisodeSet]) -> EpisodeSet:
        """Joins the episodes of `parts` in order; scenes of the same name become one."""
        parts = list(parts)
        names = list(dict.fromkeys(name for part in parts for name in part.scene_names))
        place = {name: i for i, name in enumerate(names)}
        scene_index = [np.array([place[n] for n in p.scene_names], np.int32)[p.scene_index] for p in parts]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _columns()}
        return EpisodeSet(
            scene_names=tuple(names),
            **columns | {"scene_index": np.concatenate(scene_index)},
            episode_id=tuple(i for part in parts for i in part.episode_id),
        )


def _columns() -> list[str]:
    """Returns the names of the arrays with one entry for each episode."""
    return [item.name for item in fields(EpisodeSet) if item.name not in _TUPLES]
