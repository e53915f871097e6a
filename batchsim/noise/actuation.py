"""Noise of motion: a LoCoBot's, as measured by PyRobot and used in Habitat's PointNav challenges of 2020 and 2021.

Murali et al., "PyRobot: An Open-source Robotics Framework for Research and Benchmarking" (2019); parameters as
published in habitat-sim's `pyrobot_noisy_controls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from batchsim.noise.normal import draw_uniform, step_counter, truncated_normal
from batchsim.option_checks import one_of, real_number

LEAST_SHARE = 0.05
"""An action is carried out by more than this share of what was wanted."""
TRUNCATION = 3.0
"""Deviations from the mean at which noise ends."""

_PURPOSE = 1


class _Motion(NamedTuple):
    """Means and variances: along the way and across it (metres), and of the heading (radians)."""

    mean: tuple[float, float, float]
    variance: tuple[float, float, float]


class _Model(NamedTuple):
    """Noise of a step forward, and of a turn."""

    forward: _Motion
    turn: _Motion


_MODELS = {
    ("LoCoBot", "ILQR"): _Model(
        _Motion((0.014, 0.009, 0.008), (0.006, 0.005, 0.004)), _Motion((0.003, 0.003, 0.023), (0.002, 0.003, 0.012))
    ),
    ("LoCoBot", "Proportional"): _Model(
        _Motion((0.017, 0.042, 0.031), (0.007, 0.023, 0.026)), _Motion((0.001, 0.005, 0.043), (0.001, 0.004, 0.017))
    ),
    ("LoCoBot", "Movebase"): _Model(
        _Motion((0.074, 0.036, 0.189), (0.019, 0.033, 0.038)), _Motion((0.002, 0.003, 0.219), (0.0, 0.002, 0.019))
    ),
    ("LoCoBot-Lite", "ILQR"): _Model(
        _Motion((0.142, 0.023, 0.031), (0.008, 0.008, 0.028)), _Motion((0.002, 0.002, 0.122), (0.001, 0.002, 0.03))
    ),
    ("LoCoBot-Lite", "Proportional"): _Model(
        _Motion((0.135, 0.043, 0.049), (0.007, 0.009, 0.009)), _Motion((0.002, 0.002, 0.054), (0.002, 0.001, 0.061))
    ),
    ("LoCoBot-Lite", "Movebase"): _Model(
        _Motion((0.192, 0.117, 0.128), (0.055, 0.144, 0.143)), _Motion((0.002, 0.001, 0.173), (0.001, 0.001, 0.025))
    ),
}
ROBOTS = ("LoCoBot", "LoCoBot-Lite")
CONTROLLERS = ("ILQR", "Proportional", "Movebase")


@dataclass(frozen=True)
class ActuationNoise:
    """Noise added to steps forward and turns: gaussian, truncated to three deviations.

    A step or turn is never made smaller than 5% of what was wanted. Where an agent drives and turns at once (velocity
    control), both kinds of noise are added.

    Args:
        robot: "LoCoBot" or "LoCoBot-Lite".
        controller: "ILQR", "Proportional" or "Movebase".
        multiplier: What all noise is multiplied by; 0.5 in the challenges.
    """

    robot: str = "LoCoBot"
    controller: str = "ILQR"
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        one_of("robot", self.robot, ROBOTS)
        one_of("controller", self.controller, CONTROLLERS)
        real_number("multiplier", self.multiplier, 0, 10)

    @property
    def model(self) -> _Model:
        """The means and variances."""
        return _MODELS[self.robot, self.controller]

    @property
    def farthest(self) -> float:
        """Metres by which noise can lengthen a step at most."""
        reach = [
            abs(mean) + TRUNCATION * variance**0.5
            for motion in self.model
            for mean, variance in zip(motion.mean[:2], motion.variance[:2], strict=True)
        ]
        return self.multiplier * sum(reach)

    def disturb(
        self, seed: Tensor, episode: Tensor, step: Tensor, walk: Tensor, turn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns metres ahead, metres to the right and radians to the left that are really moved, `[N]` each.

        Args:
            seed: int64 `[N]`, each environment's stream.
            episode: int64 `[N]`; `step` int64 `[N]`: where in the stream.
            step: See `episode`.
            walk: Metres ahead that are wanted.
            turn: Radians to the left that are wanted.
        """
        draws = draw_uniform(seed, step_counter(episode, step), _PURPOSE, 6)
        ahead, across, twist = (torch.zeros_like(walk) for _ in range(3))
        for k, (motion, amount) in enumerate(zip(self.model, (walk, turn), strict=True)):
            moves, sign = amount != 0, amount.sign()
            # What is wanted itself: the noise along it is bounded from below.
            least = -(1 - LEAST_SHARE) * amount.abs() / max(self.multiplier, 1e-9)
            wanted = 0 if k == 0 else 2
            parts = []
            for axis in range(3):
                mean, deviation = motion.mean[axis], motion.variance[axis] ** 0.5
                low: Tensor | float = -TRUNCATION
                if axis == wanted and deviation > 0:
                    low = ((least - mean) / deviation).clamp(-TRUNCATION, TRUNCATION)
                part = mean + deviation * truncated_normal(draws[:, 3 * k + axis], low, TRUNCATION)
                parts.append(torch.where(moves, self.multiplier * part * sign, 0.0))
            ahead, across, twist = ahead + parts[0], across + parts[1], twist + parts[2]
        return walk + ahead, across, turn + twist
