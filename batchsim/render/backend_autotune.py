"""Finds the faster backend by timing both on views of the scenes they will draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from batchsim import poses as pose
from batchsim.scenes import Scene

_EYE_HEIGHT = 1.25  # metres above the floor
_BUDGET = 0.6  # seconds for all timed draws
_FEWEST_VIEWS = 16
_MAX_ROUNDS = 25  # of drawing all views: on a shared machine a single one may be slowed down by half
_CLEAR_RATIO = 4.0  # between the two times: from there on few views are enough to decide
_MAX_SCENES, _MAX_TRIANGLES = 6, 400_000  # of the timed scenes, if there are several


def typical_scenes(scenes: Sequence[Scene]) -> list[Scene]:
    """Returns at most six scenes, spread evenly over the sizes, and fewer if they are large, to upload them quickly."""
    by_size = sorted(scenes, key=lambda scene: len(scene.triangles))
    count = min(_MAX_SCENES, len(scenes))
    while True:
        steps = (np.arange(count) + 0.5) * len(scenes) / count
        chosen = [by_size[int(step)] for step in steps]
        if count == 1 or sum(len(scene.triangles) for scene in chosen) <= _MAX_TRIANGLES:
            return chosen
        count -= 1


def sample_views(scenes: Sequence[Scene], count: int, rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Returns random poses `[count, 7]` at eye height on walkable floor, and scene numbers `[count]`.

    All scenes have equally many views. Without `rng`, every call returns the same views.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    scene_index = np.arange(count) % len(scenes)
    feet = np.zeros((count, 3), np.float32)
    for number, scene in enumerate(scenes[:count]):
        standing = scene.walkable.positions
        mine = scene_index == number
        if len(standing):
            feet[mine] = standing[rng.integers(len(standing), size=mine.sum())]
        else:
            feet[mine] = scene.bounds.mean(0)
    heading = torch.as_tensor(rng.uniform(-np.pi, np.pi, count), dtype=torch.float32)
    eyes = torch.as_tensor(feet) + torch.tensor([0.0, _EYE_HEIGHT, 0.0])
    return torch.cat((eyes, pose.heading_to_quaternion(heading)), -1), torch.as_tensor(scene_index)


def seconds_per_view(draws: Mapping[str, Callable[[int], None]], num_views: int) -> dict[str, float]:
    """Times each of `draws` and returns seconds per view.

    The number of views grows up to `num_views` as time allows. The draws alternate, so that other load on the machine
    slows down all of them, and the best time of each counts.

    Args:
        draws: Functions that take a number of views and return when these are drawn.
        num_views: The number of views that matters.
    """
    for draw in draws.values():
        draw(1)  # compiles
    deadline = time.perf_counter() + _BUDGET
    count = min(_FEWEST_VIEWS, num_views)
    while True:
        best = dict.fromkeys(draws, float("inf"))
        rounds = 0
        while rounds < 2 or (count == num_views and rounds < _MAX_ROUNDS and time.perf_counter() < deadline):
            for name, draw in draws.items():
                start = time.perf_counter()
                draw(count)
                best[name] = min(best[name], time.perf_counter() - start)
            rounds += 1
        left = deadline - time.perf_counter()
        larger = min(num_views, 4 * count)
        needed = 2 * sum(best.values()) * larger / count
        slowest, fastest = max(best.values()), min(best.values())
        is_clear = slowest > _CLEAR_RATIO * fastest and slowest > 0.01
        if count == num_views or needed > left or is_clear:
            return {name: seconds / count for name, seconds in best.items()}
        count = larger
