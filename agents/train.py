"""`batchsim-train`: train an agent, evaluate it on scenes it has never seen, and write the report.

batchsim-train --preset quickstart --out runs/quickstart
batchsim-train --out runs/quickstart --resume
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from agents.checkpoint import find_checkpoint, load_trainer, save_checkpoint
from agents.command import INTERRUPTED, run_command
from agents.config import TrainConfig, preset
from agents.errors import AgentError
from agents.eval import evaluate_run
from agents.make_policy import make_policy
from agents.run_log import RunLog, TrainingBar
from agents.trainer import Trainer
from batchsim import NavVectorEnv


@dataclass(frozen=True)
class TrainCommand:
    """Train an agent by PPO, evaluate it on scenes it has never seen, and write a report."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    preset: str = "quickstart"
    """Which set of defaults to begin from: quickstart, pointnav-depth, pointnav-rgb."""
    out: Path = Path("runs/quickstart")
    """Folder of the run: config.json, checkpoint/, log.jsonl, tensorboard/, evaluation.json, report.html."""
    resume: bool = False
    """Go on from the checkpoint in the folder, with the options it was begun with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    run_command("batchsim-train", lambda: _main(sys.argv[1:] if arguments is None else list(arguments)))


def _main(arguments: list[str]) -> int:
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--preset", default="quickstart")
    chosen, _ = chooser.parse_known_args(arguments)
    default = TrainCommand(preset(chosen.preset), chosen.preset)
    command = tyro.cli(TrainCommand, default=default, args=arguments, prog="batchsim-train")
    return train(command.config, command.out, command.resume)


def train(config: TrainConfig, out: Path, resume: bool = False) -> int:
    """Train in the folder `out`; returns the exit code. Raises `AgentError` for a run that cannot be begun."""
    if resume:
        checkpoint = find_checkpoint(out)
        config = TrainConfig.load(out / "config.json")
    elif (out / "checkpoint").exists():
        raise AgentError(f"{out} holds a run already: add --resume to go on with it, or choose another --out.")
    config.check()
    trainer = make_trainer(config)
    if resume:
        load_trainer(checkpoint, trainer)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config.to_json(), indent=2), encoding="utf-8")
    finished = _run(trainer, config, out)
    trainer.env.close()
    if not finished:
        print(f"Stopped. Go on with: batchsim-train --out {out} --resume", file=sys.stderr)
        return INTERRUPTED
    if config.eval_scenes:
        report = evaluate_run(out, config.eval_scenes, config.eval_episodes)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    return 0


def make_trainer(config: TrainConfig) -> Trainer:
    """Environments, a fresh policy and their trainer, as the config says."""
    torch.manual_seed(config.seed)
    env = NavVectorEnv(
        config.num_envs,
        config.scenes,
        max_episode_steps=config.max_episode_steps,
        **config.env_options(),
    )
    policy = make_policy(config, env)
    return Trainer(env, policy, config.ppo, config.rollout_steps, config.seed)


def _run(trainer: Trainer, config: TrainConfig, out: Path) -> bool:
    """Train to the end of the budget, or to Ctrl-C (False); a checkpoint is left in both cases."""
    log, bar, stop = RunLog(out), TrainingBar(), _StopOnInterrupt()
    last_checkpoint = time.monotonic()
    try:
        while (share := share_done(trainer, config)) < 1 and not stop.requested:
            rate = config.learning_rate_at(share)
            trainer.ppo.set_learning_rate(rate)
            update = trainer.iteration()
            _check_finite(update, out)
            log.add(update | {"learning_rate": rate})
            bar.update(share_done(trainer, config), log.latest, trainer.progress.frames, update["fps"])
            if time.monotonic() - last_checkpoint > 60 * config.checkpoint_minutes:
                save_checkpoint(out / "checkpoint", trainer)
                last_checkpoint = time.monotonic()
        save_checkpoint(out / "checkpoint", trainer)
    finally:
        stop.restore()
        bar.close()
        log.close()
    return not stop.requested


def share_done(trainer: Trainer, config: TrainConfig) -> float:
    """How much of the budget is used, in [0, 1]: of frames or of minutes, whichever is further."""
    progress = trainer.progress
    return min(1.0, max(progress.frames / config.total_frames, progress.seconds / (60 * config.max_minutes)))


def _check_finite(update: dict[str, float], out: Path) -> None:
    bad = [name for name, value in update.items() if not math.isfinite(value)]
    if bad:
        raise AgentError(
            f"Training broke down: {', '.join(bad)} is not finite after {update['frames']} frames. The last checkpoint "
            f"in {out} is from before; a lower --learning-rate may help."
        )


class _StopOnInterrupt:
    """Ctrl-C asks for a stop after the update under way; a second one ends the program at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def restore(self) -> None:
        """Ctrl-C means what it did before."""
        signal.signal(signal.SIGINT, self._previous)


if __name__ == "__main__":
    main()
