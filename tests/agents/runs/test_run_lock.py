"""Only one process trains in a run folder."""

import fcntl
import os
import socket
import subprocess
import sys

import pytest

from batchsim.agents.errors import AgentError
from batchsim.agents.runs.run_lock import locked

HOLD = "import sys; from pathlib import Path; from batchsim.agents.runs.run_lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_holder_is_named_and_a_killed_one_holds_nothing(tmp_path, holder):
    with pytest.raises(AgentError, match=f"process {holder.pid} on {socket.gethostname()} trains there"):
        locked(tmp_path / "run").__enter__()
    holder.kill()
    holder.wait()
    for _ in range(2):
        with locked(tmp_path / "run"):
            assert f'"process": {os.getpid()}' in (tmp_path / "run" / ".lock").read_text()


@pytest.mark.parametrize("content", ["", "{", '{"process": "1", "host": 2}', "x" * 10000])
def test_a_damaged_lock_file_is_no_obstacle(tmp_path, holder, content):
    (tmp_path / "run" / ".lock").write_text(content)
    with pytest.raises(AgentError, match="another process trains there"):
        locked(tmp_path / "run").__enter__()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".lock").write_text(content)
    with locked(tmp_path / "other"):
        pass


def test_without_locks_in_the_file_system_training_runs(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path), locked(tmp_path):
        pass
