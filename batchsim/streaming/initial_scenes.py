"""`InitialScenes`: the scenes that are loaded at the start, and the sources of the others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchsim.errors import OptionError, RenderError
from batchsim.option_checks import whole_number
from batchsim.scenes import LABELS, Scene, SceneError, SceneSource, bake_many

LOAD_ERRORS = (SceneError, RenderError, OSError)
"""Exceptions that mean that a scene cannot be loaded."""

# By default, sets of up to the first number of scenes are loaded completely, and the second number of larger ones.
_BATCH_DEFAULT = (128, 32)
_SINGLE_DEFAULT = (4, 2)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialScenes:
    """The loaded scenes of a set, and the sources of all its scenes.

    Attributes:
        sources: Sources of all scenes of the set.
        resident: The loaded scenes, by their number in `sources`.
        failed: Why scenes could not be loaded, by their number in `sources`.
    """

    sources: Sequence[SceneSource]
    resident: dict[int, Scene]
    failed: dict[int, str]

    @property
    def has_more(self) -> bool:
        """Whether the set has scenes that have not been tried yet."""
        return len(self.resident) + len(self.failed) < len(self.sources)

    @property
    def num_labels(self) -> int | None:
        """Largest number of labels of any scene; None if that is unknown until all are loaded."""
        sizes = [None if table is None else len(table) for table in self._label_tables]
        known = [size for size in sizes if size is not None]
        return max(known) if len(known) == len(sizes) else None

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Names of the labels; None if they differ between scenes, or if that is unknown until all are loaded."""
        tables = self._label_tables
        return tables.pop() if len(tables) == 1 else None

    @property
    def _label_tables(self) -> set[tuple[str, ...] | None]:
        tables = {scene.label_names for scene in self.resident.values()}
        others = enumerate(self.sources if self.has_more else ())
        return tables | {s.label_names for k, s in others if k not in self.resident and k not in self.failed}

    def _with_one_table(self) -> InitialScenes:
        """Gives all scenes one table of labels if all are loaded; scenes loaded later could add names."""
        if self.has_more or not self.resident:
            return self
        table = joint_table([scene.label_names for scene in self.resident.values()])
        return replace(self, resident={k: scene.relabelled(table) for k, scene in self.resident.items()})

    @property
    def failed_names(self) -> dict[str, str]:
        """`failed` by name."""
        return {self.sources[number].name: reason for number, reason in self.failed.items()}

    @staticmethod
    def load_all(sources: Sequence[SceneSource], wanted: int | None = None) -> InitialScenes:
        """Loads all scenes.

        Args:
            sources: Sources of all scenes of the set.
            wanted: Number of resident scenes that the user asked for; None: all.

        Raises:
            SceneError: If a scene cannot be loaded.
            OptionError: If `wanted` is less than the number of scenes.
        """
        if _num_resident(wanted, len(sources)) < len(sources) and wanted is not None:
            raise OptionError(
                f"num_resident_scenes={wanted}: a fixed set of episodes needs all {len(sources)} scenes in memory."
            )
        bake_many(sources)
        return InitialScenes(sources, {k: source.load() for k, source in enumerate(sources)}, {})._with_one_table()

    @staticmethod
    def load(sources: Sequence[SceneSource], wanted: int | None = None, single: bool = False) -> InitialScenes:
        """Loads the first `wanted` scenes that can be loaded; warns about others.

        Args:
            sources: Sources of all scenes of the set.
            wanted: Number of scenes to load. None: all, or 32 if there are more than 128.
            single: Whether they are for a single environment; then None means all, or 2 if there are more than 4.

        Raises:
            SceneError: If no scene can be loaded.
            OptionError: If `wanted` is less than 1, or 1 in a set of several.
        """
        wanted = _num_resident(wanted, len(sources), single)
        if len(sources) == 1:
            return InitialScenes(sources, {0: sources[0].load()}, {})
        initial = InitialScenes(sources, {}, {})
        left = deque(range(len(sources)))
        while left and len(initial.resident) < wanted:
            initial._try([left.popleft() for _ in range(min(len(left), wanted - len(initial.resident)))])
        if not initial.resident:
            reasons = "; ".join(list(initial.failed.values())[:3])
            raise SceneError(f"None of {len(sources)} scenes can be loaded. {reasons}")
        return initial._with_one_table()

    def _try(self, numbers: Sequence[int]) -> None:
        bake_many([self.sources[number] for number in numbers], skip_failures=True)
        for number in numbers:
            try:
                self.resident[number] = self.sources[number].load()
            except LOAD_ERRORS as error:
                self.failed[number] = report_failure(self.sources[number], error)


def joint_table(tables: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Merges label tables: `LABELS` first if all tables start with it, then all other names in alphabetical order."""
    if len(set(tables)) == 1:
        return tables[0]
    shared = LABELS if all(table[: len(LABELS)] == LABELS for table in tables) else LABELS[:1]
    return (*shared, *sorted({name for table in tables for name in table} - set(shared)))


def _num_resident(wanted: int | None, available: int, single: bool = False) -> int:
    """Returns how many scenes to keep in memory."""
    if wanted is None:
        largest_complete, of_larger = _SINGLE_DEFAULT if single else _BATCH_DEFAULT
        return available if available <= largest_complete else of_larger
    wanted = whole_number("num_resident_scenes", wanted, 1)
    if wanted == 1 < available:
        raise OptionError(
            f"num_resident_scenes must be at least 2 when scenes are swapped ({available} in this set); got 1."
        )
    return wanted


def report_failure(source: SceneSource, error: Exception) -> str:
    """Logs a warning that `source` is skipped; returns the reason."""
    _log.warning("Skipping %s: %s", source.name, error)
    return str(error)
