"""MultiObjectNav: find objects of several categories, one after the other, and say so at each.

As in Wani et al., "MultiON: Benchmarking Semantic Map Memory using Multi-Object Navigation" (NeurIPS 2020), where an
agent says "found" within 1.5 m of each goal. There goals are cylinders put into the scene; here they are categories of
its furniture, and "found" counts within 0.5 m of walking from a place at most 1 m from the object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium as gym
import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.option_checks import whole_number
from batchsim.random_streams import uniform
from batchsim.scenes import EpisodeSet, Scene
from batchsim.scenes.categories import CATEGORIES
from batchsim.scenes.episodes.object_episodes import assign_categories
from batchsim.tasks.goal_navigation import CANDIDATES, GoalNavigation, category_space, draw_start, remaining_distance
from batchsim.tasks.objectnav import check_categories, wanted_categories
from batchsim.tasks.pointnav import spl
from batchsim.tasks.task import draw_heading
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_MOST_GOALS = 16


@dataclass(frozen=True)
class MultiObjectNav(GoalNavigation):
    """Multi-object navigation; the current goal is given as `multiobjectgoal`.

    The action "found" within `success_distance` of the current goal leads on to the next one; anywhere else it ends the
    episode. The episode succeeds when all goals have been found.

    Args:
        success_distance: Walking distance from a view point of the current category within which "found" is right.
        success_reward: Reward of each goal that is found.
        num_goals: Goals of an episode, of different categories.
        categories: Names of the categories to draw from; empty: all.
        table: Names of all categories; the position is the id in `multiobjectgoal`. Set by the environment.
    """

    success_distance: float = 0.5
    success_reward: float = 3.0
    slack_reward: float = -0.01
    num_goals: int = 3
    categories: tuple[str, ...] = ()
    table: tuple[str, ...] = CATEGORIES

    uses_objects: ClassVar[bool] = True
    action_names: ClassVar[tuple[str, ...]] = ("found", "forward", "left", "right")
    headline_measures: ClassVar[tuple[str, ...]] = ("success", "progress", "spl", "ppl")

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("num_goals", self.num_goals, 1, _MOST_GOALS, "goals")
        if self.categories and len(set(self.categories)) < self.num_goals:
            raise OptionError(f"categories={self.categories!r}: expected at least num_goals={self.num_goals} of them.")

    def for_scenes(self, categories: Sequence[str], has: Callable[[str], bool]) -> MultiObjectNav:
        """Uses `categories` as the table of ids.

        Raises:
            OptionError: If no scene has a category of this task, or any at all.
        """
        check_categories(self.categories, categories, has)
        return replace(self, table=tuple(categories))

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the spaces of `multiobjectgoal`, `gps` and `compass`."""
        return category_space("multiobjectgoal", len(self.table)) | super().observation_spaces()

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws a scene, its goals in order, a start and a heading."""
        draws = uniform(seed, episode, 2 + CANDIDATES + len(self.table))
        scene = _draw_scene(scenes, self._available(scenes), draws[:, 0])
        goals = self._goals(scenes, scene, draws[:, 2 + CANDIDATES :])
        category = scenes.objects.category_of_goal(scene, goals[:, 0]).clamp(min=0)
        floor = scenes.objects.category_floor[scene, category]
        position = draw_start(self, scenes, scene, goals[:, 0], floor, draws[:, 2 : 2 + CANDIDATES])
        return {"scene": scene, "heading": draw_heading(draws[:, 1]), "goal": goals[:, 0], "position": position}

    def _available(self, scenes: ResidentScenes) -> Tensor:
        """Returns which categories may be drawn in each scene, bool `[K, categories]`."""
        objects = scenes.objects
        return (objects.category_goal >= 0) & wanted_categories(objects, self.categories)

    def _goals(self, scenes: ResidentScenes, scene: Tensor, draws: Tensor) -> Tensor:
        """Returns goals int64 `[N, num_goals]` of different categories in random order; the last may repeat."""
        available = self._available(scenes)[scene]
        order = torch.where(available, draws, -1.0).argsort(dim=-1, descending=True, stable=True)[:, : self.num_goals]
        last = (available.sum(-1, keepdim=True) - 1).clamp(min=0)
        place = torch.arange(order.shape[1], device=order.device).expand_as(order).minimum(last)
        return scenes.objects.category_goal[scene].gather(-1, order.gather(-1, place)).clamp(min=0)

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the start pose, the goals, and the distance to the first."""
        super().begin(scenes, state, mask, episode)
        first = state.task["goal"]
        start_bits = state.position.view(torch.int32).to(torch.int64)
        key = start_bits[:, 0] + (start_bits[:, 2] << 20)
        goals = self._goals(scenes, state.scene, uniform(key, first, len(self.table)))
        # The first goal is the one that was drawn; the others follow from the start, which fixed episodes have too.
        others = torch.where(goals == first.unsqueeze(-1), goals[:, :1], goals)
        goals = torch.cat((first.unsqueeze(-1), others[:, 1:]), -1)
        nothing = torch.zeros_like(state.heading)
        start = state.task["start_distance"]
        state.keep(mask, goals=goals, found=torch.zeros_like(first), shortest=start, shortest_found=nothing)

    def step(self, scenes: ResidentScenes, state: State, action: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distance gained plus `slack_reward`, plus `success_reward` for each goal that is found."""
        task = state.task
        before = task["distance"]
        distance = remaining_distance(scenes, state, task["goal"], before)
        said = action == self.action_names.index("found")
        right = said & (distance < self.success_distance)
        task["found"] = task["found"] + right
        complete = task["found"] >= self.num_goals
        task["success"] = right & complete
        reward = self.slack_reward + before - distance + self.success_reward * right
        task["shortest_found"] = torch.where(right, task["shortest"], task["shortest_found"])
        goal = task["goals"].gather(-1, task["found"].clamp(max=self.num_goals - 1).unsqueeze(-1)).squeeze(-1)
        task["goal"] = torch.where(complete, task["goal"], goal)
        # The next leg counts from here: the shortest way on from where the last goal was found.
        onward = remaining_distance(scenes, state, task["goal"], distance)
        moved_on = right & ~complete
        task["distance"] = torch.where(moved_on, onward, distance)
        task["shortest"] = task["shortest"] + torch.where(moved_on, onward, 0.0)
        return reward, (said & ~right) | task["success"]

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns `multiobjectgoal` int64 `[N, 1]`, the category of the current goal, `gps` and `compass`."""
        category = scenes.objects.category_of_goal(state.scene, state.task["goal"])
        return {"multiobjectgoal": category.clamp(min=0).unsqueeze(-1)} | super().observe(scenes, state)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns success, progress (the share of goals found) and both weighted by path length (SPL and PPL)."""
        task, walked = state.task, state.path_length
        progress = task["found"] / self.num_goals
        return {
            "success": task["success"].float(),
            "progress": progress,
            "spl": spl(task["success"], task["shortest"], walked),
            "ppl": progress * spl(task["found"] > 0, task["shortest_found"], walked),
            "distance_to_goal": task["distance"],
            "start_distance": task["start_distance"],
        }

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Keeps the starts and gives each its first category; the others follow from the start."""
        rules = self.categories, self.min_distance, self.max_distance, self.max_floor_gap
        return scenes, assign_categories(episodes, scenes, *rules)


def _draw_scene(scenes: ResidentScenes, available: Tensor, draw: Tensor) -> Tensor:
    """Returns one of the scenes (int64 `[N]`) in which episodes may start and that have a category."""
    has = scenes.start_mask & available.any(-1)
    count = has.cumsum(0)
    target = (draw * count[-1]).floor().clamp(max=(count[-1] - 1).clamp(min=0))
    return (count <= target.unsqueeze(-1)).sum(-1).clamp(max=len(scenes) - 1)
