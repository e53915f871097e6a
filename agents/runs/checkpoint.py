"""Checkpoints: weights, optimiser and environments as safetensors, counters and the log's state as JSON.

`environments-R.safetensors` is rank R's. A run that continues with other environments or ranks begins new episodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from batchsim import OptionError
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig, require_finite
from batchsim.agents.ppo.trainer import Progress, Trainer
from batchsim.agents.runs.checkpoint_folder import newest_whole, write_checkpoint_folder
from batchsim.agents.runs.run_log import LogState
from batchsim.scenes.errors import first_line
from batchsim.scenes.user_files import read_json, reading

_WEIGHTS, _NETWORK, _OPTIMIZER, _COUNTERS = "policy.safetensors", "policy.json", "optimizer.safetensors", "trainer.json"
_FOLDER = "checkpoint"
_ATTEMPTS = 5


class CheckpointError(AgentError):
    """A checkpoint that could not be written; the one before it is unchanged."""


class _Counters(msgspec.Struct, frozen=True):
    """What trainer.json holds."""

    frames: Annotated[int, msgspec.Meta(ge=0)]
    updates: Annotated[int, msgspec.Meta(ge=0)]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    ranks: Annotated[int, msgspec.Meta(ge=1)]
    seed: int
    log: LogState


def save_checkpoint(run: Path, trainer: Trainer, log: LogState | None = None) -> None:
    """Saves a checkpoint in the run folder `run`. All ranks call it, and the first writes.

    Wherever the program is killed meanwhile, the old or the new checkpoint is left whole.

    Args:
        run: The run folder.
        trainer: The trainer.
        log: The state of the run's log.

    Raises:
        CheckpointError: If the disk is full, or the folder cannot be written.
    """
    environments = trainer.ranks.gather({name: value.cpu() for name, value in trainer.state_dict().items()})
    if environments is not None:
        write_checkpoint(run, trainer, environments, log)


def write_checkpoint(
    run: Path, trainer: Trainer, environments: Sequence[Mapping[str, Tensor]], log: LogState | None = None
) -> None:
    """Saves a checkpoint as `save_checkpoint` does, from one rank alone and with the given ranks' `environments`."""
    counters = _Counters(**asdict(trainer.progress), ranks=trainer.ranks.size, seed=trainer.seed, log=log or LogState())

    def fill(folder: Path) -> None:
        _write_policy(folder, trainer.policy)
        save_file(_optimizer_tensors(trainer), folder / _OPTIMIZER)
        for rank, tensors in enumerate(environments):
            save_file(dict(tensors), folder / _environments(rank))
        (folder / _COUNTERS).write_text(json.dumps(msgspec.to_builtins(counters)), encoding="utf-8")

    _write(run, fill)


def save_policy(run: Path, policy: Policy) -> None:
    """Saves a checkpoint that holds `policy` alone, which can act but not continue training.

    Raises:
        CheckpointError: If the disk is full, or the folder cannot be written.
    """
    _write(run, lambda folder: _write_policy(folder, policy))


def _write_policy(folder: Path, policy: Policy) -> None:
    save_file(policy.state_dict(), folder / _WEIGHTS)
    (folder / _NETWORK).write_text(json.dumps(asdict(policy.config)), encoding="utf-8")


def _write(run: Path, fill: Callable[[Path], None]) -> None:
    try:
        write_checkpoint_folder(run / _FOLDER, fill)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint in {run / _FOLDER} could not be written: {first_line(error)}. An earlier one is kept. "
            "Free some space, or check the folder's permissions."
        ) from error


def find_checkpoint(run: Path) -> Path:
    """Returns the folder of the run's newest whole checkpoint; raises `AgentError` if there is none."""
    if folder := newest_whole(run / _FOLDER):
        return folder
    raise AgentError(f"{run} holds no checkpoint; train there first: batchsim-train --out {run}")


def load_policy(folder: Path | str) -> Policy:
    """Returns the trained policy in `folder`, ready to act.

    Args:
        folder: A run folder, its folder `checkpoint`, or one checkpoint in that.

    Raises:
        AgentError: If the files are missing, damaged or do not fit each other, or if a weight is not finite.
    """
    folder = Path(folder)
    for attempt in range(_ATTEMPTS):
        checkpoint = _checkpoint_in(folder)
        try:
            return _load_policy(checkpoint)
        except AgentError:
            # A training process may have replaced the checkpoint by a newer one meanwhile.
            if checkpoint == folder or checkpoint.exists() or attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError


def _checkpoint_in(folder: Path) -> Path:
    if (folder / _NETWORK).exists():
        return folder
    return newest_whole(folder) or find_checkpoint(folder)


