"""Checks what callers pass to an environment (actions, seeds, reset options) and converts it to tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim.errors import ActionError, OptionError

RESET_OPTIONS = ("reset_mask", "elapsed_steps")
_SEED_LIMIT = 1 << 63
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def read_actions(actions: Any, num_envs: int, names: Sequence[str], device: torch.device) -> Tensor:
    """Converts actions to int64 `[N]` on `device`.

    Args:
        actions: Integers `[N]` or `[N, 1]`: a list, a numpy array or a tensor.
        num_envs: N.
        names: Names of the actions.
        device: Where to put the result.

    Raises:
        ActionError: If the shape or dtype is wrong, or an action is out of range. The range of a CUDA tensor is not
            checked, because the host would have to wait for the device.
    """
    expected = f"actions: expected {num_envs} integers"
    try:
        tensor = torch.as_tensor(actions)
    except (TypeError, ValueError, RuntimeError):
        raise ActionError(f"{expected}; got {type(actions).__name__}.") from None
    if tensor.shape not in ((num_envs,), (num_envs, 1)) or tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise ActionError(
            f"{expected}, shape ({num_envs},); got {str(tensor.dtype)[6:]} of shape {tuple(tensor.shape)}."
        )
    tensor = tensor.reshape(-1)
    if tensor.device.type == "cpu" and not 0 <= tensor.min() <= tensor.max() < len(names):
        known = ", ".join(f"{k} {name}" for k, name in enumerate(names))
        bad = int(tensor[(tensor < 0) | (tensor >= len(names))][0])
        raise ActionError(f"actions: expected values from 0 to {len(names) - 1} ({known}); got {bad}.")
    return tensor.to(device, torch.int64)


def check_reset_options(options: Mapping[str, Any] | None) -> None:
    """Raises `OptionError` if `options` has an unknown key."""
    unknown = sorted(str(name) for name in options or () if name not in RESET_OPTIONS)
    if unknown:
        raise OptionError(f"reset options {', '.join(unknown)}: expected only {', '.join(RESET_OPTIONS)}.")


def read_reset_mask(options: Mapping[str, Any] | None, num_envs: int, device: torch.device) -> Tensor | None:
    """Returns `options["reset_mask"]` as bool `[N]`, or None if not given; raises `OptionError` if it is invalid."""
    if not options or "reset_mask" not in options:
        return None
    mask = torch.as_tensor(options["reset_mask"], device=device)
    if mask.shape != (num_envs,) or mask.dtype != torch.bool or not mask.any():
        raise OptionError(
            f"reset_mask: expected a bool array of shape ({num_envs},) with at least one True; got "
            f"{str(mask.dtype)[6:]} of shape {tuple(mask.shape)}."
        )
    return mask


def read_elapsed_steps(
    options: Mapping[str, Any] | None, num_envs: int, limit: int, device: torch.device
) -> Tensor | None:
    """Returns `options["elapsed_steps"]` as int64 `[N]`, or None if it is not given.

    Raises:
        OptionError: If the shape or dtype is wrong, or a value is not in [0, `limit`).
    """
    if not options or "elapsed_steps" not in options:
        return None
    elapsed = torch.as_tensor(options["elapsed_steps"], device=device)
    if (
        elapsed.shape != (num_envs,)
        or elapsed.is_floating_point()
        or elapsed.dtype == torch.bool
        or not (elapsed >= 0).logical_and(elapsed < limit).all()
    ):
        raise OptionError(
            f"elapsed_steps: expected {num_envs} integers from 0 to below max_episode_steps = {limit}; "
            f"got {str(elapsed.dtype)[6:]} of shape {tuple(elapsed.shape)}."
        )
    return elapsed.long()


def read_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Returns one seed for each environment, None where none is given.

    Args:
        seed: An int s for the seeds s, s + 1, ...; or one int or None for each environment; or None.
        num_envs: N.

    Raises:
        OptionError: If a seed is not an integer below 2^63 in size, or their number is not N.
    """
    expected = f"seed: expected an integer, or {num_envs} of them"
    if seed is None:
        return [None] * num_envs
    if _is_integer(seed):
        seed = range(int(seed), int(seed) + num_envs)
    if isinstance(seed, (str, bytes)) or not isinstance(seed, Iterable) or getattr(seed, "ndim", 1) == 0:
        raise OptionError(f"{expected}; got {seed!r}.")
    seeds = list(seed)
    if len(seeds) != num_envs:
        raise OptionError(f"{expected}; got {len(seeds)}.")
    for one in seeds:
        if one is not None and not (_is_integer(one) and -_SEED_LIMIT <= int(one) < _SEED_LIMIT):
            raise OptionError(f"{expected}, each less than 2^63; got {one!r}.")
    return [None if one is None else int(one) for one in seeds]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def read_rows(name: str, rows: Any, num_envs: int, device: torch.device, different: bool = False) -> Tensor:
    """Converts numbers of environments to int64 `[M]` on `device`.

    Args:
        name: What the numbers are called in errors.
        rows: An integer, or integers `[M]`: a list, a numpy array or a tensor.
        num_envs: N.
        device: Where to put the result.
        different: Whether a number may occur only once.

    Raises:
        OptionError: If the shape or dtype is wrong, or a number is out of range or repeated. The values of a CUDA
            tensor are not checked, because the host would have to wait for the device.
    """
    expected = f"{name}: expected numbers of environments from 0 to {num_envs - 1}"
    try:
        tensor = torch.as_tensor(rows)
    except (TypeError, ValueError, RuntimeError):
        raise OptionError(f"{expected}; got {type(rows).__name__}.") from None
    if tensor.ndim > 1 or tensor.numel() == 0 or tensor.dtype not in _INTEGERS:
        raise OptionError(f"{expected}, shape (M,); got {str(tensor.dtype)[6:]} of shape {tuple(tensor.shape)}.")
    tensor = tensor.reshape(-1)
    if tensor.device.type == "cpu":
        bad = tensor[(tensor < 0) | (tensor >= num_envs)]
        if len(bad):
            raise OptionError(f"{expected}; got {int(bad[0])}.")
        if different and len(tensor.unique()) < len(tensor):
            raise OptionError(f"{name}: expected different environments; got some of them twice.")
    return tensor.to(device, torch.int64)


def with_entropy(seeds: Sequence[int | None]) -> Tensor:
    """Returns `seeds` as int64 `[N]`, with entropy from the operating system where one is None."""
    drawn = np.random.SeedSequence().generate_state(len(seeds), np.uint32).tolist() if None in seeds else seeds
    filled = [number if one is None else one for one, number in zip(seeds, drawn, strict=True)]
    return torch.tensor(filled, dtype=torch.int64)


def read_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Returns the mode with this name, such as "SAME_STEP" or "SameStep"; raises `OptionError` if there is none."""
    if isinstance(mode, AutoresetMode):
        return mode
    names = {m.name.lower(): m for m in AutoresetMode} | {m.value.lower(): m for m in AutoresetMode}
    if str(mode).lower() not in names:
        raise OptionError(f"autoreset_mode={mode!r}: expected {', '.join(m.name for m in AutoresetMode)}.")
    return names[str(mode).lower()]
