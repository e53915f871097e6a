"""Trains a student, or retrains a network under a constraint, in a run folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.checkpoint import find_checkpoint, load_log_state, load_policy, load_trainer, save_checkpoint
from batchsim.agents.runs.checkpoint_folder import holds_checkpoints
from batchsim.agents.runs.run_lock import locked
from batchsim.agents.runs.run_log import LogState
from batchsim.agents.runs.versions import versions
from batchsim.agents.shrinking.distillation import Constraint, Distillation
from batchsim.agents.training.build import make_envs, speed_up, with_renderer
from batchsim.agents.training.training_run import TrainingRun, share_done
from batchsim.scenes.atomic_files import atomic_write

MakeConstraint = Callable[[Policy], Constraint]


class Stopped(Exception):
    """The signal number `signal` ended training early; the folder holds a checkpoint to continue from."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def retrain(
    folder: Path, config: TrainConfig, start: Policy, teacher: Policy, constraint: MakeConstraint | None = None
) -> Policy:
    """Trains a copy of `start` to act as `teacher`; continues if `folder` holds a part of this training.

    Args:
        folder: The run folder, which is created if needed.
        config: The environments, the learning rate and the budget.
        start: The network to start from.
        teacher: The network to imitate.
        constraint: Makes the constraint on the weights.

    Returns:
        The trained network, whose weights satisfy the constraint.

    Raises:
        Stopped: If a signal asked to stop.
    """
    with locked(folder):
        resumed = holds_checkpoints(folder / "checkpoint")
        envs = make_envs(config, config.scenes)
        config = with_renderer(config, envs[0])
        policy = _copy(start, config, envs[0].device)
        limited = constraint(policy) if constraint else None
        learner = Distillation(policy, _copy(teacher, config, envs[0].device), config.ppo, lambda: done(), limited)
        trainer = Trainer(envs, policy, config.ppo, config.rollout_steps, config.seed, learner=learner)

        def done() -> float:
            return share_done(trainer, config)

        log_state = _continue(folder, trainer) if resumed else None
        if not resumed:
            atomic_write(folder / "config.json", json.dumps(config.to_json() | {"versions": versions()}, indent=2))
        try:
            signal = TrainingRun(trainer, config, folder, log_state).run()
            if signal is None and limited:
                limited.tighten(1.0)
                save_checkpoint(folder, trainer, load_log_state(find_checkpoint(folder)))
        finally:
            trainer.close()
    if signal is not None:
        raise Stopped(signal)
    return load_policy(folder)


def _continue(folder: Path, trainer: Trainer) -> LogState:
    checkpoint = find_checkpoint(folder)
    load_trainer(checkpoint, trainer)
    trainer.begin_episodes()  # the teacher's memory of the unfinished episodes is not saved
    return load_log_state(checkpoint)


def _copy(policy: Policy, config: TrainConfig, device: torch.device) -> Policy:
    with torch.random.fork_rng(devices=[]):
        twin = Policy(policy.config)
    twin.load_state_dict(policy.state_dict())
    twin.to(device)
    speed_up(twin, config)
    return twin
