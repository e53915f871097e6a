"""`batchsim-train`: train an agent, evaluate it on scenes it has never seen, and write the report.

batchsim-train --preset quickstart --out runs/quickstart
batchsim-train --out runs/quickstart --resume
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import tyro

from batchsim import NavVectorEnv
from batchsim.agents.cli import run_command
from batchsim.agents.config import TrainConfig, preset
from batchsim.agents.distributed.preemption import Preemption
from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.errors import AgentError
from batchsim.agents.eval import evaluate_run
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.checkpoint import find_checkpoint, load_trainer
from batchsim.agents.training.build import make_policy
from batchsim.agents.training.training_run import TrainingRun
from batchsim.scenes import resolve
from batchsim.scenes.atomic_files import atomic_write


@dataclass(frozen=True)
class TrainCommand:
    """Train an agent by PPO, evaluate it on scenes it has never seen, and write a report."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    preset: str = "quickstart"
    """Which set of defaults to begin from: quickstart, flee, explore, pointnav-depth, pointnav-rgb."""
    out: Path = Path("runs/quickstart")
    """Folder of the run: config.json, checkpoint/, log.jsonl, tensorboard/, evaluation.json, report.html."""
    resume: bool = False
    """Go on from the checkpoint in the folder, with the options it was episode_start with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    run_command("batchsim-train", lambda: _main(sys.argv[1:] if arguments is None else list(arguments)))


def _main(arguments: list[str]) -> int:
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--preset", default="quickstart")
    chosen, _ = chooser.parse_known_args(arguments)
    default = TrainCommand(preset(chosen.preset), chosen.preset)
    command = tyro.cli(TrainCommand, default=default, args=arguments, prog="batchsim-train")
    if command.resume:
        _refuse_changes(command.config, default.config, command.out)
    return train(command.config, command.out, command.resume)


def _refuse_changes(typed: TrainConfig, default: TrainConfig, out: Path) -> None:
    """Raise `AgentError` for options of a resumed run that are not those it was episode_start with: they would do nothing."""
    find_checkpoint(out)  # says best what is missing where there is no run
    begun_with, by_default = TrainConfig.load(out / "config.json").flat(), default.flat()
    changed = {name: value for name, value in typed.flat().items() if value not in (begun_with[name], by_default[name])}
    if changed:
        told = ", ".join(f"{name} is {begun_with[name]}, not {value}" for name, value in changed.items())
        raise AgentError(
            f"--resume goes on with the options in {out / 'config.json'}, where {told}. Leave such options out, or "
            "change them in that file."
        )


def train(config: TrainConfig, out: Path, resume: bool = False) -> int:
    """Train in the folder `out`; returns the exit code. Raises `AgentError` for a run that cannot be episode_start."""
    if resume:
        checkpoint = find_checkpoint(out)
        config = TrainConfig.load(out / "config.json")
    elif (out / "checkpoint").exists():
        raise AgentError(f"{out} holds a run already: add --resume to go on with it, or choose another --out.")
    config.check()
    if config.eval_scenes:
        resolve(config.eval_scenes)  # a wrong name is better told before training than after it
    ranks = Ranks.init(config.distributed)
    trainer = make_trainer(config, ranks)
    config = with_renderer(config, trainer.env)
    if resume and (reason := load_trainer(checkpoint, trainer)) and ranks.is_first:
        print(f"Going on with new episodes: {reason}", file=sys.stderr)
    if ranks.is_first:
        out.mkdir(parents=True, exist_ok=True)
        record = config.to_json() | {"versions": versions()}
        atomic_write(out / "config.json", json.dumps(record, indent=2))
        if ranks.size > 1:
            print(
                f"{ranks.size} ranks of {config.num_envs} environments: {ranks.size * config.num_envs} in all.",
                file=sys.stderr,
            )
    stopped_by = TrainingRun(trainer, config, out).run()
    if failed := trainer.failed_scenes:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in failed.items())
        print(f"{len(failed)} scenes could not be loaded and were left out:{reasons}", file=sys.stderr)
    trainer.close()
    ranks.shutdown()
    if not ranks.is_first:
        return 0 if stopped_by is None else 128 + stopped_by
    if stopped_by is not None:
        print(f"Stopped. Go on with: batchsim-train --out {out} --resume", file=sys.stderr)
        return 128 + stopped_by  # as shells count
    if config.eval_scenes:
        report = evaluate_run(out, config.eval_scenes, config.eval_episodes, config.device)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    return 0


def make_trainer(config: TrainConfig, ranks: Ranks = SINGLE_PROCESS) -> Trainer:
    """Environments, a fresh policy and their trainer, as the config says; of several ranks, this one's."""
    torch.manual_seed(config.seed)
    envs = make_envs(config, config.scenes if ranks.size == 1 else ranks.shard(resolve(config.scenes)))
    policy = make_policy(config, envs[0])
    preempts = config.distributed.preemption and ranks.size > 1
    preemption = Preemption(ranks, config.distributed, config.rollout_steps) if preempts else None
    return Trainer(envs, policy, config.ppo, config.rollout_steps, config.seed, ranks, preemption)


def make_envs(config: TrainConfig, scenes: Any) -> list[NavVectorEnv]:
    """The environments that a process trains in, in `scenes`: all in one batch, or in two for double buffering."""
    batches = 2 if config.double_buffering else 1
    envs: list[NavVectorEnv] = []
    while len(envs) < batches:
        env = NavVectorEnv(
            config.num_envs // batches,
            scenes,
            num_resident_scenes=config.num_resident_scenes,
            max_episode_steps=config.max_episode_steps,
            device=config.device,
            simulator_cuda_graph=config.simulator_cuda_graph,
            compile_simulator=config.compile_simulator,
            **config.env_options(),
        )
        config = with_renderer(config, env)  # what "auto" chose for one serves the other too
        envs.append(env)
    return envs


def with_renderer(config: TrainConfig, env: NavVectorEnv) -> TrainConfig:
    """`config` with the name of what "auto" chose: the backends agree, but not bit for bit."""
    renderer = env.simulator.renderer
    return config if renderer is None else replace(config, renderer=renderer.backend)


def versions() -> dict[str, str]:
    """What the run was made with."""
    return {"batchsim": version("batchsim"), "python": platform.python_version(), "torch": torch.__version__}


if __name__ == "__main__":
    main()
