"""Which backend is faster here: both are timed on views of the scenes they will draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from batchsim import poses as pose
from batchsim.scenes import Scene

_EYE_HEIGHT = 1.25  # metres above the floor
_BUDGET = 0.6  # seconds for all draws that are timed
_FEWEST = 16  # views
_MOST_ROUNDS = 25  # in which all views are drawn: on a shared machine single ones may be slowed by half
_CLEAR = 4.0  # times: with so much between two backends, few views are enough to tell
_SCENES, _TRIANGLES = 6, 400_000  # at most so many are looked at, if it is more than one scene


def typical_scenes(scenes: Sequence[Scene]) -> list[Scene]:
    """At most six, spread evenly over their sizes, and fewer where they are large: enough to time, soon uploaded."""
    by_size = sorted(scenes, key=lambda scene: len(scene.triangles))
    count = min(_SCENES, len(scenes))
    while True:
        steps = (np.arange(count) + 0.5) * len(scenes) / count
        chosen = [by_size[int(step)] for step in steps]
        if count == 1 or sum(len(scene.triangles) for scene in chosen) <= _TRIANGLES:
            return chosen
        count -= 1


def sample_views(scenes: Sequence[Scene], count: int) -> tuple[Tensor, Tensor]:
    """Poses `[count, 7]` at eye height and scene numbers, the same at every start."""
    rng = np.random.default_rng(0)
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
    """Seconds a view that each of `draws` takes, called with a number of views and returning when they are drawn.

    The number grows to `num_views` as far as there is time for it; the two take turns, so that whatever else the
    machine does slows both, and the best of their times counts.
    """
    for draw in draws.values():
        draw(1)  # compiles
    deadline = time.perf_counter() + _BUDGET
    count = min(_FEWEST, num_views)
    while True:
        best = dict.fromkeys(draws, float("inf"))
        rounds = 0
        while rounds < 2 or (count == num_views and rounds < _MOST_ROUNDS and time.perf_counter() < deadline):
            for name, draw in draws.items():
                start = time.perf_counter()
                draw(count)
                best[name] = min(best[name], time.perf_counter() - start)
            rounds += 1
        left = deadline - time.perf_counter()
        larger = min(num_views, 4 * count)
        needed = 2 * sum(best.values()) * larger / count
        clear = max(best.values()) > _CLEAR * min(best.values()) and max(best.values()) > 0.01
        if count == num_views or needed > left or clear:
            return {name: seconds / count for name, seconds in best.items()}
        count = larger
