"""`batchsim-eval`: run agents through a fixed set of episodes, compare them, write the report.

batchsim-eval runs/quickstart
batchsim-eval runs/a runs/b oracle --scenes homes:test --episodes 1000 --out compared
batchsim-eval greedy --episodes-file val.json.gz --scenes-dir scenes/gibson --json
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
from rich.markup import escape
from rich.table import Table

from batchsim.agents.baselines.registry import BASELINES, compared_with
from batchsim.agents.cli import run_command
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate, find_candidates, load_run
from batchsim.agents.evaluation.episode_selection import EvalEpisodes, episodes_of_file, episodes_of_set
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.evaluation.session import FILMS, MAX_EPISODE_STEPS, RENDERER, EvalSession
from batchsim.agents.networks.onnx_export import export_onnx
from batchsim.tasks import choose_task

_EPISODES = 200


@dataclass(frozen=True)
class EvalCommand:
    """Evaluate trained agents and baselines: each episode exactly once, with 95% intervals."""

    agents: tyro.conf.Positional[tuple[str, ...]]
    """Run folders such as runs/quickstart (blind:FOLDER for one that must be blind), or baselines: random, forward,
    greedy, oracle. The first is the report's subject, the others stand beside it."""
    scenes: str = "homes:val"
    """Scenes whose fixed series of episodes is run."""
    episodes: int | None = None
    """How many episodes: 200 of a scene set, all of a file if not given."""
    episodes_file: Path | None = None
    """A Habitat PointNav file (json.gz) whose episodes are run instead."""
    scenes_dir: Path | None = None
    """Folder of the 3D files that the episode file names."""
    num_envs: int = 64
    """Environments stepped together; no figure depends on it."""
    out: Path | None = None
    """Folder for evaluation.json, episodes.csv and report.html; the first agent's run folder if not given."""
    baselines: tuple[str, ...] | None = None
    """Baselines to run beside the agents for the report: if not given, random, greedy and oracle (or those that the
    task has) beside a single agent, none beside several."""
    task: str | None = None
    """The task of baselines: pointnav if not given; runs have the one they were trained for."""
    films: int = FILMS
    """Episodes that the report shows from inside, as the agent saw them: the worst failures, near misses, successes."""
    seed: int = 0
    """Seed of what agents draw."""
    deterministic: bool = False
    """Take the likeliest action instead of drawing one."""
    renderer: str = RENDERER
    """The renderer's backend. Images of raycast are the same bit for bit whatever is drawn beside them."""
    max_episode_steps: int = MAX_EPISODE_STEPS
    """Steps after which an episode is cut off."""
    device: str = "auto"
    """Where simulation and networks run: auto, cpu, cuda."""
    export: Path | None = None
    """Write the first agent's policy to this ONNX file as well."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command = tyro.cli(EvalCommand, args=arguments, prog="batchsim-eval")
    run_command("batchsim-eval", lambda: _main(command))


def _main(command: EvalCommand) -> int:
    # What was asked for is checked before scenes are baked, which may take minutes.
    candidates = find_candidates(command.agents, TrainConfig(task=command.task or "pointnav"))
    task = candidates[0].config.task
    if command.task not in (None, task):
        raise AgentError(f"--task {command.task}: {candidates[0].run} was trained for {task}.")
    out = command.out or candidates[0].run
    compared = _compared(command, task) if out is not None else ()
    candidates += find_candidates(compared, candidates[0].config) if compared else []
    if command.num_envs < 1:
        raise AgentError(f"num_envs is {command.num_envs}; expected at least 1.")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    if command.export is not None:
        _export(candidates[0], command.export)
    session = EvalSession(
        _chosen(command),
        command.num_envs,
        command.seed,
        command.deterministic,
        command.renderer,
        command.device,
        command.max_episode_steps,
    )
    _tell_left_out(session.chosen)
    evaluations = [session.run(candidate) for candidate in candidates]
    if out is not None:
        report = session.write(out, candidates, evaluations, command.films)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    if command.json:
        print(json.dumps(_as_json(evaluations[: len(command.agents)]), allow_nan=False))
    else:
        for evaluation in evaluations[: len(command.agents)]:
            print_table(evaluation)
    return 0


def evaluate_run(run: Path, scenes: str, episodes: int, device: str = "auto") -> Path:
    """Evaluate a run beside the baselines, and write evaluation.json and report.html into it; returns the report."""
    candidate = load_run(str(run))
    session = EvalSession(episodes_of_set(scenes, episodes), device=device)
    compared = compared_with(choose_task(candidate.config.task))
    candidates = [candidate, *find_candidates(compared, candidate.config)]
    evaluations = [session.run(each) for each in candidates]
    for evaluation in evaluations:
        print_table(evaluation)
    return session.write(run, candidates, evaluations)


def _export(candidate: Candidate, path: Path) -> None:
    if candidate.policy is None:
        raise AgentError(f"--export: {candidate.name} is a baseline and has no network; name a run folder first.")
    export_onnx(candidate.policy, path, candidate.env_options())
    print(f"Policy: {path.resolve()}", file=sys.stderr)


def _compared(command: EvalCommand, task: str) -> tuple[str, ...]:
    names = command.baselines
    if names is None:
        names = compared_with(choose_task(task)) if len(command.agents) == 1 else ()
    if unknown := sorted(set(names) - BASELINES.keys()):
        raise AgentError(f"--baselines: {', '.join(unknown)} unknown; expected some of {', '.join(BASELINES)}.")
    return tuple(name for name in names if name not in command.agents)


def _chosen(command: EvalCommand) -> EvalEpisodes:
    if command.episodes_file is not None:
        return episodes_of_file(command.episodes_file, command.scenes_dir, command.episodes)
    if command.scenes_dir is not None:
        raise AgentError("--scenes-dir goes with --episodes-file; name the folder by --scenes to evaluate in it.")
    return episodes_of_set(command.scenes, _EPISODES if command.episodes is None else command.episodes)


def _tell_left_out(chosen: EvalEpisodes) -> None:
    if not chosen.left_out:
        return
    first, count = chosen.left_out[0], len(chosen.left_out)
    total = count + len(chosen.episodes)
    print(
        f"batchsim-eval: {count} of {total} episodes are left out; the first: {first.scene} {first.episode_id}: "
        f"{first.reason}",
        file=sys.stderr,
    )


def _as_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """One agent's object, or a list of them as `evaluations`."""
    objects = [evaluation.to_json() for evaluation in evaluations]
    return objects[0] if len(objects) == 1 else {"evaluations": objects}


def print_table(evaluation: Evaluation) -> None:
    """The measures with their intervals, on stderr."""
    summary = evaluation.summary()
    title = f"{evaluation.agent}: {summary['episodes']} episodes of {evaluation.scenes}"
    table = Table(title=escape(title))
    for heading in ("", "mean", "95% interval"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in evaluation.measures:
        low, high = summary[name]["ci95"]
        table.add_row(name, f"{summary[name]['mean']:.3f}", f"{low:.3f} to {high:.3f}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
