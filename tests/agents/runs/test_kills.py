"""Training processes that are killed: at every system call that changes a file, and at random moments.

A killed run always continues from the state before or after the checkpoint that it was writing, and ends with the same
weights and the same log as a run that was never killed.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import pytest
from safetensors.torch import load_file, save

from batchsim.agents.runs.checkpoint import find_checkpoint, load_policy
from batchsim.agents.runs.checkpoint_folder import holds_checkpoints
from tests.helpers.killable_run import FRAMES, RunServer

CHANGES = [
    *("open", "openat", "creat", "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate"),
    *("rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "link", "symlink"),
]
"""The system calls that change files; killed before any other call, a process leaves the same files."""
OF_THE_CLOCK = {"fps", "seconds", "us_collect", "us_learn"}


@pytest.fixture(scope="module")
def server(cache_of_this_session):
    started = RunServer()
    yield started
    started.close()


def weights_of(out: Path) -> tuple[int, str]:
    """The updates of the run's checkpoint, and a digest of all its tensors."""
    folder = find_checkpoint(out)
    load_policy(folder)
    digest = blake2b(digest_size=8)
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(save(load_file(path)))
    return json.loads((folder / "trainer.json").read_text())["frames"] // FRAMES, digest.hexdigest()


def log_of(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in OF_THE_CLOCK} for line in lines]


@pytest.fixture(scope="module")
def straight(server, tmp_path_factory):
    """What each number of updates gives, without a kill; and the log of 50."""
    out = tmp_path_factory.mktemp("straight")
    known = {}
    for updates in (1, 2, 3):
        server.run(out / f"{updates}", updates)
        known[updates] = weights_of(out / f"{updates}")[1]
    server.run(out / "all", 50)
    known[50] = weights_of(out / "all")[1]
    return known, log_of(out / "all")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_fifty_updates_stopped_at_a_random_one_are_the_same_fifty(server, straight, tmp_path, seed):
    """Bit for bit, the log included."""
    known, log = straight
    stop = random.Random(seed).randrange(1, 50)
    server.run(tmp_path / "run", stop)
    assert weights_of(tmp_path / "run")[0] == stop
    server.run(tmp_path / "run", 50)
    assert weights_of(tmp_path / "run") == (50, known[50])
    assert log_of(tmp_path / "run") == log
    assert [line["updates"] for line in log] == [*range(3, 51, 3), 50]


def kill_at_random_moments(server, out: Path, kills: int, seed: int) -> list[int]:
    """Kills the run `kills` times; returns the updates of the checkpoint after each kill."""
    moments, reached = random.Random(seed), []
    longest = 0.2
    for _ in range(kills):
        child = server.start(out, 10**6)
        os.kill(child, signal.SIGCONT)
        time.sleep(moments.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        reached.append(weights_of(out)[0] if holds_checkpoints(out / "checkpoint") else 0)
        # The moments reach beyond the time that it takes to load and to save.
        longest = min(2.0, longest * 1.5) if len(reached) < 2 or reached[-1] == reached[-2] else max(0.1, longest / 1.1)
    return reached


def check_random_kills(server, tmp_path: Path, kills: int) -> None:
    reached = kill_at_random_moments(server, tmp_path / "run", kills, seed=0)
    assert reached == sorted(reached)
    assert reached[-1] > 0
    last = reached[-1] + 2
    server.run(tmp_path / "run", last)
    server.run(tmp_path / "never", last)
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "never")
    assert log_of(tmp_path / "run") == log_of(tmp_path / "never")
    print(f"{kills} kills; updates after them: {reached[:: max(1, kills // 20)]}")


def test_kills_at_random_moments(server, tmp_path):
    check_random_kills(server, tmp_path, 8)


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments(server, tmp_path):
    check_random_kills(server, tmp_path, 200)


def traced(server, out: Path, updates: int, trace: Path, *options: str) -> int:
    """Trains in `out` under strace; returns the exit code."""
    child = server.start(out, updates)
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={','.join(CHANGES)}", *options]
    tracer = subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    status = Path(f"/proc/{child}/status")
    while "\nTracerPid:\t0\n" in status.read_text():
        assert tracer.poll() is None, tracer.stderr.read()
        time.sleep(0.001)
    os.kill(child, signal.SIGCONT)
    code = server.wait()
    tracer.wait(60)
    return code


def calls_of(server, template: Path, updates: int, folder: Path) -> list[tuple[str, int]]:
    """Every system call that changes a file while a copy of `template` trains on: its name, and its number.

    Files that are opened for reading are left out, but counted.
    """
    out = shutil.copytree(template, folder / "counted")
    assert traced(server, out, updates, folder / "trace") == 0
    shutil.rmtree(out)
    calls, counts = [], Counter()
    for line in (folder / "trace").read_text().splitlines():
        name, _, arguments = line.split(None, 1)[1].partition("(")
        if name in CHANGES:
            counts[name] += 1
            if not (name.startswith("open") and "O_RDONLY" in arguments):
                calls.append((name, counts[name]))
    return calls


def kill_at(server, out: Path, updates: int, call: tuple[str, int], folder: Path) -> None:
    name, number = call
    code = traced(server, out, updates, folder / "trace", "-e", f"inject={name}:signal=KILL:when={number}")
    assert code in (0, -signal.SIGKILL)


def digest_of(out: Path) -> str:
    """What a resumed run finds, but for what the clock says and names that are random."""
    digest = blake2b(digest_size=8)
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_dir():
            digest.update(name.encode())
        elif path.suffix in (".safetensors", ".json") and path.name not in ("trainer.json", "manifest.json"):
            digest.update(name.encode() + path.read_bytes())
        elif path.suffix in (".json", ".jsonl"):
            content = path.read_bytes()
            digest.update(f"{name} {content.count(b'}')} {content[-1:]}".encode())
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_kill_at_every_system_call_and_again_at_every_one_of_the_resume(server, straight, tmp_path):
    """The first kill is during update 2 and its checkpoint, the second while the resumed run goes up to update 3."""
    known, _ = straight
    template = tmp_path / "template"
    server.run(template, 1)
    first = calls_of(server, template, 2, tmp_path)
    assert {"fsync", "write", "rename", "unlinkat", "mkdir"} <= {name for name, _ in first}
    states: dict[str, Path] = {}
    for call in first:
        out = shutil.copytree(template, tmp_path / "-".join(map(str, call)))
        kill_at(server, out, 2, call, tmp_path)
        updates, digest = weights_of(out)
        assert updates in (1, 2)
        assert digest == known[updates], call
        states.setdefault(digest_of(out), out)
        if states[digest_of(out)] != out:
            shutil.rmtree(out)
    second, ends = 0, Counter()
    for state in states.values():
        for call in calls_of(server, state, 3, tmp_path):
            out = shutil.copytree(state, tmp_path / "again")
            kill_at(server, out, 3, call, tmp_path)
            updates, digest = weights_of(out)
            assert digest == known[updates], (state.name, call)
            ends[updates] += 1
            second += 1
            shutil.rmtree(out)
        server.run(state, 3)
        assert weights_of(state) == (3, known[3])
    assert set(ends) == {1, 2, 3}
    print(f"{len(first)} first kills, {len(states)} states, {second} second kills, continued from {dict(ends)}")
