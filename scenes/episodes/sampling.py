"""Samples PointNav episodes by the rules of Habitat's generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.episodes.episode_set import EpisodeSet
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.library import SceneSet, Spec, resolve
from batchsim.scenes.sources.scene_source import SceneSource
from batchsim.scenes.walking.walkable import MIN_ISLAND_RADIUS

STANDARD_VERSION = 2
"""Increased whenever the episodes of `standard_episodes` change."""

_BATCH = 1024
_PATIENCE = 64  # batches without any episode before sampling fails
_SAME_FLOOR = 0.5  # largest difference in height on one floor, metres
_OTHER_FLOOR = 2.0  # smallest difference in height between floors, metres
FLOORS = ("same", "cross")


def sample_episodes(
    scenes: Spec | SceneSet | Sequence[Scene],
    count: int,
    seed: int = 0,
    min_distance: float = 1.0,
    max_distance: float = 30.0,
    floors: str = "same",
) -> EpisodeSet:
    """Samples episodes by the rules of Habitat's PointNav generator.

    Samples starts from the floor, goals from the scene's baked goals, and headings uniformly. Keeps pairs on one floor
    (height within 0.5 m), on an island with a radius of at least 1.5 m, at a geodesic distance from `min_distance` to
    `max_distance`. Of nearly straight ones (ratio of geodesic and euclidean distance < 1.1), keeps a fraction of
    20 (ratio - 0.98)^2.

    Episode e is in scene e mod S, where S is the number of scenes used. Each scene has its own random stream, from
    `seed` and its name, so the episodes of a smaller `count` are the first of a larger one.

    Args:
        scenes: Where to sample; anything that `resolve` accepts.
        count: Number of episodes.
        seed: Seed of the random streams.
        min_distance: Smallest geodesic distance, metres.
        max_distance: Largest geodesic distance, metres.
        floors: "same", or "cross" for start and goal on different storeys, at least 2 m apart in height and joined by
            stairs or ramps. Scenes without such a pair are left out.

    Raises:
        SceneError: If a scene has too few such pairs, or (with "cross") no scene has two storeys.
    """
    scene_set = resolve(scenes)
    if floors not in FLOORS:
        raise SceneError(f"floors is {floors!r}; expected one of {', '.join(map(repr, FLOORS))}.")
    if count < 1:
        raise SceneError(f"count is {count}; at least one episode is needed.")
    if not 0 <= min_distance < max_distance:
        raise SceneError(f"distances run from {min_distance} to {max_distance} m; expected 0 <= min < max.")
    rules = _Rules(min_distance, max_distance, floors)
    used = scene_set if floors == "same" else _with_storeys(scene_set, rules, count)
    used = used[: min(count, len(used))]
    shares = [len(range(i, count, len(used))) for i in range(len(used))]
    parts = [_sample_in(source.load(), share, seed, rules) for source, share in zip(used, shares, strict=True)]
    together = _join(used.names, parts)
    turn = np.concatenate([np.arange(share) for share in shares])
    return together.select(np.lexsort((together.scene_index, turn)))


def standard_episodes(spec: Spec, count: int, floors: str = "same") -> EpisodeSet:
    """Returns the first `count` standard episodes of a named set, such as "homes:val": the same for everyone.

    They change only with `STANDARD_VERSION` and with the home generator. `floors` is as in `sample_episodes`.
    """
    seed = crc32(f"batchsim episodes {STANDARD_VERSION}".encode())
    return sample_episodes(spec, count, seed, floors=floors)


@dataclass(frozen=True)
class _Rules:
    """The conditions on pairs of start and goal; metres."""

    min_distance: float
    max_distance: float
    floors: str

    def allow(self, scene: Scene, cells: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Returns whether floors and distance are allowed; bool, with the broadcast shape of `cells` and `goals`."""
        walk = scene.goal_distances[goals, cells].astype(np.float32)
        rise = np.abs(scene.walkable.heights[cells] - scene.goals[goals, 1])
        right_floor = rise <= _SAME_FLOOR if self.floors == "same" else rise >= _OTHER_FLOOR
        return right_floor & (walk >= self.min_distance) & (walk <= self.max_distance)


