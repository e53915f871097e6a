"""Keys of states: equal for states that a search need not tell apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.random_streams import mix


def state_keys(env: NavVectorEnv) -> Tensor:
    """Returns a key of each environment's state, int64 `[N]`.

    States are taken for equal if the scene, the walkable cell (5 cm), the heading and the pitch in whole turns, and all
    whole numbers and flags that the task keeps are equal. Two different ones have the same key once in 10^19 pairs.
    """
    state, options = env.simulator.state, env.simulator.options
    cell = env.simulator.scenes.locate(state.scene, state.position)
    turns = _steps(state.heading, options.turn_angle) % max(1, round(360 / options.turn_angle))
    key = mix(mix(mix(cell) + turns) + _steps(state.pitch, options.tilt_angle))
    for name in sorted(state.task):
        value = state.task[name]
        if not value.is_floating_point():
            flat = value.reshape(len(value), -1).long()
            place = torch.arange(flat.shape[1], device=flat.device)
            key = mix(key + mix(flat * 0x10001 + place).sum(-1))
    return key


def _steps(angle: Tensor, step: float) -> Tensor:
    return (angle / math.radians(step)).round().long()
