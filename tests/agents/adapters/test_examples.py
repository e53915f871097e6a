"""The examples of the adapters run and are as short as the documentation says; `make test-compat` trains them fully."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "trainers"
LIBRARIES = {
    "cleanrl_ppo.py": "torch",
    "rsl_rl_ppo.py": "rsl_rl",
    "sb3_ppo.py": "sb3_contrib",
    "skrl_ppo.py": "skrl",
    "torchrl_ppo.py": "torchrl",
}


def test_examples_are_short():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(LIBRARIES)
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 60, path.name


@pytest.mark.parametrize(("name", "arguments"), [*((name, ()) for name in LIBRARIES), ("sb3_ppo.py", ("--recurrent",))])
def test_examples_run(tmp_path, name, arguments):
    """One update each, and the evaluation of an untrained policy."""
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"needs {LIBRARIES[name]}")
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parents[1])}
    command = [sys.executable, str(EXAMPLES / name), "2048", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    result = next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    assert result["episodes"] == 128
    assert 0 <= result["success"] <= 1
    assert result["frames_per_second"] > 0
    assert list(tmp_path.iterdir()) == []
