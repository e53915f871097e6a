"""`batchsim-shrink`: make a trained policy small enough for a robot's CPU, and say what that costs and saves.

batchsim-shrink runs/quickstart --out runs/small --distil patches --int8
batchsim-shrink runs/quickstart --out runs/tiny --distil patches --prune 0.8 --powers-of-two 5 --int8
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tyro
from rich.console import Console
from rich.table import Table

from batchsim.agents.cli import run_command
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import load_run
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.onnx_policy import INT8_FILE, open_session, require_onnxruntime
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.networks.policy import PolicyConfig
from batchsim.agents.report import write_evaluation
from batchsim.agents.runs.run_lock import locked
from batchsim.agents.runs.shrink_record import Fidelity, Figure, ShrinkRecord, ShrinkRow, save_record
from batchsim.agents.shrinking.costs import cost_row, latencies
from batchsim.agents.shrinking.pipeline import FLOAT_FILE, Network, Pipeline
from batchsim.agents.shrinking.recipe import Recipe
from batchsim.agents.shrinking.retraining import Stopped
from batchsim.agents.shrinking.walks import Agreement, WalkStep, agreement, walk
from batchsim.process.arguments import parse_arguments
from batchsim.scenes import resolve

_OBSERVATIONS = 1024  # to compare files with
_WIDTH = 140  # of the table in a file, characters


@dataclass(frozen=True)
class ShrinkCommand:
    """Shrink a trained policy, and measure what each step costs and saves."""

    run: tyro.conf.Positional[Path]
    """The run folder of the teacher, such as runs/quickstart."""
    recipe: tyro.conf.OmitArgPrefixes[Recipe]
    out: Path
    """Run folder of the result: config.json, checkpoint/, policy.onnx, policy.int8.onnx, shrink.json, report.html, and
    the run folder of each step in steps/. The same command again continues where it was stopped."""
    eval_scenes: str = "homes:val"
    """Scenes in which the teacher and the result of each step are evaluated; empty for no evaluation."""
    eval_episodes: int = 200
    """Episodes of the evaluation."""
    videos: int = 5
    """Episodes that the report shows with video."""
    trust: bool = False
    """Import the task class that the run's config.json names. This runs code: use it for runs of your own only."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    run_command("batchsim-shrink", lambda: _main(parse_arguments(ShrinkCommand, arguments, "batchsim-shrink")))


def _main(command: ShrinkCommand) -> int:
    command.recipe.check()
    require_onnxruntime("batchsim-shrink")
    if command.eval_scenes:
        if command.eval_episodes < 1:
            raise AgentError(f"eval_episodes is {command.eval_episodes}; expected at least 1.")
        resolve(command.eval_scenes)  # reports a wrong name before training rather than after it
    teacher = load_run(str(command.run), command.trust)
    if command.out.resolve() == command.run.resolve():
        raise AgentError(f"--out {command.out} is the teacher's own folder; choose another one.")
    with locked(command.out):
        _refuse_other_runs(command.out)
        pipeline = Pipeline(teacher, command.recipe, command.out, command.trust)
        try:
            networks = pipeline.run()
        except Stopped as stopped:
            print("Stopped. Continue with the same command.", file=sys.stderr)
            return 128 + stopped.signal
        record = _measure(pipeline.record, networks, command)
    if command.json:
        print(json.dumps(msgspec.to_builtins(record), allow_nan=False))
    else:
        print_table(record)
    return 0


def _refuse_other_runs(out: Path) -> None:
    if (out / "config.json").exists() and not (out / "shrink.json").exists():
        raise AgentError(f"{out} holds a run that batchsim-shrink has not made; choose another --out.")


def _measure(record: ShrinkRecord, networks: Sequence[Network], command: ShrinkCommand) -> ShrinkRecord:
    """Measures and evaluates all networks, and writes shrink.json and the report."""
    walks: list[tuple[PolicyConfig, list[WalkStep]]] = []
    for network in (networks[-1], *networks[:-1]):  # of networks that are alike, the last one walks
        if all(network.policy.config != config for config, _ in walks):
            walks.append((network.policy.config, walk(network.policy, network.config, _OBSERVATIONS)))
    inputs = {n.name: next(steps for config, steps in walks if config == n.policy.config) for n in networks}
    fidelity = _fidelity(networks[-1], inputs[networks[-1].name])
    times = latencies({n.name: n.file for n in networks}, inputs)
    rows = [cost_row(n.name, n.policy, n.file, times[n.name]) for n in networks]
    record = msgspec.structs.replace(record, rows=rows, fidelity=fidelity)
    save_record(command.out, record)
    return _evaluate(record, networks, command) if command.eval_scenes else record


def _fidelity(network: Network, steps: Sequence[WalkStep]) -> Fidelity:
    """Compares the files of `network` with it in torch."""

    def compare(name: str) -> Agreement:
        session = open_session(network.folder / name)
        return agreement(lambda feed: session.run(None, feed), steps)

    exact = compare(FLOAT_FILE)
    same = compare(INT8_FILE).same_action if network.file.name == INT8_FILE else None
    return Fidelity(exact.observations, exact.largest_difference, same)


def _evaluate(record: ShrinkRecord, networks: Sequence[Network], command: ShrinkCommand) -> ShrinkRecord:
    """Runs all networks through the same episodes."""
    session = EvalSession(episodes_of_set(command.eval_scenes, command.eval_episodes))
    candidates = [network.candidate(network.name) for network in networks]
    evaluations = [session.run(candidate) for candidate in candidates]
    rows = [_with_measures(row, found) for row, found in zip(record.rows, evaluations, strict=True)]
    record = msgspec.structs.replace(
        record, rows=rows, scenes=command.eval_scenes, episodes=len(evaluations[0].records)
    )
    save_record(command.out, record)
    order = [len(networks) - 1, *range(len(networks) - 1)]  # the report is about the result
    report = write_evaluation(
        command.out, session, [candidates[k] for k in order], [evaluations[k] for k in order], command.videos
    )
    print(f"Report: {report.resolve()}", file=sys.stderr)
    return record


def _with_measures(row: ShrinkRow, evaluation: Evaluation) -> ShrinkRow:
    summary = evaluation.summary()
    measures = {name: Figure(summary[name]["mean"], *summary[name]["ci95"]) for name in evaluation.measures[:2]}
    return msgspec.structs.replace(row, measures=measures)


def print_table(record: ShrinkRecord) -> None:
    """Prints costs and measures on stderr."""
    names = list(record.rows[0].measures)
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = _WIDTH
    table = Table(title=f"{record.episodes} episodes of {record.scenes}" if record.scenes else None)
    headings = ["", "parameters", "not zero", "bytes", "MFLOP", "us a step", *names]
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for row in record.rows:
        measures = [f"{m.mean:.3f} ({m.low:.3f} to {m.high:.3f})" for m in row.measures.values()]
        figures = (f"{row.parameters:,}", f"{row.nonzero:,}", f"{row.file_bytes:,}", f"{row.flops / 1e6:.2f}")
        table.add_row(row.name, *figures, f"{row.latency_us:.0f}", *measures)
    console.print(table)


if __name__ == "__main__":
    main()
