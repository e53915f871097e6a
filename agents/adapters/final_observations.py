"""What the info of a SAME_STEP step says of the episodes that ended."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_POSE = ("position", "heading")


def next_observations(observation: dict[str, Tensor], info: dict[str, Any]) -> dict[str, Tensor]:
    """Returns what the actions led to: the last observation of an episode that ended, not the first of the next one.

    On a CPU, nothing is copied if no episode ended. On CUDA the host does not wait for the device.
    """
    done = info["_final_obs"]
    if done.device.type == "cpu" and not done.any():
        return observation
    last = info["final_obs"]
    return {
        name: torch.where(done.reshape(-1, *[1] * (value.dim() - 1)), last[name], value)
        for name, value in observation.items()
    }


def final_measures(info: dict[str, Any]) -> dict[str, Tensor]:
    """Returns the measures of all environments; valid where `info["_final_info"]` is true."""
    return {name: value for name, value in info["final_info"].items() if not name.startswith("_")}


def mean_measures(info: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """Returns the means of the measures over the episodes that ended, 0-dimensional; empty if none did.

    The host waits for the device.
    """
    done = info["_final_info"]
    if not done.any():
        return {}
    measures = final_measures(info)
    return {f"{prefix}{name}": value[done].float().mean() for name, value in measures.items() if name not in _POSE}
