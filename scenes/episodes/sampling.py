"""Episodes of point-goal navigation: where to start, where to go, and how far that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from zlib import crc32

import numpy as np

from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.library import SceneSet, Spec, resolve
from batchsim.scenes.sources.scene_source import SceneSource
from batchsim.scenes.walking.walkable import MIN_ISLAND_RADIUS

STANDARD_VERSION = 2
"""Raised when `standard_episodes` would give other episodes than before."""

_BATCH = 1024
_PATIENCE = 64
_SAME_FLOOR = 0.5
_OTHER_FLOOR = 2.0
FLOORS = ("same", "cross")


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """E episodes over several scenes. Arrays of length E, metres and radians.

    - `scene_names`: the scenes; `scene_index` int32 `[E]` points into them.
    - `start_position` float32 `[E, 3]`, on the floor; `start_heading` float32 `[E]`, 0 looks along -z, positive left.
    - `goal` float32 `[E, 3]`; `goal_index` int32 `[E]`: which of the scene's baked goals it is, -1 if none.
    - `geodesic_distance` float32 `[E]`: the shortest walk from start to goal, inf where there is none.
    - `episode_id`: a string each, unique within its scene.
    """

    scene_names: tuple[str, ...]
    scene_index: np.ndarray
    start_position: np.ndarray
    start_heading: np.ndarray
    goal: np.ndarray
    goal_index: np.ndarray
    geodesic_distance: np.ndarray
    episode_id: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.episode_id)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "scene_names" and len(value) != count:
                raise SceneError(f"EpisodeSet.{item.name} has {len(value)} entries, episode_id {count}.")

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.episode_id)

    def __repr__(self) -> str:
        return f"EpisodeSet({len(self)} episodes in {len(self.scene_names)} scenes)"

    @property
    def start_rotation(self) -> np.ndarray:
        """float32 `[E, 4]`: the start headings as quaternions x, y, z, w (turns about y)."""
        half = self.start_heading / 2
        zero = np.zeros_like(half)
        return np.stack([zero, np.sin(half), zero, np.cos(half)], -1).astype(np.float32)

    def select(self, which: np.ndarray | slice) -> EpisodeSet:
        """The episodes that an index array, bool mask or slice picks; `scene_names` stays whole."""
        chosen = np.arange(len(self))[which]
        arrays = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name not in _TUPLES}
        return replace(self, **arrays, episode_id=tuple(self.episode_id[i] for i in chosen))

    def without_idle_scenes(self) -> EpisodeSet:
        """The same episodes, where `scene_names` holds no scene without one."""
        used, scene_index = np.unique(self.scene_index, return_inverse=True)
        names = tuple(self.scene_names[k] for k in used)
        return replace(self, scene_names=names, scene_index=scene_index.astype(np.int32))

    @staticmethod
    def concatenate(parts: Iterable[EpisodeSet]) -> EpisodeSet:
        """All episodes of `parts` in order; scenes of the same name are one."""
        parts = list(parts)
        names = list(dict.fromkeys(name for part in parts for name in part.scene_names))
        place = {name: i for i, name in enumerate(names)}
        scene_index = [np.array([place[n] for n in p.scene_names], np.int32)[p.scene_index] for p in parts]
        rest = [f.name for f in fields(EpisodeSet) if f.name not in (*_TUPLES, "scene_index")]
        return EpisodeSet(
            scene_names=tuple(names),
            scene_index=np.concatenate(scene_index),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in rest},
            episode_id=tuple(i for part in parts for i in part.episode_id),
        )


_TUPLES = ("scene_names", "episode_id")


def sample_episodes(
    scenes: Spec | SceneSet | Sequence[Scene],
    count: int,
    seed: int = 0,
    min_distance: float = 1.0,
    max_distance: float = 30.0,
    floors: str = "same",
) -> EpisodeSet:
    """`count` episodes by the rules of Habitat's PointNav generator, spread evenly over `scenes`.

    Starts are drawn from the floor, goals from the scene's baked goals, headings from the whole turn. Kept are pairs on
    one floor (height within 0.5 m), on an island of at least 1.5 m radius, `min_distance` to `max_distance` metres
    of walking apart; a nearly straight one (ratio = walk / beeline < 1.1) with probability 20 (ratio - 0.98)^2.

    `floors`: "cross" keeps pairs on different storeys instead, at least 2 m above or below each other and joined by
    stairs or ramps; scenes without any such pair of cell and goal are left out.

    Episode e lies in scene e mod S, S being the scenes that are used. Each scene has its own random stream, from
    `seed` and its name, so a larger `count` continues a smaller one. Raises `SceneError` naming a scene that has too
    few such pairs, and if no scene has two storeys.
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