def _load_policy(folder: Path) -> Policy:
    config: PolicyConfig = read_json(folder / _NETWORK, PolicyConfig, "the network of a checkpoint", AgentError)
    with reading(folder / _WEIGHTS, "the weights of a policy", AgentError):
        weights = load_file(folder / _WEIGHTS)
    try:
        config.check()
        with torch.device("meta"):
            shapes = {name: value.shape for name, value in Policy(config).state_dict().items()}
    except AgentError as error:
        raise AgentError(f"{folder / _NETWORK}: {error}") from None
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise AgentError(f"{folder}: the weights in {_WEIGHTS} do not fit the network in {_NETWORK}.")
    require_finite(str(folder / _WEIGHTS), weights)
    policy = Policy(config)
    with reading(folder / _WEIGHTS, "the weights of a policy", AgentError):
        policy.load_state_dict(weights)
    return policy.eval()


def load_trainer(folder: Path, trainer: Trainer) -> str | None:
    """Loads a checkpoint into `trainer`, whose policy must have the same architecture. All ranks call it.

    Args:
        folder: The checkpoint, see `find_checkpoint`.
        trainer: The trainer.

    Returns:
        None if training continues exactly where it was. If the environments or ranks have changed, the trainer begins
        new episodes, and the reason is returned.

    Raises:
        AgentError: If the checkpoint cannot be used.
    """
    saved = load_policy(folder)
    if saved.config != trainer.policy.config:
        raise AgentError(
            f"{folder} holds a policy of another shape ({saved.config}); this run's is {trainer.policy.config}. "
            "Use the options it was trained with, or another --out."
        )
    trainer.policy.load_state_dict(saved.state_dict())
    with reading(folder / _OPTIMIZER, "the optimiser of a checkpoint", AgentError):
        _restore_optimizer(trainer, load_file(folder / _OPTIMIZER))
    counters = _read_counters(folder)
    trainer.progress = Progress(counters.frames, counters.updates, counters.seconds)
    return _restore_environments(folder, trainer, counters.ranks)


def load_log_state(folder: Path) -> LogState:
    """Returns the state of the log in a checkpoint."""
    return _read_counters(folder).log


def _read_counters(folder: Path) -> _Counters:
    return read_json(folder / _COUNTERS, _Counters, "the counters of a checkpoint", AgentError)


def _restore_environments(folder: Path, trainer: Trainer, saved_ranks: int) -> str | None:
    """Continues the saved episodes if all ranks can; otherwise begins new ones and returns the reason."""
    ranks, reason = trainer.ranks, ""
    path = folder / _environments(ranks.rank)
    if saved_ranks != ranks.size:
        reason = f"the checkpoint is of {saved_ranks} ranks, and this run has {ranks.size}"
    elif not path.exists():
        reason = f"{path} is missing"
    else:
        try:
            with reading(path, "the environments of a checkpoint", AgentError):
                reason = _continue_episodes(trainer, load_file(path))
        except AgentError as error:
            if ranks.size == 1:
                raise
            reason = str(error)
    # All ranks begin new episodes if one has to, so that the run does not depend on which one it was.
    (unable,) = ranks.any(bool(reason))
    if not unable:
        return None
    trainer.begin_episodes()
    return reason or "another rank cannot continue its episodes"


def _continue_episodes(trainer: Trainer, tensors: Mapping[str, Tensor]) -> str:
    """Loads the environments; returns the reason if they are other ones."""
    try:
        trainer.load_state_dict(tensors)
    except OptionError as error:
        return str(error)
    return ""


def _environments(rank: int) -> str:
    return f"environments-{rank}.safetensors"


def _optimizer_tensors(trainer: Trainer) -> dict[str, Tensor]:
    """What the optimiser keeps of each parameter, as `KEY/PARAMETER`."""
    tensors = {}
    for name, parameter in trainer.policy.named_parameters():
        for key, value in trainer.ppo.optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().clone()
    return tensors


def _restore_optimizer(trainer: Trainer, tensors: Mapping[str, Tensor]) -> None:
    """Loads the tensors by the optimiser's own `load_state_dict`, which moves each to its device."""
    optimizer = trainer.ppo.optimizer
    numbers = {parameter: i for i, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"])}
    parameters = dict(trainer.policy.named_parameters())
    state: dict[int, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        key, name = full.split("/", 1)
        parameter = parameters[name]
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{full} holds values that are not finite numbers")
        if value.shape not in (parameter.shape, torch.Size()):
            raise ValueError(f"{full} has the shape {tuple(value.shape)}, its weights have {tuple(parameter.shape)}")
        state.setdefault(numbers[parameter], {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
