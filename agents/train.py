"""`batchsim-train`: train an agent, evaluate it in scenes it has not seen, and write the report.

batchsim-train --preset quickstart --out runs/quickstart
batchsim-train --out runs/quickstart --resume
batchsim-train --grow-from runs/quickstart --hidden-size 256 --out runs/wide
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from batchsim.agents.cli import run_command
from batchsim.agents.config import TrainConfig
from batchsim.agents.distributed.ranks import Ranks
from batchsim.agents.errors import AgentError
from batchsim.agents.eval import evaluate_run
from batchsim.agents.networks.growing.grow import grow
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.presets import preset
from batchsim.agents.runs.checkpoint import find_checkpoint, load_log_state, load_policy, load_trainer
from batchsim.agents.runs.checkpoint_folder import holds_checkpoints
from batchsim.agents.runs.run_lock import locked
from batchsim.agents.runs.versions import versions
from batchsim.agents.training.build import make_trainer, with_renderer
from batchsim.agents.training.training_run import TrainingRun
from batchsim.process.arguments import parse_arguments
from batchsim.scenes import resolve
from batchsim.scenes.atomic_files import atomic_write, remove_leftovers

_DEFAULT_PRESET = "quickstart"


@dataclass(frozen=True)
class TrainCommand:
    """Train an agent with PPO, evaluate it in scenes it has not seen, and write a report."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    preset: str = _DEFAULT_PRESET
    """Set of defaults: quickstart, flee, explore, objectnav-cpu and imagenav-cpu for CPUs; pointnav-depth,
    pointnav-rgb, objectnav and imagenav for a GPU."""
    out: Path = Path("runs/quickstart")
    """Folder of the run: config.json, checkpoint/, log.jsonl, tensorboard/, evaluation.json, report.html."""
    resume: bool = False
    """Continue from the checkpoint in the folder, with the options in its config.json."""
    grow_from: Path | None = None
    """Start from the network of this run, made larger without changing what it does: a larger --hidden-size, or larger
    or more --visual-channels. Other options are those of that run, with a tenth of its learning rate."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    run_command("batchsim-train", lambda: _main(sys.argv[1:] if arguments is None else list(arguments)))


def _main(arguments: list[str]) -> int:
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # A missing value is reported by the second parser.
    first.add_argument("--preset", nargs="?", default=_DEFAULT_PRESET, const=_DEFAULT_PRESET)
    first.add_argument("--grow-from", nargs="?")
    known = first.parse_known_args(arguments)[0]
    default = TrainCommand(_defaults(known.preset, known.grow_from), known.preset)
    command = parse_arguments(TrainCommand, arguments, "batchsim-train", default=default)
    if command.resume:
        _refuse_changes(command.config, default.config, command.out)
    return train(command.config, command.out, command.resume, command.grow_from)


def _defaults(name: str, grow_from: str | None) -> TrainConfig:
    """Returns the preset of that name, or the options of the run to grow, with a tenth of its learning rate."""
    if grow_from is None:
        return preset(name)
    config = TrainConfig.load(Path(grow_from) / "config.json")
    return replace(config, ppo=replace(config.ppo, learning_rate=0.1 * config.ppo.learning_rate))


def _refuse_changes(typed: TrainConfig, default: TrainConfig, out: Path) -> None:
    """Raises `AgentError` if an option differs from the resumed run's, because it would have no effect."""
    find_checkpoint(out)  # its error is the clearest if there is no run
    saved, defaults = TrainConfig.load(out / "config.json").flat(), default.flat()
    changed = {name: value for name, value in typed.flat().items() if value not in (saved[name], defaults[name])}
    if changed:
        differences = ", ".join(f"{name} is {saved[name]}, not {value}" for name, value in changed.items())
        raise AgentError(
            f"--resume uses the options in {out / 'config.json'}, where {differences}. Leave such options out, or "
            "change them in that file."
        )


def train(config: TrainConfig, out: Path, resume: bool = False, grow_from: Path | None = None) -> int:
    """Trains in the folder `out` and evaluates the result.

    Args:
        config: The options; if `resume` is set, those of the folder's config.json are used instead.
        out: The run folder.
        resume: Continue from the checkpoint in `out`.
        grow_from: A run whose network is made larger and trained further; None for a new network.

    Returns:
        The exit code.

    Raises:
        AgentError: If the options cannot be used, the folder does not suit `resume`, or another process trains there.
    """
    if resume:
        if grow_from is not None:
            raise AgentError("--grow-from starts a new run; leave it out to continue one with --resume.")
        find_checkpoint(out)
        config = TrainConfig.load(out / "config.json")
    config.check()
    source = None if grow_from is None else load_policy(grow_from)
    if config.eval_scenes:
        resolve(config.eval_scenes)  # reports a wrong name before training rather than after it
    ranks = Ranks.init(config.distributed)
    with locked(out) if ranks.is_first else nullcontext():
        if not resume and holds_checkpoints(out / "checkpoint"):
            raise AgentError(f"{out} already holds a run: add --resume to continue it, or choose another --out.")
        return _train(config, out, resume, ranks, source)


def _train(config: TrainConfig, out: Path, resume: bool, ranks: Ranks, source: Policy | None) -> int:
    trainer = make_trainer(config, ranks)
    if source is not None:
        trainer.policy.load_state_dict(grow(source, trainer.policy.config, config.seed).state_dict())
    config = with_renderer(config, trainer.env)
    log_state = None
    if resume:
        checkpoint = find_checkpoint(out)
        if (reason := load_trainer(checkpoint, trainer)) and ranks.is_first:
            print(f"Continuing with new episodes: {reason}", file=sys.stderr)
        log_state = load_log_state(checkpoint)
    if ranks.is_first:
        _prepare_folder(out, config, ranks)
    stopped_by = TrainingRun(trainer, config, out, log_state).run()
    _report_failed_scenes(trainer)
    trainer.close()
    ranks.shutdown()
    if not ranks.is_first:
        return 0 if stopped_by is None else 128 + stopped_by
    if stopped_by is not None:
        print(f"Stopped. Continue with: batchsim-train --out {out} --resume", file=sys.stderr)
        return 128 + stopped_by  # the exit code that shells use
    if config.eval_scenes:
        report = evaluate_run(out, config.eval_scenes, config.eval_episodes, config.device)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    return 0


def _prepare_folder(out: Path, config: TrainConfig, ranks: Ranks) -> None:
    remove_leftovers(out)
    atomic_write(out / "config.json", json.dumps(config.to_json() | {"versions": versions()}, indent=2))
    if ranks.size > 1:
        total = ranks.size * config.num_envs
        print(f"{ranks.size} ranks of {config.num_envs} environments: {total} in all.", file=sys.stderr)


def _report_failed_scenes(trainer: Trainer) -> None:
    if failed := trainer.failed_scenes:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in failed.items())
        print(f"{len(failed)} scenes could not be loaded and were left out:{reasons}", file=sys.stderr)


if __name__ == "__main__":
    main()