def standard_episodes(spec: str, count: int, floors: str = "same") -> EpisodeSet:
    """The first `count` episodes of the fixed series for a named set, such as "homes:val": the same for everyone.

    `floors` as in `sample_episodes`. They change only with `STANDARD_VERSION` and with the home generator.
    """
    seed = crc32(f"batchsim episodes {STANDARD_VERSION}".encode())
    return sample_episodes(spec, count, seed, floors=floors)


@dataclass(frozen=True)
class _Rules:
    """Which pairs of start and goal are episodes; metres."""

    min_distance: float
    max_distance: float
    floors: str

    def allow(self, scene: Scene, cells: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """bool, of the broadcast shape of start `cells` and goal indices: floors and length of the walk are right."""
        walk = scene.goal_distances[goals, cells].astype(np.float32)
        rise = np.abs(scene.walkable.heights[cells] - scene.goals[goals, 1])
        right_floor = rise <= _SAME_FLOOR if self.floors == "same" else rise >= _OTHER_FLOOR
        return right_floor & (walk >= self.min_distance) & (walk <= self.max_distance)


def _with_storeys(scene_set: SceneSet, rules: _Rules, count: int) -> SceneSet:
    """The first `count` of the scenes in which some goal is allowed from some cell."""
    found: list[SceneSource] = []
    for source in scene_set:
        if len(found) < count and _any_allowed(source.load(), rules):
            found.append(source)
    if not found:
        raise SceneError(
            f"{scene_set.name}: no scene has two storeys joined by stairs or ramps with walks of {rules.min_distance:g}"
            f" to {rules.max_distance:g} m between them. Use floors='same', or more scenes: one home in six has two."
        )
    return SceneSet(found, scene_set.name)


def _any_allowed(scene: Scene, rules: _Rules) -> bool:
    cells = _cells_of_use(scene)
    return any(rules.allow(scene, cells, np.int64(goal)).any() for goal in range(len(scene.goals)))


def _cells_of_use(scene: Scene) -> np.ndarray:
    """Cells on islands that are large enough for episodes."""
    walkable = scene.walkable
    return np.flatnonzero(walkable.island_radii[walkable.islands] >= MIN_ISLAND_RADIUS)


def _sample_in(scene: Scene, count: int, seed: int, rules: _Rules) -> EpisodeSet:
    rng = np.random.default_rng([seed, crc32(scene.name.encode())])
    cells_of_use = _cells_of_use(scene)
    kept: list[tuple[np.ndarray, ...]] = []
    found, fruitless = 0, 0
    while found < count:
        if not len(cells_of_use) or not len(scene.goals) or fruitless == _PATIENCE:
            raise SceneError(
                f"{scene.name}: {found} of {count} episodes with {rules.min_distance:g} to {rules.max_distance:g} m "
                f"of walking were found; the last {_PATIENCE * _BATCH:,} tries gave none. Its floor is too small or "
                "too cut up; lower min_distance or leave the scene out."
            )
        # Always a whole batch, so that the stream does not depend on how many episodes are asked for.
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
    )


def _crooked_enough(scene: Scene, cells: np.ndarray, goals: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Habitat's rule against straight walks, for pairs of start cell and goal index; `chance` is uniform in [0, 1)."""
    starts, ends = scene.walkable.positions[cells], scene.goals[goals]
    beeline = np.linalg.norm(starts - ends, axis=-1)
    ratio = scene.goal_distances[goals, cells].astype(np.float32) / np.maximum(beeline, 1e-6)
    return (ratio >= 1.1) | (chance < 20 * np.maximum(ratio - 0.98, 0) ** 2)


def _join(names: Sequence[str], parts: Sequence[EpisodeSet]) -> EpisodeSet:
    """As `EpisodeSet.concatenate`, but scene i stays scene i, whatever the names."""
    together = EpisodeSet.concatenate(parts)
    scene_index = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    return replace(together, scene_names=tuple(names), scene_index=scene_index)
