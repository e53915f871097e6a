"""Runs everything that needs an NVIDIA GPU: measurements and the tests marked `gpu`, in at most nine minutes.

    python -m benchmarks.gpu.gpu_check [--training] [FOLDER]

With `--training` it measures training instead, at the scale of Large Batch Simulation: end to end, with each
performance option toggled, and with more environments. That takes at most nine minutes too.

The parts are ordered by importance (`benchmarks/gpu/parts.py`): after three minutes the machine's properties, the main
ray-casting figure, the tests of context and shared memory, and a short training are done.

Output goes to FOLDER, otherwise to the folder in the environment variable OUT, otherwise to gpu-check: a log for each
part with tests, a JSON file for each measurement, and `summary.json` with the outcome of each part and of each test.
Each part has a time limit; parts that no time is left for are skipped and listed. Needs batchsim's dependencies with
the extra `cuda`, and pytest; batchsim itself need not be installed, and there is no network access.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from batchsim import BatchSimError
from batchsim.process.command_line import BAD_INPUT
from batchsim.render.opengl.devices import choose_device
from benchmarks.gpu.parts import PARTS, TRAINING_PARTS, Part

BUDGET = 530.0
"""Seconds for all parts together."""
_TRAINING = "--training"
_TEST = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b", re.MULTILINE)
_LEAST = 20.0  # a part is skipped if fewer seconds are left


def gpu_check(folder: Path, parts: tuple[Part, ...] = PARTS, budget: float = BUDGET) -> dict[str, Any]:
    """Run `parts` one after the other within `budget` seconds; return the content of `summary.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    summary: dict[str, Any] = {"parts": {}}
    for part in parts:
        left = budget - (time.monotonic() - begin)
        summary["parts"][part.file] = _run(part, folder, left)
        summary["seconds"] = round(time.monotonic() - begin, 1)
        summary["passed"] = all(result["outcome"] == "passed" for result in summary["parts"].values())
        # Written after every part, so that results survive a crash of the machine.
        (folder / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
        print(f"{summary['seconds']:6.1f} s  {part.file}: {_in_words(summary['parts'][part.file])}", flush=True)
    return summary


def _run(part: Part, folder: Path, left: float) -> dict[str, Any]:
    if left < _LEAST:
        return {"outcome": "skipped", "reason": "no time left"}
    begin = time.monotonic()
    # Unbuffered: what a part has printed is kept if it is stopped.
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with open(folder / part.file, "w", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        with subprocess.Popen(
            [sys.executable, *part.arguments], stdout=out, stderr=err, env=environ, start_new_session=True
        ) as process:
            try:
                exit_code: int | None = process.wait(min(part.limit, left))
            except subprocess.TimeoutExpired:
                exit_code = None
                os.killpg(process.pid, signal.SIGKILL)  # compilers and workers too
        err.seek(0)
        said = err.read()
    result: dict[str, Any] = {"outcome": {0: "passed", None: "timeout"}.get(exit_code, "failed")}
    if exit_code is not None:
        result["exit_code"] = exit_code
    result["seconds"] = round(time.monotonic() - begin, 1)
    if exit_code != 0:
        result["stderr"] = _end(said)
    return result | _figures(folder / part.file) | _tests(folder / part.file)


def _tests(file: Path) -> dict[str, Any]:
    """Return the outcomes of the tests in a log of `pytest -v`, also of one that ends in the middle."""
    if file.suffix != ".log":
        return {}
    found = {test: outcome.lower() for test, outcome in _TEST.findall(file.read_text("utf-8", "replace"))}
    return {"tests": found} if found else {}


def _figures(file: Path) -> dict[str, Any]:
    """Return the frames per second in a JSON file of figures, by number of triangles."""
    if file.suffix != ".json":
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    records = content if isinstance(content, list) else [content]
    found = {f"{record['triangles_mean']:,.0f}": round(record["fps"]) for record in records if "fps" in record}
    return {"fps_by_triangles": found} if found else {}


def _end(text: str) -> str:
    return text.strip()[-2000:]


def _in_words(result: dict[str, Any]) -> str:
    if "fps_by_triangles" in result:
        return ", ".join(f"{fps:,} frames/s at {count} triangles" for count, fps in result["fps_by_triangles"].items())
    reason = result.get("reason") or result.get("stderr", "")
    text = result["outcome"]
    if "tests" in result:
        outcomes = list(result["tests"].values())
        failed = [test for test, outcome in result["tests"].items() if outcome in ("failed", "error")]
        text += f", {outcomes.count('passed')} tests passed, {len(failed)} failed"
        reason = ", ".join(failed) or reason
    return text + (f": {reason.splitlines()[-1]}" if reason else "")


def main() -> None:
    """Run the command: exit code 0 if all parts passed, 1 if not, 2 without a GPU."""
    try:
        choose_device("cuda")
    except BatchSimError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    words = [word for word in sys.argv[1:] if word != _TRAINING]
    folder = Path(words[0] if words else os.environ.get("OUT") or "gpu-check")
    summary = gpu_check(folder, TRAINING_PARTS if _TRAINING in sys.argv else PARTS)
    print(f"Results: {folder.resolve()}")
    sys.exit(0 if summary["passed"] else 1)


if __name__ == "__main__":
    main()
