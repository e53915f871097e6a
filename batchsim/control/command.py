"""`Command`: what N agents are told to do in one step."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Command(NamedTuple):
    """One step of N agents, tensors of length N. An agent walks along its heading first and then turns.

    Attributes:
        task_action: int64, the action as the task counts them; -1 where it is none of them.
        walk: float32, metres ahead.
        turn: float32, radians to the left.
        tilt: float32, radians by which the camera is tilted up.
    """

    task_action: Tensor
    walk: Tensor
    turn: Tensor
    tilt: Tensor
