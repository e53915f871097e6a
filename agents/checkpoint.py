"""Checkpoints: weights and optimiser as safetensors, counters as JSON, in a folder swapped in as a whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from agents.errors import AgentError
from agents.networks.policy import Policy, config_from_json, config_to_json
from agents.trainer import Progress, Trainer

_WEIGHTS, _NETWORK, _OPTIMIZER, _COUNTERS = "policy.safetensors", "policy.json", "optimizer.safetensors", "trainer.json"


def save_checkpoint(folder: Path, trainer: Trainer) -> None:
    """Write `trainer` to `folder`. A crash at any moment leaves the old or the new checkpoint whole."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    save_file(trainer.policy.state_dict(), new / _WEIGHTS)
    save_file(_optimizer_tensors(trainer), new / _OPTIMIZER)
    (new / _NETWORK).write_text(json.dumps(config_to_json(trainer.policy.config)), encoding="utf-8")
    (new / _COUNTERS).write_text(json.dumps(asdict(trainer.progress)), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


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
        config = config_from_json(json.loads((folder / _NETWORK).read_text(encoding="utf-8")))
        policy = Policy(config)
        policy.load_state_dict(load_file(folder / _WEIGHTS))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise AgentError(f"{folder} cannot be read as a checkpoint: {error}") from None
    except RuntimeError as error:
        raise AgentError(f"{folder}: the weights do not fit the network of {_NETWORK}: {_first_line(error)}") from None
    return policy.eval()


def load_trainer(folder: Path, trainer: Trainer) -> None:
    """Put weights, optimiser and counters of a checkpoint into `trainer`, whose policy must have the same shape."""
    saved = load_policy(folder)
    if saved.config != trainer.policy.config:
        raise AgentError(
            f"{folder} holds a policy of another shape ({saved.config}); this run's is {trainer.policy.config}. "
            "Use the options it was trained with, or another --out."
        )
    trainer.policy.load_state_dict(saved.state_dict())
    try:
        _restore_optimizer(trainer, load_file(folder / _OPTIMIZER))
        trainer.progress = Progress(**json.loads((folder / _COUNTERS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise AgentError(f"{folder} cannot be read as a checkpoint: {error}") from None


def _optimizer_tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Adam's moments by parameter name, and the state of the generator of random numbers."""
    tensors = {"generator": trainer.generator.get_state()}
    state = trainer.ppo.optimizer.state
    for name, parameter in trainer.policy.named_parameters():
        for key, value in state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().clone()
    return tensors


def _restore_optimizer(trainer: Trainer, tensors: dict[str, torch.Tensor]) -> None:
    trainer.generator.set_state(tensors["generator"])
    for name, parameter in trainer.policy.named_parameters():
        keys = ("step", "exp_avg", "exp_avg_sq")
        state = {key: tensors[f"{key}/{name}"] for key in keys}
        # Adam counts its steps on the CPU, wherever the parameters are.
        state |= {key: state[key].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
        trainer.ppo.optimizer.state[parameter] = state


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
