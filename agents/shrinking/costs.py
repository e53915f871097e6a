"""What a network costs: parameters, bytes, operations, and the time of one step."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from batchsim.agents.evaluation.onnx_policy import open_session
from batchsim.agents.networks.flops import flops_per_frame
from batchsim.agents.networks.policy import Policy
from batchsim.agents.runs.shrink_record import ShrinkRow
from batchsim.agents.shrinking.walks import WalkStep

_ROUNDS, _FEEDS, _WARM_UP = 30, 50, 100


def cost_row(name: str, policy: Policy, file: Path, latency_us: float) -> ShrinkRow:
    """Returns the costs of `policy`, whose ONNX file is `file`, without measures."""
    weights = list(policy.parameters())
    return ShrinkRow(
        name=name,
        parameters=sum(weight.numel() for weight in weights),
        nonzero=sum(int(weight.count_nonzero()) for weight in weights),
        file_bytes=file.stat().st_size,
        flops=flops_per_frame(policy).forward,
        latency_us=latency_us,
    )


def latencies(files: Mapping[str, Path], steps: Mapping[str, Sequence[WalkStep]]) -> dict[str, float]:
    """Returns the median time of one step in one environment on one CPU core, microseconds, of each ONNX file.

    The files are timed in turns, so that a busy machine slows all of them down alike.

    Args:
        files: The files by name.
        steps: Inputs to time each with.
    """
    sessions = {name: open_session(file, threads=1) for name, file in files.items()}
    feeds = {
        name: [{key: rows[:1] for key, rows in step.inputs.items()} for step in steps[name][-_FEEDS:]] for name in files
    }
    times: dict[str, list[float]] = {name: [] for name in files}
    for name, session in sessions.items():
        for k in range(_WARM_UP):
            session.run(None, feeds[name][k % len(feeds[name])])
    for _ in range(_ROUNDS):
        for name, session in sessions.items():
            for feed in feeds[name]:
                begin = time.perf_counter()
                session.run(None, feed)
                times[name].append(time.perf_counter() - begin)
    return {name: 1e6 * median(values) for name, values in times.items()}
