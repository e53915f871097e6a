"""Velocity control, as Habitat-Lab's `VelocityAction`: speeds in [-1, 1], held for a time step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from batchsim.control.command import Command
from batchsim.errors import ActionError, OptionError
from batchsim.option_checks import real_number

FINAL_ACTIONS = ("stop", "found")
"""Actions of tasks that standing still means."""


@dataclass(frozen=True)
class VelocityOptions:
    """Parameters of velocity control; defaults of Habitat-Lab's `VelocityControlActionConfig`.

    Args:
        lin_vel_range: Speeds ahead that -1 and 1 mean, metres a second.
        ang_vel_range: Speeds of turning to the left that -1 and 1 mean, degrees a second; of tilting too.
        min_abs_lin_speed: Metres a second; a slower agent that hardly turns stops.
        min_abs_ang_speed: Degrees a second.
        time_step: Seconds that an action lasts.

    Raises:
        OptionError: If a value is out of range.
    """

    lin_vel_range: tuple[float, float] = (0.0, 0.25)
    ang_vel_range: tuple[float, float] = (-10.0, 10.0)
    min_abs_lin_speed: float = 0.025
    min_abs_ang_speed: float = 1.0
    time_step: float = 1.0

    def __post_init__(self) -> None:
        real_number("min_abs_lin_speed", self.min_abs_lin_speed, 0, 100, "metres a second")
        real_number("min_abs_ang_speed", self.min_abs_ang_speed, 0, 1000, "degrees a second")
        real_number("time_step", self.time_step, 1e-3, 60, "seconds")
        for name, limit in (("lin_vel_range", 10.0), ("ang_vel_range", 360.0)):
            bounds = getattr(self, name)
            is_pair = isinstance(bounds, Sequence) and not isinstance(bounds, str) and len(bounds) == 2
            if not is_pair or not real_number(name, bounds[0], -limit, limit) < real_number(
                name, bounds[1], -limit, limit
            ):
                raise OptionError(f"{name}={bounds!r}: expected two numbers, the lower one first.")
            object.__setattr__(self, name, (float(bounds[0]), float(bounds[1])))


def read_velocity_options(given: VelocityOptions | Mapping[str, Any] | None) -> VelocityOptions:
    """Returns the options that a user gives; None: the defaults.

    Raises:
        OptionError: If a name or a value is invalid.
    """
    if given is None or isinstance(given, VelocityOptions):
        return given or VelocityOptions()
    names = [item.name for item in fields(VelocityOptions)]
    if not isinstance(given, Mapping) or set(given) - set(names):
        raise OptionError(f"velocity={given!r}: expected a mapping of some of {', '.join(names)}.")
    return VelocityOptions(**given)


class VelocityControl:
    """Actions are speeds `[N, 2]` ahead and of turning to the left, and `[N, 3]` of tilting for tasks with "look_up".

    The agent drives along its heading at the start of the step and turns then, which is how Habitat integrates a rigid
    motion. Values outside [-1, 1] are clipped. Both speeds below their minima mean the task's "stop" or "found".

    Args:
        names: Names of the task's discrete actions.
        options: Ranges and minima.
        device: Where the tensors are.
    """

    def __init__(self, names: Sequence[str], options: VelocityOptions, device: torch.device) -> None:
        self.options = options
        self.farthest = max(map(abs, options.lin_vel_range)) * options.time_step
        self._device = device
        self._tilts = "look_up" in names
        final = [name for name in FINAL_ACTIONS if name in names]
        self._final = names.index(final[0]) if final else -1

    @property
    def size(self) -> int:
        """Numbers of an action."""
        return 3 if self._tilts else 2

    @property
    def action_space(self) -> gym.Space:
        """The space of one agent's actions."""
        return gym.spaces.Box(-1.0, 1.0, (self.size,), np.float32)

    def read(self, actions: Any, num_envs: int) -> Tensor:
        """Returns actions as float32 `[N, size]`.

        Raises:
            ActionError: If the shape or dtype is wrong, or, on a CPU, a value is NaN or infinite. The values of a CUDA
                tensor are not checked, because the host would have to wait; NaN counts as 0 there.
        """
        shape = (num_envs, self.size)
        expected = f"actions: expected finite real numbers of shape {shape}"
        try:
            tensor = torch.as_tensor(actions)
        except (TypeError, ValueError, RuntimeError):
            raise ActionError(f"{expected}; got {type(actions).__name__}.") from None
        if tuple(tensor.shape) != shape or tensor.dtype == torch.bool or tensor.is_complex():
            raise ActionError(f"{expected}; got {str(tensor.dtype)[6:]} of shape {tuple(tensor.shape)}.")
        tensor = tensor.float()
        if tensor.device.type == "cpu" and not tensor.isfinite().all():
            row = int((~tensor.isfinite()).any(1).nonzero()[0])
            raise ActionError(f"{expected}; got {tensor[row].tolist()} for environment {row}.")
        return tensor.to(self._device)

    def __call__(self, action: Tensor) -> Command:
        """Scales the speeds."""
        action = action.nan_to_num(0.0).clamp(-1.0, 1.0)
        options = self.options
        linear = _scaled(action[:, 0], options.lin_vel_range)
        angular = _scaled(action[:, 1], options.ang_vel_range)
        tilting = _scaled(action[:, 2], options.ang_vel_range) if self._tilts else torch.zeros_like(linear)
        still = (linear.abs() < options.min_abs_lin_speed) & (angular.abs() < options.min_abs_ang_speed)
        still = still & (tilting.abs() < options.min_abs_ang_speed)
        moves = (~still).float() * options.time_step
        return Command(
            torch.where(still, self._final, -1),
            linear * moves,
            angular * moves * (math.pi / 180),
            tilting * moves * (math.pi / 180),
        )


def _scaled(value: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Maps [-1, 1] to `bounds`."""
    low, high = bounds
    return low + (value + 1) / 2 * (high - low)
