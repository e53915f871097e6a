"""`batchsim-eval`: evaluate agents on a fixed set of episodes, compare them, and write the report.

batchsim-eval runs/quickstart
batchsim-eval runs/a runs/b oracle --scenes homes:test --episodes 1000 --out compared
batchsim-eval greedy --episodes-file val.json.gz --scenes-dir scenes/gibson --json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batchsim.agents.baselines.registry import BASELINES, default_baselines
from batchsim.agents.cli import run_command
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate, find_candidates, load_run
from batchsim.agents.evaluation.episode_selection import EvalEpisodes, episodes_of_file, episodes_of_set
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.evaluation.session import MAX_EPISODE_STEPS, RENDERER, EvalSession
from batchsim.agents.generalisation.conditions import Condition
from batchsim.agents.generalisation.study import study, write_study
from batchsim.agents.networks.onnx_export import export_onnx
from batchsim.agents.report import DEFAULT_VIDEOS, write_evaluation
from batchsim.agents.search.search_options import SearchOptions
from batchsim.process.arguments import parse_arguments
from batchsim.settings import SETTINGS, find_setting, task_of_setting
from batchsim.tasks import choose_task

_EPISODES = 200
_MOST_STEPS = 100_000


@dataclass(frozen=True)
class EvalCommand:
    """Evaluate trained agents and baselines: each episode once, with 95% intervals."""

    agents: tyro.conf.Positional[tuple[str, ...]]
    """Run folders such as runs/quickstart (blind:FOLDER for a run that must have been trained blind; mcts:FOLDER for a
    tree search with the policy and critic of a run), or baselines: random, forward, greedy, mcts, oracle. The report is
    about the first; the others are shown for comparison."""
    scenes: str = "homes:val"
    """Scene set whose standard episodes are run."""
    episodes: int | None = None
    """Number of episodes (default: 200 of a scene set, all of a file)."""
    episodes_file: Path | None = None
    """Habitat PointNav episode file (json.gz) to run instead of a scene set."""
    scenes_dir: Path | None = None
    """Folder of the 3D files that the episode file names."""
    num_envs: int | None = None
    """Environments stepped together (default: 64, and 256 for agents without images); results do not depend on it."""
    out: Path | None = None
    """Folder for evaluation.json, episodes.csv and report.html (default: the first agent's run folder, or mcts/ in it
    for a search)."""
    baselines: tuple[str, ...] | None = None
    """Baselines to compare with in the report (default: random, greedy and oracle, or those that the task has, for a
    single agent; none for several)."""
    task: str | None = None
    """Task of baselines (default: pointnav). Runs have the task they were trained for; module:Class imports a task of
    your own."""
    trust: bool = False
    """Import the task class that a run's config.json names. This runs code: use it for runs of your own only."""
    videos: int = DEFAULT_VIDEOS
    """Episodes that the report shows with video: the worst failures, near misses and successes."""
    seed: int = 0
    """Seed of the agents' random numbers."""
    deterministic: bool = False
    """Take the most likely action instead of sampling."""
    simulations: int = SearchOptions.simulations
    """Simulator steps of a tree search (mcts) before each action."""
    workers: int = SearchOptions.workers
    """How many of these steps run at the same time in one tree."""
    renderer: str = RENDERER
    """Renderer backend. Images of raycast are identical, bit for bit, for any batch size."""
    setting: str | None = None
    """Named setting of a published benchmark, such as habitat-objectnav-2022: its task, body, camera, noise and limits
    (see batchsim-scenes settings). It is recorded in evaluation.json."""
    max_episode_steps: int = MAX_EPISODE_STEPS
    """Steps after which an episode is truncated."""
    device: str = "auto"
    """Device of simulation and networks: auto, cpu, cuda."""
    generalisation: bool = False
    """Compare runs that were trained in different numbers of homes: in their training homes, in those of --scenes, and
    in controls. Writes generalisation.json and generalisation.html into --out."""
    export: Path | None = None
    """Also write the first agent's policy to this ONNX file."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    run_command("batchsim-eval", lambda: _main(parse_arguments(EvalCommand, arguments, "batchsim-eval")))


def _main(command: EvalCommand) -> int:
    # All options are checked before scenes are baked, which may take minutes.
    _check(command)
    if command.setting is not None:
        command = replace(command, task=command.task or task_of_setting(command.setting))
    search = SearchOptions(command.simulations, command.workers)
    candidates = find_candidates(command.agents, TrainConfig(task=command.task or "pointnav"), command.trust, search)
    task = candidates[0].config.task
    if command.generalisation:
        return _generalisation(command, candidates)
    if command.task not in (None, task):
        raise AgentError(f"--task {command.task}: {candidates[0].run} was trained for {task}.")
    out = command.out or _default_folder(candidates[0])
    compared = _compared(command, task) if out is not None else ()
    candidates += find_candidates(compared, candidates[0].config, search=search) if compared else []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    if command.export is not None:
        _export(candidates[0], command.export)
    session = _session(command, _chosen(command))
    _warn_left_out(session.chosen)
    evaluations = [session.run(candidate) for candidate in candidates]
    if out is not None:
        report = write_evaluation(out, session, candidates, evaluations, command.videos)
        print(f"Report: {report.resolve()}", file=sys.stderr)
    if command.json:
        print(json.dumps(_as_json(evaluations[: len(command.agents)]), allow_nan=False))
    else:
        for evaluation in evaluations[: len(command.agents)]:
            print_table(evaluation)
    return 0


def _default_folder(first: Candidate) -> Path | None:
    """The run folder of a policy, and a folder in it for a search with that policy; None for baselines."""
    return first.run / "mcts" if first.run is not None and first.search is not None else first.run


def _generalisation(command: EvalCommand, runs: Sequence[Candidate]) -> int:
    if command.out is None:
        raise AgentError("--generalisation needs --out, the folder for its results.")
    if command.episodes_file is not None or command.setting is not None:
        raise AgentError(
            "--generalisation runs the standard episodes of scene sets; leave out --episodes-file, --setting."
        )

    def evaluate(candidate: Candidate, condition: Condition) -> Evaluation:
        chosen = episodes_of_set(condition.scenes, _EPISODES if command.episodes is None else command.episodes)
        return _session(command, chosen).run(candidate)

    results = study(runs, command.scenes, evaluate)
    write_study(results, command.out)
    if command.json:
        print(json.dumps({"runs": [result.to_json() for result in results]}, allow_nan=False))
    return 0


def _session(command: EvalCommand, chosen: EvalEpisodes) -> EvalSession:
    return EvalSession(
        chosen,
        command.num_envs,
        command.seed,
        command.deterministic,
        command.renderer,
        command.device,
        command.max_episode_steps,
        setting=command.setting,
    )


def _check(command: EvalCommand) -> None:
    if command.num_envs is not None and command.num_envs < 1:
        raise AgentError(f"num_envs is {command.num_envs}; expected at least 1.")
    if command.videos < 0:
        raise AgentError(f"videos is {command.videos}; expected 0 or more.")
    if not 1 <= command.max_episode_steps <= _MOST_STEPS:
        raise AgentError(f"max_episode_steps is {command.max_episode_steps}; expected 1 to {_MOST_STEPS:,}.")


def evaluate_run(run: Path, scenes: str, episodes: int, device: str = "auto") -> Path:
    """Evaluate the user's own run beside the baselines, and write the results and the report into its folder.

    Args:
        run: The run folder. Its task is imported, so it must be trusted.
        scenes: The scene set.
        episodes: How many episodes.
        device: The device of simulation and networks.

    Returns:
        The report's path.
    """
    candidate = load_run(str(run), trust=True)
    session = EvalSession(episodes_of_set(scenes, episodes), device=device)
    compared = default_baselines(choose_task(candidate.config.task))
    candidates = [candidate, *find_candidates(compared, candidate.config)]
    evaluations = [session.run(each) for each in candidates]
    for evaluation in evaluations:
        print_table(evaluation)
    return write_evaluation(run, session, candidates, evaluations)


def _export(candidate: Candidate, path: Path) -> None:
    if candidate.policy is None:
        raise AgentError(f"--export: {candidate.name} is a baseline without a network; name a run folder first.")
    export_onnx(candidate.policy, path, candidate.env_options())
    print(f"Policy: {path.resolve()}", file=sys.stderr)


def _compared(command: EvalCommand, task: str) -> tuple[str, ...]:
    names = command.baselines
    if names is None:
        names = default_baselines(choose_task(task)) if len(command.agents) == 1 else ()
    if unknown := sorted(set(names) - BASELINES.keys()):
        raise AgentError(f"--baselines: {', '.join(unknown)} unknown; expected names among {', '.join(BASELINES)}.")
    return tuple(name for name in names if name not in command.agents)


def _chosen(command: EvalCommand) -> EvalEpisodes:
    if command.episodes_file is not None:
        return episodes_of_file(command.episodes_file, command.scenes_dir, command.episodes)
    if command.scenes_dir is not None:
        raise AgentError(
            "--scenes-dir needs --episodes-file. To evaluate in the scenes of a folder, use --scenes FOLDER."
        )
    body = None if command.setting is None else find_setting(command.setting, SETTINGS).body
    return episodes_of_set(command.scenes, _EPISODES if command.episodes is None else command.episodes, body)


def _warn_left_out(chosen: EvalEpisodes) -> None:
    if not chosen.left_out:
        return
    first, count = chosen.left_out[0], len(chosen.left_out)
    total = count + len(chosen.episodes)
    print(
        f"batchsim-eval: {count} of {total} episodes are left out. The first is {first.scene} {first.episode_id}: "
        f"{first.reason}",
        file=sys.stderr,
    )


def _as_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """One agent's object, or an object with a list of them as `evaluations`."""
    objects = [evaluation.to_json() for evaluation in evaluations]
    return objects[0] if len(objects) == 1 else {"evaluations": objects}


def print_table(evaluation: Evaluation) -> None:
    """Print the measures with their intervals on stderr."""
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
