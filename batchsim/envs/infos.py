"""The `info` of a vector step, with the keys and masks of Gymnasium's `SyncVectorEnv`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim.simulation.transition import StepResult


def step_values(result: StepResult) -> dict[str, Tensor]:
    """Returns what each environment reports about its step: the measures, and where the action led."""
    return result.measures | {"position": result.position, "heading": result.heading}


def torch_info(result: StepResult, mode: AutoresetMode, acted: Tensor) -> dict[str, Any]:
    """Returns the info as whole batches of tensors: rows that a mask excludes hold the values before the reset.

    Args:
        result: The result of the step.
        mode: The autoreset mode.
        acted: bool `[N]`, environments that did not start an episode instead of acting.
    """
    values = step_values(result)
    labels = _with_mask(result.expert, torch.ones_like(acted)) if result.expert else {}
    if mode != AutoresetMode.SAME_STEP:
        return _with_mask(values, acted) | labels
    return (
        _with_mask(values, ~result.done)
        | labels
        | {
            "final_obs": result.final_observation,
            "_final_obs": result.done,
            "final_info": _with_mask(values, result.done),
            "_final_info": result.done,
        }
    )


def numpy_info(result: StepResult, mode: AutoresetMode, acted: Tensor) -> dict[str, Any]:
    """Returns the info exactly as `SyncVectorEnv` does; see `torch_info` for the arguments.

    Excluded rows are 0, keys without any row are left out, and `final_obs` is an object array of single observations.
    """
    values = {name: value.cpu().numpy() for name, value in step_values(result).items()}
    labels = expert_info(result.expert)
    if mode != AutoresetMode.SAME_STEP:
        return _masked(values, acted.cpu().numpy()) | labels
    done = result.done.cpu().numpy()
    info: dict[str, Any] = _masked(values, ~done) | labels
    if done.any():
        info |= {
            "final_obs": _rows(result.final_observation, done),
            "_final_obs": done.copy(),
            "final_info": _masked(values, done),
            "_final_info": done.copy(),
        }
    return info


def expert_info(labels: dict[str, Tensor]) -> dict[str, Any]:
    """Returns the expert's `labels` as copies in numpy, with masks that are set everywhere."""
    info: dict[str, Any] = {}
    for name, value in labels.items():
        info[name] = value.cpu().numpy().copy()
        info[f"_{name}"] = np.ones(len(value), dtype=bool)
    return info


def _with_mask(values: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    return values | {f"_{name}": mask for name in values}


def _masked(values: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """Returns copies of `values` with zeros outside `mask`, and the masks; empty if `mask` has no row."""
    if not mask.any():
        return {}
    info = {}
    for name, value in values.items():
        info[name] = np.where(mask.reshape(-1, *[1] * (value.ndim - 1)), value, value.dtype.type(0))
        info[f"_{name}"] = mask.copy()
    return info


def _rows(observation: dict[str, Tensor], mask: np.ndarray) -> np.ndarray:
    """Returns an object array `[N]` with the single observations of the rows in `mask`, None elsewhere."""
    arrays = {name: value.cpu().numpy() for name, value in observation.items()}
    rows = np.full(len(mask), None, dtype=object)
    for i in np.flatnonzero(mask):
        rows[i] = {name: array[i].copy() for name, array in arrays.items()}
    return rows
