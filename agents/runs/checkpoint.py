"""Checkpoints: weights, optimiser and environments as safetensors, counters as JSON, in a folder swapped in as a whole.

`environments-R.safetensors` is rank R's. A run that goes on with other environments or ranks begins new episodes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from batchsim import OptionError
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.ppo.trainer import Progress, Trainer
from batchsim.scenes.errors import first_line
from batchsim.scenes.user_files import read_json

_WEIGHTS, _NETWORK, _OPTIMIZER, _COUNTERS = "policy.safetensors", "policy.json", "optimizer.safetensors", "trainer.json"


class CheckpointError(AgentError):
    """A checkpoint that could not be written; the one before it is as it was."""


def save_checkpoint(folder: Path, trainer: Trainer) -> None:
    """Write `trainer` to `folder`; called by all ranks, of which the first writes.

    A crash at any moment leaves the old or the new checkpoint whole. Raises `CheckpointError` where the disk is full or
    the folder cannot be written.
    """
    environments = trainer.ranks.gather({name: value.cpu() for name, value in trainer.state_dict().items()})
    if environments is not None:
        write_checkpoint(folder, trainer, environments)


def write_checkpoint(folder: Path, trainer: Trainer, environments: list[Mapping[str, torch.Tensor]]) -> None:
    """The same, by one rank alone, with what it has of the ranks' `environments`."""
    new = folder.with_name(folder.name + ".new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        save_file(trainer.policy.state_dict(), new / _WEIGHTS)
        save_file(_optimizer_tensors(trainer), new / _OPTIMIZER)
        for rank, tensors in enumerate(environments):
            save_file(tensors, new / _environments(rank))
        (new / _NETWORK).write_text(json.dumps(asdict(trainer.policy.config)), encoding="utf-8")
        (new / _COUNTERS).write_text(json.dumps(_counters(trainer)), encoding="utf-8")
        for path in (*new.iterdir(), new):
            _flush(path)
        _swap_in(new, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise CheckpointError(
            f"The checkpoint in {folder} could not be written: {first_line(error)}. The one before is kept, if there "
            "is one; make room on the disk, or see who may write there."
        ) from None


def _swap_in(new: Path, folder: Path) -> None:
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the disk hold what was written, so that not even a power cut leaves a renamed folder of empty files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_checkpoint(run: Path) -> Path:
    """The run's checkpoint folder; raises `AgentError` where there is none."""
    # A crash between the two renames of `save_checkpoint` leaves only the ones beside it, both whole.
    for name in ("checkpoint", "checkpoint.new", "checkpoint.old"):
        if (run / name / _COUNTERS).exists():
            return run / name
    raise AgentError(f"{run} holds no checkpoint; train there first: batchsim-train --out {run}")


def load_policy(folder: Path) -> Policy:
    """The policy of a checkpoint; raises `AgentError` if the files are damaged or do not fit each other."""
    try:
        config = read_json(folder / _NETWORK, PolicyConfig, "the network of a checkpoint", AgentError)
        policy = Policy(config)
        policy.load_state_dict(load_file(folder / _WEIGHTS))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise AgentError(f"{folder} cannot be read as a checkpoint: {error}") from None
    except RuntimeError as error:
        raise AgentError(f"{folder}: the weights do not fit the network of {_NETWORK}: {first_line(error)}") from None
    return policy.eval()


def load_trainer(folder: Path, trainer: Trainer) -> str | None:
    """Put a checkpoint into `trainer`, whose policy must have the same shape; called by all ranks.

    Returns None where training goes on exactly where it was. Where there are now other environments or ranks, new
    episodes are episode_start, and the reason is returned. Raises `AgentError` for a checkpoint that cannot be used.
    """
    saved = load_policy(folder)
    if saved.config != trainer.policy.config:
        raise AgentError(
            f"{folder} holds a policy of another shape ({saved.config}); this run's is {trainer.policy.config}. "
            "Use the options it was trained with, or another --out."
        )
    trainer.policy.load_state_dict(saved.state_dict())
    try:
        _restore_optimizer(trainer, load_file(folder / _OPTIMIZER))
        counters = json.loads((folder / _COUNTERS).read_text(encoding="utf-8"))
        trainer.progress = Progress(**{f.name: counters[f.name] for f in fields(Progress)})
        return _restore_environments(folder, trainer, counters["ranks"])
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise AgentError(f"{folder} cannot be read as a checkpoint: {error}") from None


def _restore_environments(folder: Path, trainer: Trainer, saved_ranks: int) -> str | None:
    """Go on with the saved episodes if all ranks can, else begin new ones and return why."""
    ranks, reason = trainer.ranks, ""
    path = folder / _environments(ranks.rank)
    if saved_ranks != ranks.size:
        reason = f"the checkpoint is of {saved_ranks} ranks, and this run has {ranks.size}"
    elif not path.exists():
        reason = f"{path} is missing"
    else:
        try:
            trainer.load_state_dict(load_file(path))
        except OptionError as error:
            reason = str(error)
    # One rank that begins anew makes all do so, lest the same run differ by who was unlucky.
    (unable,) = ranks.any(bool(reason))
    if not unable:
        return None
    trainer.begin_episodes()
    return reason or "another rank cannot go on with its own"


def _counters(trainer: Trainer) -> dict[str, object]:
    return asdict(trainer.progress) | {"ranks": trainer.ranks.size, "seed": trainer.seed}


def _environments(rank: int) -> str:
    return f"environments-{rank}.safetensors"


def _optimizer_tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """What the optimiser keeps of each parameter, as `KEY/PARAMETER`."""
    tensors = {}
    for name, parameter in trainer.policy.named_parameters():
        for key, value in trainer.ppo.optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().clone()
    return tensors


def _restore_optimizer(trainer: Trainer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Through the optimiser's own `load_state_dict`, which knows what belongs on which device."""
    optimizer = trainer.ppo.optimizer
    numbers = {parameter: i for i, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"])}
    parameters = dict(trainer.policy.named_parameters())
    state: dict[int, dict[str, torch.Tensor]] = {}
    for full, value in tensors.items():
        key, name = full.split("/", 1)
        state.setdefault(numbers[parameters[name]], {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
