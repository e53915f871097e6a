"""ObjectNav: walk to any object of a category, such as a chair, and stop where it can be seen.

As in Habitat's ObjectNav challenges (Yadav et al., 2022 and 2023): success is a stop within 0.1 m of walking from a
view point of any instance; view points are places at most 1 m from the instance from which it can be seen by turning
(`batchsim.scenes.objects.view_points`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium as gym
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.random_streams import uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.scenes.categories import CATEGORIES
from batchsim.scenes.episodes.object_episodes import assign_categories
from batchsim.tasks.goal_navigation import CANDIDATES, GoalNavigation, category_space, draw_start
from batchsim.tasks.task import draw_heading
from batchsim.world.resident_objects import ResidentObjects
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class ObjectNav(GoalNavigation):
    """Object-goal navigation; the goal is a category, given as `objectgoal`.

    Categories are drawn evenly from those that resident scenes have, and the scene evenly from those that have the
    category. The start is on a floor that has one of the category's view points.

    Args:
        success_distance: Walking distance from a view point within which a stop succeeds, metres.
        categories: Names of the categories to draw from; empty: all.
        table: Names of all categories; the position is the id in `objectgoal`. Set by the environment.
    """

    success_distance: float = 0.1
    categories: tuple[str, ...] = ()
    table: tuple[str, ...] = CATEGORIES

    uses_objects: ClassVar[bool] = True
    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right", "look_up", "look_down")

    def for_scenes(self, categories: Sequence[str], has: Callable[[str], bool]) -> ObjectNav:
        """Uses `categories` as the table of ids.

        Raises:
            OptionError: If no scene has a category of this task, or any at all.
        """
        check_categories(self.categories, categories, has)
        return replace(self, table=tuple(categories))

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the spaces of `objectgoal`, `gps` and `compass`."""
        return category_space("objectgoal", len(self.table)) | super().observation_spaces()

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws a category, a scene that has it, a start and a heading."""
        draws = uniform(seed, episode, 3 + CANDIDATES)
        objects = scenes.objects
        category, scene = draw_category(objects, scenes.start_mask, self._is_asked(objects), draws[:, 0], draws[:, 1])
        goal = objects.category_goal[scene, category].clamp(min=0)
        position = draw_start(self, scenes, scene, goal, objects.category_floor[scene, category], draws[:, 3:])
        return {"scene": scene, "heading": draw_heading(draws[:, 2]), "goal": goal, "position": position}

    def _is_asked(self, objects: ResidentObjects) -> Tensor:
        """Returns which categories may be drawn, bool `[categories]`."""
        return wanted_categories(objects, self.categories)

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the start pose, the goal, its category and the distance to it."""
        super().begin(scenes, state, mask, episode)
        state.keep(mask, category=scenes.objects.category_of_goal(state.scene, state.task["goal"]))

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns `objectgoal` int64 `[N, 1]`, `gps` and `compass`."""
        goal = state.task["category"].clamp(min=0).unsqueeze(-1)
        return {"objectgoal": goal} | super().observe(scenes, state)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns those of `GoalNavigation`, and `category`, the id of the category."""
        return super().measures(scenes, state) | {"category": state.task["category"].float()}

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Keeps the starts and give each a category; those that already have one are returned unchanged."""
        return scenes, assign_categories(
            episodes, scenes, self.categories, self.min_distance, self.max_distance, self.max_floor_gap
        )


@dataclass(frozen=True)
class LevelObjectNav(ObjectNav):
    """ObjectNav without looking up and down."""

    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right")


def check_categories(wanted: Sequence[str], categories: Sequence[str], has: Callable[[str], bool]) -> None:
    """Raises `OptionError` if no scene has one of the `wanted` categories, or, where none is named, any at all."""
    missing = [name for name in wanted if not has(name)]
    if missing:
        there = ", ".join(name for name in categories if has(name)) or "none"
        raise OptionError(f"categories: no scene has {', '.join(map(repr, missing))}; the scenes have {there}.")
    if not wanted and not any(has(name) for name in categories):
        raise OptionError(
            "The scenes have no objects that can be goals. Use generated homes, or files whose parts have names such "
            "as 'chair' and that can be seen from walkable floor within a metre."
        )


def wanted_categories(objects: ResidentObjects, names: Sequence[str]) -> Tensor:
    """Returns which of all categories are in `names`, bool `[categories]`; all if it is empty."""
    chosen = [not names or name in names for name in objects.categories]
    key = tuple(chosen)
    if key not in objects.masks:
        objects.masks[key] = torch.tensor(chosen, device=objects.category_goal.device)
    return objects.masks[key]


def draw_category(
    objects: ResidentObjects, start_mask: Tensor, wanted: Tensor, category_draw: Tensor, scene_draw: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns a category and a scene (int64 `[N]`): categories are equally likely, and scenes that have the category.

    Args:
        objects: The objects of the resident scenes.
        start_mask: bool `[K]`, the scenes in which episodes may start.
        wanted: bool `[categories]`.
        category_draw: Uniform numbers in [0, 1), `[N]`.
        scene_draw: As `category_draw`.
    """
    has = (objects.category_goal >= 0) & start_mask.unsqueeze(-1) & wanted
    category = _draw_from(has.any(0).expand(len(category_draw), -1), category_draw)
    return category, _draw_from(has.t()[category], scene_draw)


def _draw_from(mask: Tensor, draw: Tensor) -> Tensor:
    """Returns one of the columns (int64 `[N]`) that are set in each row of `mask` `[N, M]`; 0 if none is."""
    count = mask.cumsum(-1)
    target = (draw * count[:, -1]).floor().clamp(max=(count[:, -1] - 1).clamp(min=0)).unsqueeze(-1)
    return (count <= target).sum(-1).clamp(max=mask.shape[-1] - 1)
