"""Which scenes of a set are in memory at the beginning, and what is known of the others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchsim.errors import OptionError, RenderError
from batchsim.scenes import LABELS, Scene, SceneError, SceneSource, bake_many

LOAD_ERRORS = (SceneError, RenderError, OSError)
"""What a scene that cannot be had raises."""

_ALL_RESIDENT = 128  # scenes of a set that are all kept in memory if nothing is said
_RESIDENT_OF_MORE = 32  # of larger sets

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialScenes:
    """Some scenes of a set, loaded, and where the others come from.

    - `sources`: all of the set. `resident`: those that are loaded, by number.
    - `failed`: what is wrong with those that were tried and cannot be had, by number.
    """

    sources: Sequence[SceneSource]
    resident: dict[int, Scene]
    failed: dict[int, str]

    @property
    def has_more(self) -> bool:
        """Whether there are scenes that were not tried yet."""
        return len(self.resident) + len(self.failed) < len(self.sources)

    @property
    def num_labels(self) -> int | None:
        """The most labels that a scene has; None where only loading tells."""
        tables = self._label_tables
        return None if None in tables else max(map(len, tables))

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """What labels mean in all scenes; None where that differs between them, or where only loading tells."""
        tables = self._label_tables
        return tables.pop() if len(tables) == 1 else None

    @property
    def _label_tables(self) -> set[tuple[str, ...] | None]:
        tables = {scene.label_names for scene in self.resident.values()}
        others = enumerate(self.sources if self.has_more else ())
        return tables | {s.label_names for k, s in others if k not in self.resident and k not in self.failed}

    def _with_one_table(self) -> InitialScenes:
        """The scenes with one table of labels, if all are here: those to come may bring names of their own."""
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
        """Load all of `sources`; raises `SceneError` if one cannot be had, `OptionError` if fewer are `wanted`."""
        if _num_resident(wanted, len(sources)) < len(sources) and wanted is not None:
            raise OptionError(
                f"num_resident_scenes={wanted}: a fixed set of episodes needs all of its {len(sources)} scenes."
            )
        bake_many(sources)
        return InitialScenes(sources, {k: source.load() for k, source in enumerate(sources)}, {})._with_one_table()

    @staticmethod
    def load(sources: Sequence[SceneSource], wanted: int | None = None) -> InitialScenes:
        """Load the first `wanted` of `sources` that can be had; raises `SceneError` if there is none.

        None: all up to 128, 32 of more. Raises `OptionError` for a number that cannot be used.
        """
        wanted = _num_resident(wanted, len(sources))
        if len(sources) == 1:
            return InitialScenes(sources, {0: sources[0].load()}, {})
        supply = InitialScenes(sources, {}, {})
        left = deque(range(len(sources)))
        while left and len(supply.resident) < wanted:
            supply._try([left.popleft() for _ in range(min(len(left), wanted - len(supply.resident)))])
        if not supply.resident:
            reasons = "; ".join(list(supply.failed.values())[:3])
            raise SceneError(f"None of {len(sources)} scenes can be loaded. {reasons}")
        return supply._with_one_table()

    def _try(self, numbers: Sequence[int]) -> None:
        bake_many([self.sources[number] for number in numbers], skip_failures=True)
        for number in numbers:
            try:
                self.resident[number] = self.sources[number].load()
            except LOAD_ERRORS as error:
                self.failed[number] = report_failure(self.sources[number], error)


def joint_table(tables: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """One table of labels for scenes that have `tables`: `LABELS` if all begin so, then the other names in order."""
    if len(set(tables)) == 1:
        return tables[0]
    shared = LABELS if all(table[: len(LABELS)] == LABELS for table in tables) else LABELS[:1]
    return (*shared, *sorted({name for table in tables for name in table} - set(shared)))


def _num_resident(wanted: int | None, available: int) -> int:
    """How many scenes are to be in memory at once."""
    if wanted is None:
        return available if available <= _ALL_RESIDENT else _RESIDENT_OF_MORE
    if not isinstance(wanted, int) or wanted < 1:
        raise OptionError(f"num_resident_scenes={wanted!r}: expected a whole number of at least 1, or None.")
    if wanted == 1 < available:
        raise OptionError(
            f"num_resident_scenes=1: expected at least 2 of {available} scenes. With only one, new episodes would have "
            "to wait for the next."
        )
    return wanted


def report_failure(source: SceneSource, error: Exception) -> str:
    """Warn that `source` is left out; returns the reason."""
    _log.warning("%s is left out: %s", source.name, error)
    return str(error)
