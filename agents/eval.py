"""`batchsim-eval`: run an agent through a fixed set of episodes, compare it with baselines, write the report.

batchsim-eval runs/quickstart
batchsim-eval greedy --scenes homes:test --episodes 100 --json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from agents.baselines import BASELINES, Agent, make_baseline
from agents.checkpoint import find_checkpoint, load_policy
from agents.command import run_command
from agents.config import TrainConfig
from agents.errors import AgentError
from agents.evaluate import run_episodes
from agents.evaluation import MEASURES, Evaluation
from agents.networks.policy import Policy
from agents.policy_agent import PolicyAgent
from agents.report import write_report
from agents.run_log import read_curves
from batchsim import NavVectorEnv
from scenes import EpisodeSet, Scene, load_all, resolve, standard_episodes

MAX_EPISODE_STEPS = 500
COMPARED = ("random", "greedy", "oracle")  # baselines that stand beside an agent unless others are named


@dataclass(frozen=True)
class EvalCommand:
    """Evaluate a trained agent or a baseline: each episode exactly once, with 95% intervals."""

    agent: tyro.conf.Positional[str]
    """A run folder such as runs/quickstart, or a baseline: random, forward, greedy, oracle."""
    scenes: str = "homes:val"
    """Scenes whose fixed series of episodes is run."""
    episodes: int = 200
    """How many of them."""
    num_envs: int = 64
    """Environments stepped together; the figures of deterministic agents do not depend on it."""
    out: Path | None = None
    """Folder for evaluation.json and report.html; the run folder itself if not given. Baselines need it to write."""
    baselines: tuple[str, ...] = COMPARED
    """Baselines to run on the same episodes for the report."""
    seed: int = 0
    """Seed of what agents draw."""
    deterministic: bool = False
    """Take the likeliest action instead of drawing one."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command = tyro.cli(EvalCommand, args=arguments, prog="batchsim-eval")
    run_command("batchsim-eval", lambda: _main(command))


def _main(command: EvalCommand) -> int:
    # What was asked for is checked before scenes are baked, which may take minutes.
    is_baseline = command.agent in BASELINES
    run = None if is_baseline else _run_folder(command.agent)
    config = TrainConfig.load(run / "config.json") if run else TrainConfig()
    policy = load_policy(find_checkpoint(run)) if run else None
    if unknown := sorted(set(command.baselines) - BASELINES.keys()):
        raise AgentError(f"--baselines: {', '.join(unknown)} unknown; expected some of {', '.join(BASELINES)}.")
    session = EvalSession(command.scenes, command.episodes, command.num_envs, command.seed)
    evaluation = (
        session.run_policy(run.name, policy, config, command.deterministic)
        if policy
        else session.run_baseline(command.agent, config)
    )
    out = command.out or run
    if out is not None:
        others = [session.run_baseline(name, config) for name in command.baselines if name != command.agent]
        report = session.write(out, [evaluation, *others], run)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    if command.json:
        print(json.dumps({"agent": evaluation.agent, **evaluation.summary(), "per_scene": evaluation.per_scene()}))
    else:
        _print_table(evaluation)
    return 0


def evaluate_run(run: Path, scenes: str, episodes: int, num_envs: int = 64, seed: int = 0) -> Path:
    """Evaluate a run beside the baselines, and write evaluation.json and report.html into it; returns the report."""
    config = TrainConfig.load(run / "config.json")
    session = EvalSession(scenes, episodes, num_envs, seed)
    evaluations = [session.run_policy(run.name, load_policy(find_checkpoint(run)), config, deterministic=False)]
    evaluations += [session.run_baseline(name, config) for name in COMPARED]
    for evaluation in evaluations:
        _print_table(evaluation)
    return session.write(run, evaluations, run)


class EvalSession:
    """A fixed set of episodes, and the agents that run it; no progress is shown if `quiet`."""

    def __init__(self, scenes: str, episodes: int, num_envs: int, seed: int, quiet: bool = False) -> None:
        if episodes < 1 or num_envs < 1:
            raise AgentError(f"episodes is {episodes} and num_envs {num_envs}; expected at least 1 each.")
        self.name, self.seed, self._quiet = scenes, seed, quiet
        self.num_envs = min(num_envs, episodes)
        # Loaded first, since that bakes in parallel what is not in the cache; episode e lies in scene e mod S.
        self.scenes: list[Scene] = load_all(resolve(scenes)[:episodes])
        self.episodes: EpisodeSet = standard_episodes(scenes, episodes)

    def run_policy(self, name: str, policy: Policy, config: TrainConfig, deterministic: bool) -> Evaluation:
        """Run a trained policy in the environment it was trained for."""
        env = self._env(config.env_options())
        _check_fits(policy, env)
        return self._run(env, PolicyAgent(policy.to(env.device), self.num_envs, deterministic), name)

    def run_baseline(self, name: str, config: TrainConfig) -> Evaluation:
        """Run a baseline with the same body; baselines do not look, so nothing is rendered."""
        env = self._env(config.env_options() | {"sensors": ()})
        return self._run(env, make_baseline(name, env), name)

    def write(self, out: Path, evaluations: Sequence[Evaluation], run: Path | None) -> Path:
        """Write evaluation.json (of the first) and report.html into `out`; returns the report's path."""
        out.mkdir(parents=True, exist_ok=True)
        evaluations[0].save(out / "evaluation.json")
        config: dict[str, Any] = TrainConfig.load(run / "config.json").to_json() if run else {}
        curves = read_curves(run) if run else []
        by_name = {scene.name: scene for scene in self.scenes}
        return write_report(out / "report.html", evaluations, by_name, curves, config)

    def _env(self, options: dict[str, Any]) -> NavVectorEnv:
        return NavVectorEnv(
            self.num_envs,
            self.scenes,
            episodes=self.episodes,
            max_episode_steps=MAX_EPISODE_STEPS,
            **options,
        )

    def _run(self, env: NavVectorEnv, agent: Agent, name: str) -> Evaluation:
        columns = (*Progress.get_default_columns(), TextColumn("{task.completed:.0f}/{task.total:.0f} episodes"))
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=self._quiet) as bar:
            task = bar.add_task(f"Evaluating {name}", total=len(self.episodes))
            try:
                return run_episodes(
                    env,
                    agent,
                    self.episodes,
                    name,
                    self.name,
                    self.seed,
                    lambda done, _: bar.update(task, completed=done),
                )
            finally:
                env.close()


def _run_folder(name: str) -> Path:
    run = Path(name)
    if not run.is_dir():
        raise AgentError(f"{name!r} is neither a run folder nor a baseline ({', '.join(BASELINES)}).")
    return run


def _check_fits(policy: Policy, env: NavVectorEnv) -> None:
    depth = env.single_observation_space.spaces.get("depth")
    expected = policy.config.image_size if policy.visual is not None else None
    found = None if depth is None else depth.shape[:2]
    if expected != found:
        raise AgentError(f"The checkpoint's policy sees images of {expected} pixels, its config.json gives {found}.")


def _print_table(evaluation: Evaluation) -> None:
    summary = evaluation.summary()
    table = Table(title=f"{evaluation.agent}: {summary['episodes']} episodes of {evaluation.scenes}")
    for heading in ("", "mean", "95% interval"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in MEASURES:
        low, high = summary[name]["ci95"]
        table.add_row(name, f"{summary[name]['mean']:.3f}", f"{low:.3f} to {high:.3f}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
