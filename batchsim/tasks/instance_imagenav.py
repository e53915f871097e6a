"""InstanceImageNav: walk to the one object that an image shows and stop where it can be seen.

As in Krantz et al., "Instance-Specific Image Goal Navigation" (2022): the image is taken by a camera of its own; the
object is in view and large enough (`batchsim.scenes.objects.image_goals`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from batchsim import poses
from batchsim.errors import OptionError
from batchsim.random_streams import pick, uniform
from batchsim.render.camera import Camera
from batchsim.scenes import EpisodeSet, Scene
from batchsim.scenes.categories import HM3D_CATEGORIES
from batchsim.scenes.episodes.object_episodes import assign_objects
from batchsim.scenes.objects.image_goals import IMAGE_HFOV
from batchsim.tasks.goal_navigation import CANDIDATES, GoalNavigation, draw_start
from batchsim.tasks.imagenav import episode_draw
from batchsim.tasks.task import draw_heading
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State


@dataclass(frozen=True)
class InstanceImageNav(GoalNavigation):
    """Instance-image-goal navigation; the goal is a single object, shown by `instance_imagegoal`.

    Args:
        success_distance: Walking distance from one of the object's view points within which a stop succeeds, metres.
        image_size: Width and height of the image, pixels; 512 in Habitat.
        image_hfov: Horizontal field of view of the image, degrees, given as `instance_imagegoal_hfov`.
    """

    success_distance: float = 0.1
    image_size: int = 128
    image_hfov: float = IMAGE_HFOV

    uses_objects: ClassVar[bool] = True
    goal_image: ClassVar[str] = "instance_imagegoal"
    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right", "look_up", "look_down")

    @property
    def goal_camera(self) -> Camera:
        """The camera that takes the images."""
        return Camera(self.image_size, self.image_size, self.image_hfov)

    def for_scenes(self, categories: Sequence[str], has: Callable[[str], bool]) -> InstanceImageNav:
        """Returns itself.

        Raises:
            OptionError: If no scene has objects.
        """
        if not any(has(name) for name in categories):
            raise OptionError(
                "The scenes have no objects that images could show. Use generated homes, or files whose parts have "
                f"names such as {', '.join(map(repr, HM3D_CATEGORIES[:3]))}."
            )
        return self

    def observation_spaces(self) -> dict[str, gym.Space]:
        """Returns the spaces of `instance_imagegoal_hfov`, `gps` and `compass`; the simulator adds the image."""
        hfov = {"instance_imagegoal_hfov": gym.spaces.Box(0.0, 360.0, (1,), np.float32)}
        return hfov | super().observation_spaces()

    def sample(self, scenes: ResidentScenes, seed: Tensor, episode: Tensor) -> dict[str, Tensor]:
        """Draws a category, a scene, an object that images show, a start and a heading."""
        draws = uniform(seed, episode, 3 + CANDIDATES)
        objects = scenes.objects
        scene = draw_scene_with_images(scenes, draws[:, 0])
        image = pick(draws[:, 1], objects.image_count[scene]).clamp(min=0)
        number = objects.image_object(scene, image)
        goal = objects.first_object[scene] + number
        position = draw_start(self, scenes, scene, goal, objects.object_floor(scene, number), draws[:, 3:])
        return {"scene": scene, "heading": draw_heading(draws[:, 2]), "goal": goal, "position": position}

    def begin(self, scenes: ResidentScenes, state: State, mask: Tensor, episode: dict[str, Tensor]) -> None:
        """Stores the start pose, the goal, the distance to it and which image shows it."""
        super().begin(scenes, state, mask, episode)
        objects, goal = scenes.objects, state.task["goal"]
        number = goal - objects.first_object[state.scene]
        first, count = objects.images_of(state.scene, number)
        image = episode.get("image", torch.full_like(goal, -1))
        drawn = first + pick(episode_draw(state, goal), count)
        state.keep(mask, image=torch.where(image >= 0, first + image, drawn).clamp(min=0))
        state.keep(mask, category=objects.category_of_goal(state.scene, goal))

    def observe(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns `instance_imagegoal_hfov` (degrees, float32 `[N, 1]`), `gps` and `compass`."""
        hfov = torch.full_like(state.heading, self.image_hfov).unsqueeze(-1)
        return {"instance_imagegoal_hfov": hfov} | super().observe(scenes, state)

    def goal_poses(self, scenes: ResidentScenes, state: State, camera_height: float) -> Tensor:
        """Returns the poses of the cameras that took the images."""
        pose = scenes.objects.image_pose(state.scene, state.task["image"])
        turned = poses.heading_to_quaternion(pose[:, 3])
        return torch.cat((pose[:, :3], poses.tilted(turned, pose[:, 4])), -1)

    def measures(self, scenes: ResidentScenes, state: State) -> dict[str, Tensor]:
        """Returns those of `GoalNavigation`, and `category`, the id of the object's category."""
        return super().measures(scenes, state) | {"category": state.task["category"].float()}

    def prepare(self, scenes: Sequence[Scene], episodes: EpisodeSet) -> tuple[Sequence[Scene], EpisodeSet]:
        """Keeps the starts and gives each an object; those that already have one are returned unchanged."""
        return scenes, assign_objects(episodes, scenes, self.min_distance, self.max_distance, self.max_floor_gap)


@dataclass(frozen=True)
class LevelInstanceImageNav(InstanceImageNav):
    """InstanceImageNav without looking up and down."""

    action_names: ClassVar[tuple[str, ...]] = ("stop", "forward", "left", "right")


def draw_scene_with_images(scenes: ResidentScenes, draw: Tensor) -> Tensor:
    """Maps uniform draws in [0, 1) to scenes (int64) in which images show objects, all equally likely."""
    has = scenes.start_mask & (scenes.objects.image_count > 0)
    count = has.cumsum(0)
    target = (draw * count[-1]).floor().clamp(max=(count[-1] - 1).clamp(min=0))
    return (count <= target.unsqueeze(-1)).sum(-1).clamp(max=len(scenes) - 1)
