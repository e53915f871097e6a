"""What callers hand to an environment (actions, seeds, masks), checked and made into tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from batchsim.errors import OptionError

_SEED_BOUND = 1 << 63


def read_actions(actions: Any, num_envs: int, names: Sequence[str], device: torch.device) -> Tensor:
    """Actions `[N]` or `[N, 1]`, numpy or torch, as int64 `[N]` on `device`; `names` says what each number is called.

    Raises `OptionError` for others. On a GPU their range is not looked at: the host would have to wait.
    """
    try:
        tensor = torch.as_tensor(actions, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise OptionError(f"actions: expected {num_envs} whole numbers; got {type(actions).__name__}.") from None
    if tensor.numel() != num_envs or tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise OptionError(f"actions: expected {num_envs} whole numbers; got {tuple(tensor.shape)} of {tensor.dtype}.")
    tensor = tensor.long().reshape(-1)
    if tensor.device.type == "cpu" and not 0 <= tensor.min() <= tensor.max() < len(names):
        known = ", ".join(f"{k} {name}" for k, name in enumerate(names))
        raise OptionError(f"actions: expected each to be one of {known}; got {tensor.min()} to {tensor.max()}.")
    return tensor


def read_reset_mask(options: Mapping[str, Any] | None, num_envs: int, device: torch.device) -> Tensor | None:
    """`options["reset_mask"]` as bool `[N]`, None where it is not given; raises `OptionError` for another shape."""
    if not options or "reset_mask" not in options:
        return None
    mask = torch.as_tensor(options["reset_mask"], device=device)
    if mask.shape != (num_envs,) or mask.dtype != torch.bool or not mask.any():
        raise OptionError(
            f"reset_mask: expected a bool array of length {num_envs} with at least one True; got "
            f"{tuple(mask.shape)} of {mask.dtype}."
        )
    return mask


def read_elapsed_steps(
    options: Mapping[str, Any] | None, num_envs: int, limit: int, device: torch.device
) -> Tensor | None:
    """`options["elapsed_steps"]` as int64 `[N]` in [0, `limit`), None where it is not given; else `OptionError`."""
    if not options or "elapsed_steps" not in options:
        return None
    elapsed = torch.as_tensor(options["elapsed_steps"], device=device)
    if (
        elapsed.shape != (num_envs,)
        or elapsed.is_floating_point()
        or not (elapsed >= 0).logical_and(elapsed < limit).all()
    ):
        raise OptionError(
            f"elapsed_steps: expected {num_envs} whole numbers from 0 to below max_episode_steps = {limit}; "
            f"got {tuple(elapsed.shape)} of {elapsed.dtype}."
        )
    return elapsed.long()


def read_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """One seed for each environment: s, s + 1, ... for an int s; None where none is given. `OptionError` for others."""
    if isinstance(seed, (int, np.integer)):
        seed = range(int(seed), int(seed) + num_envs)
    if not (seed is None or isinstance(seed, Iterable)):
        raise OptionError(f"seed={seed!r}: expected one int or {num_envs} of them.")
    seeds = [None] * num_envs if seed is None else list(seed)
    if len(seeds) != num_envs:
        raise OptionError(f"seed: expected one int or {num_envs} of them; got {len(seeds)}.")
    if not all(s is None or -_SEED_BOUND <= int(s) < _SEED_BOUND for s in seeds):
        raise OptionError(f"seed: expected whole numbers of less than 2^63, the last one too; got {seed!r}.")
    return [None if s is None else int(s) for s in seeds]


def with_entropy(seeds: Sequence[int | None]) -> Tensor:
    """int64 `[N]`: `seeds`, and where one is missing a number from the operating system."""
    if None in seeds:
        drawn = np.random.SeedSequence().generate_state(len(seeds), np.uint32).tolist()
        seeds = [number if s is None else s for s, number in zip(seeds, drawn, strict=True)]
    return torch.tensor(seeds, dtype=torch.int64)


def read_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """The mode, or the one of that name; raises `OptionError` for another."""
    if isinstance(mode, AutoresetMode):
        return mode
    names = {m.name.lower(): m for m in AutoresetMode} | {m.value.lower(): m for m in AutoresetMode}
    if str(mode).lower() not in names:
        raise OptionError(f"autoreset_mode={mode!r}: expected {', '.join(m.name for m in AutoresetMode)}.")
    return names[str(mode).lower()]
