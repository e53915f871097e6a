"""`batchsim-bench`: measures how many frames per second this machine renders, simulates and trains.

Examples:
    batchsim-bench render --num-envs 256 --sensors depth,rgb --scenes "homes:train?detail=high&count=8"
    batchsim-bench step --num-envs 1024 --json
    batchsim-bench train --preset quickstart --speed-ups
    batchsim-bench step --sweep num_envs=16,64,256,1024 --sweep detail=low,high --out sweep
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence

from batchsim.agents.benchmarks.changes import run_changes
from batchsim.agents.benchmarks.command import BenchCommand, TrainBench, parse
from batchsim.agents.benchmarks.plot import plot_sweeps
from batchsim.agents.benchmarks.sweep import Sweep, parse_axes, run_sweep, save_sweep
from batchsim.agents.benchmarks.table import print_record, print_sweep
from batchsim.agents.cli import run_command
from batchsim.agents.errors import AgentError

_SWEEP_OPTIONS = ("--sweep", "--out", "--passes")  # options with a value that are not passed on to a cell


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `batchsim-bench` with `arguments` (default: those of the process)."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    run_command("batchsim-bench", lambda: _main(typed))


def _main(typed: list[str]) -> int:
    line = shlex.join(["batchsim-bench", *typed])
    command = parse(typed)
    speed_ups = isinstance(command, TrainBench) and command.speed_ups
    if command.sweep or speed_ups:
        command.out.mkdir(parents=True, exist_ok=True)
    if command.sweep:
        sweep = run_sweep(typed[0], _without_sweep(typed[1:]), parse_axes(command.sweep), line)
        return _show(command, sweep, f"{typed[0]}: cost of a frame")
    if isinstance(command, TrainBench) and command.speed_ups:
        sweep = run_changes("train", _without_sweep(typed[1:]), command.changes(), command.passes, line)
        return _show(command, sweep, "train: cost of a frame with one option changed")
    result = command.measure(line)
    if command.json:
        print(json.dumps(result.to_json()))
    else:
        print_record(result)
    return 0


def _show(command: BenchCommand, sweep: Sweep, title: str) -> int:
    """Write `sweep.csv`, `sweep.json` and `sweep.png` to `command.out` and print the figures."""
    records = [cell.record for cell in sweep.cells if cell.record is not None]
    if not records:
        raise AgentError(f"No cell of the sweep could be measured; error of the last: {sweep.cells[-1].failure}")
    sweep.title = title
    save_sweep(sweep, command.out / "sweep")
    plot_sweeps([sweep], command.out / "sweep.png")
    if command.json:
        print(json.dumps(records))
    else:
        print_sweep(sweep)
        print(f"{command.out.resolve()}: sweep.csv, sweep.json, sweep.png")
    return 0


def _without_sweep(typed: list[str]) -> list[str]:
    """Return the typed words without the options that concern the sweep as a whole."""
    kept, skip = [], False
    for word in typed:
        if skip:
            skip = False
        elif word in _SWEEP_OPTIONS:
            skip = True
        elif word not in ("--json", "--speed-ups") and word.partition("=")[0] not in _SWEEP_OPTIONS:
            kept.append(word)
    return kept


if __name__ == "__main__":
    main()