def _with_storeys(scene_set: SceneSet, rules: _Rules, count: int) -> SceneSet:
    """Returns the first `count` scenes in which some goal is allowed from some cell."""
    found: list[SceneSource] = []
    for source in scene_set:
        if len(found) < count and _any_allowed(source.load(), rules):
            found.append(source)
    if not found:
        raise SceneError(
            f"{scene_set.name}: no scene has two storeys joined by stairs or ramps, with paths between them of "
            f"{rules.min_distance:g} to {rules.max_distance:g} m. Use floors='same', or more scenes: one home in "
            "six has two storeys."
        )
    return SceneSet(found, scene_set.name)


def _any_allowed(scene: Scene, rules: _Rules) -> bool:
    cells = _cells_of_use(scene)
    return any(rules.allow(scene, cells, np.int64(goal)).any() for goal in range(len(scene.goals)))


def _cells_of_use(scene: Scene) -> np.ndarray:
    """Returns the cells on islands that are large enough for episodes."""
    walkable = scene.walkable
    return np.flatnonzero(walkable.island_radii[walkable.islands] >= MIN_ISLAND_RADIUS)


def _sample_in(scene: Scene, count: int, seed: int, rules: _Rules) -> EpisodeSet:
    rng = np.random.default_rng([seed, crc32(scene.name.encode("utf-8", "surrogateescape"))])
    cells_of_use = _cells_of_use(scene)
    kept: list[tuple[np.ndarray, ...]] = []
    found, fruitless = 0, 0
    while found < count:
        if not len(cells_of_use) or not len(scene.goals) or fruitless == _PATIENCE:
            raise SceneError(
                f"{scene.name}: found {found} of {count} episodes with a geodesic distance from {rules.min_distance:g} "
                f"to {rules.max_distance:g} m; the last {_PATIENCE * _BATCH:,} tries gave none. Its floor is too small "
                "or too divided; lower min_distance or leave the scene out."
            )
        # Always a whole batch, so that the random stream does not depend on `count`.
        cells = cells_of_use[rng.integers(len(cells_of_use), size=_BATCH)]
        goals = rng.integers(len(scene.goals), size=_BATCH)
        headings = rng.uniform(-np.pi, np.pi, _BATCH).astype(np.float32)
        keep = rules.allow(scene, cells, goals) & _crooked_enough(scene, cells, goals, rng.uniform(size=_BATCH))
        kept.append((cells[keep], goals[keep], headings[keep]))
        found += int(keep.sum())
        fruitless = 0 if keep.any() else fruitless + 1
    cells, goals, headings = (np.concatenate(column)[:count] for column in zip(*kept, strict=True))
    return EpisodeSet(
        scene_names=(scene.name,),
        scene_index=np.zeros(count, np.int32),
        start_position=scene.walkable.positions[cells].astype(np.float32),
        start_heading=headings,
        goal=scene.goals[goals],
        goal_index=goals.astype(np.int32),
        geodesic_distance=scene.goal_distances[goals, cells].astype(np.float32),
        episode_id=tuple(str(i) for i in range(count)),
        offset=np.tile(np.array(scene.offset, np.float64), (count, 1)),
    )


def _crooked_enough(scene: Scene, cells: np.ndarray, goals: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Applies Habitat's rule against straight paths to start cells and goals; `chance` is uniform in [0, 1)."""
    starts, ends = scene.walkable.positions[cells], scene.goals[goals]
    beeline = np.linalg.norm(starts - ends, axis=-1)
    ratio = scene.goal_distances[goals, cells].astype(np.float32) / np.maximum(beeline, 1e-6)
    return (ratio >= 1.1) | (chance < 20 * np.maximum(ratio - 0.98, 0) ** 2)


def _join(names: Sequence[str], parts: Sequence[EpisodeSet]) -> EpisodeSet:
    """Joins episodes as `EpisodeSet.concatenate` does, but keeps scenes of the same name apart."""
    apart = [replace(part, scene_names=(str(number),)) for number, part in enumerate(parts)]
    return replace(EpisodeSet.concatenate(apart), scene_names=tuple(names))
