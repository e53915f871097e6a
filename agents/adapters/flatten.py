"""`Flattener`: one row of numbers for each environment, for trainers that do not take dicts of observations."""

from __future__ import annotations

import math
from collections.abc import Mapping

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor


def boxes_of(space: gym.Space) -> dict[str, gym.spaces.Box]:
    """Returns the spaces of the observations in a `Dict` space by name, in its order."""
    spaces = space.items() if isinstance(space, gym.spaces.Dict) else ()
    return {name: box for name, box in spaces if isinstance(box, gym.spaces.Box)}


class Flattener:
    """Joins the observations of a `Dict` space into rows of float32 and takes them apart again.

    Args:
        space: The `Dict` space of one environment's observations, all of them `Box`.

    Attributes:
        space: The `Box` of one row. Values of uint8 images are divided by 255; all others stay as they are.
        shapes: Shapes of the observations by name, in the order of a row.
    """

    def __init__(self, space: gym.Space) -> None:
        boxes = boxes_of(space)
        self.shapes = {name: box.shape for name, box in boxes.items()}
        self._scales = {name: 255.0 if box.dtype == np.uint8 else 1.0 for name, box in boxes.items()}
        bounds = [
            np.concatenate(
                [getattr(box, side).ravel().astype(np.float32) / self._scales[name] for name, box in boxes.items()]
            )
            for side in ("low", "high")
        ]
        self.space = gym.spaces.Box(bounds[0], bounds[1], dtype=np.float32)

    def flatten(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Returns float32 `[N, D]`, one row for each environment."""
        rows = (observation[name].flatten(1) for name in self.shapes)
        scaled = (row if scale == 1.0 else row / scale for row, scale in zip(rows, self._scales.values(), strict=True))
        return torch.cat([row.float() for row in scaled], 1)

    def unflatten(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the observations in `rows`, `[..., D]`, as views `[..., *shape]` by name; images in [0, 1]."""
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = rows.split(sizes, -1)
        return {name: part.unflatten(-1, shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
