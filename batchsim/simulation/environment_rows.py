"""`EnvironmentRows`: single environments of a batch, copied from slot to slot, taken out and put back."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import fresh_streams
from batchsim.scenes import Scene
from batchsim.simulation.episode_sources import FixedEpisodes
from batchsim.simulation.goal_images import GoalImages
from batchsim.simulation.transition import Transition
from batchsim.streaming.scene_streamer import SceneStreamer
from batchsim.world.state import replaced_rows

_MARK, _FIRST, _FORKS = "scene_mark", "first_episode", "forks"


def scene_mark(scene: Scene) -> str:
    """Returns a text that tells scenes apart in saved states: name and size."""
    return f"{scene.name} {len(scene.triangles)} {scene.walkable.num_cells}"


class EnvironmentRows:
    """The rows of everything that a simulator keeps for each environment: state, goal images, and fixed episodes.

    Args:
        transition: The simulator's transition; its state is read and replaced.
        goal_images: The goal images; None without.
        streamer: What swaps the scenes; None if they stay.

    Attributes:
        forks: Number of forks with fresh randomness so far, which keeps their random streams apart.
    """

    def __init__(
        self, transition: Transition, goal_images: GoalImages | None, streamer: SceneStreamer | None = None
    ) -> None:
        self.forks = 0
        self._state, self._scenes, self._task = transition.state, transition.scenes, transition.task
        self._fixed = transition.episodes if isinstance(transition.episodes, FixedEpisodes) else None
        self._goal_images = goal_images
        self._streamer = streamer
        self._marked: list[Scene] = []
        self._marks: Tensor | None = None

    def fork(self, source: Tensor, target: Tensor, fresh_randomness: bool) -> None:
        """Copies the environments `source` to `target`; see `NavVectorEnv.fork`."""
        self._state.fork(source, target)
        if self._goal_images is not None:
            self._goal_images.fork(source, target)
        if self._fixed is not None:
            # In place: a CUDA graph has recorded this tensor.
            self._fixed.first.index_copy_(0, target, self._fixed.first[source])
        if fresh_randomness:
            seed = self._state.seed
            fresh = fresh_streams(seed[target], target + self.forks * len(seed))
            self._state.seed = seed.index_copy(0, target, fresh)
            self.forks += 1

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Returns copies of the environments `index` (int64 `[M]`), a tensor `[M, ...]` for each name."""
        rows = self._state.rows(index)
        rows |= self._goal_images.rows(index) if self._goal_images is not None else {}
        rows |= {_FIRST: self._fixed.first[index]} if self._fixed is not None else {}
        return rows | {_MARK: self._scene_marks()[rows["scene"]]}

    def put(self, rows: Mapping[str, Tensor], index: Tensor) -> None:
        """Puts the result of `take` into the environments `index`, int64 `[M]`.

        Raises:
            OptionError: If the rows come from another task or other scenes. On CUDA, scenes are compared only if they
                are swapped, because the host would have to wait.
        """
        self._check_scenes(rows)
        self._state.put_rows(rows, index)
        if self._goal_images is not None:
            self._goal_images.put_rows(rows, index)
        if self._fixed is not None and _FIRST in rows:
            self._fixed.first.copy_(replaced_rows(_FIRST, self._fixed.first, rows, index))

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what `EnvironmentRows` itself keeps: the number of forks, and the dealing of fixed episodes."""
        fixed = {_FIRST: self._fixed.first.clone()} if self._fixed is not None else {}
        return {_FORKS: torch.tensor(self.forks)} | fixed

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Takes the result of `state_dict` out of `tensors`. States saved without it are those of no forks."""
        self.forks = int(tensors.pop(_FORKS, 0))
        first = tensors.pop(_FIRST, None)
        if self._fixed is not None:
            place = self._fixed.first
            unforked = torch.arange(len(place), device=place.device)
            if first is not None and first.shape != place.shape:
                raise OptionError(f"{_FIRST}: the saved state has {len(first)} environments; expected {len(place)}.")
            place.copy_(unforked if first is None else first)

    def _check_scenes(self, rows: Mapping[str, Tensor]) -> None:
        if missing := sorted({_MARK, "scene"} - rows.keys()):
            raise OptionError(f"Not rows of NavVectorEnv.state_dict: {', '.join(missing)} missing.")
        if self._scenes.device.type == "cuda" and self._streamer is None:
            return
        marks = self._scene_marks()
        scene = rows["scene"].to(marks.device)
        inside = bool(((scene >= 0) & (scene < len(marks))).all())
        if not inside or not torch.equal(rows[_MARK].to(marks.device), marks[scene]):
            raise OptionError(
                "The saved rows are of other scenes or another task. Load them into an environment with the same task "
                "and the same scenes in memory."
            )
        if self._streamer is not None:
            self._streamer.readmit(scene.unique().tolist())

    def _scene_marks(self) -> Tensor:
        """Returns a checksum of the task and the scene in each slot, int64 `[K]`."""
        if self._marks is None or any(map(operator.is_not, self._marked, self._scenes.scenes)):
            self._marked = list(self._scenes.scenes)
            task = type(self._task).__name__
            texts = [f"{task} {scene_mark(scene)}" for scene in self._marked]
            numbers = torch.tensor([zlib.crc32(text.encode()) for text in texts])
            self._marks = numbers.to(self._scenes.device)
        return self._marks
