"""The command as a user runs it: train, interrupt, resume, evaluate; and its errors for bad input."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchsim.agents.runs.checkpoint import find_checkpoint
from batchsim.agents.runs.checkpoint_folder import holds_checkpoints

TINY = ["--scenes", "one-room", "--num-envs", "8", "--rollout-steps", "8", "--eval-scenes", "", "--hidden-size", "16"]


def run(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def frames_of(out: Path) -> int:
    return json.loads((find_checkpoint(out) / "trainer.json").read_text())["frames"]


def test_training_writes_a_run_folder_that_evaluation_reads(tmp_path: Path) -> None:
    done = run("batchsim.agents.train", "--out", "run", *TINY, "--total-frames", "640", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "run"
    assert frames_of(out) == 640
    assert json.loads((out / "config.json").read_text())["num_envs"] == 8
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["frames"] == 640
    assert {"fps", "entropy", "value_loss", "success"} <= lines[-1].keys()
    assert list((out / "tensorboard").glob("events*"))

    again = run("batchsim.agents.train", "--out", "run", *TINY, cwd=tmp_path)
    assert again.returncode == 2
    assert "--resume" in again.stderr

    arguments = ("run", "--scenes", "one-room", "--episodes", "6", "--num-envs", "3", "--baselines", "greedy", "--json")
    evaluated = run("batchsim.agents.eval", *arguments, cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    figures = json.loads(evaluated.stdout)
    assert figures["episodes"] == 6
    assert set(figures["success"]) == {"mean", "ci95"}
    assert (out / "evaluation.json").exists()
    assert "<html" in (out / "report.html").read_text()


def test_an_interrupted_run_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "batchsim.agents.train", "--out", "run", *TINY, "--total-frames", "1000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors
    frames = frames_of(tmp_path / "run")
    assert frames > 0

    config = tmp_path / "run" / "config.json"
    changed = run(
        "batchsim.agents.train", "--out", "run", "--resume", "--total-frames", "5", "--gamma", "0.5", cwd=tmp_path
    )
    assert changed.returncode == 2
    assert "total_frames is 1000000, not 5, gamma is 0.99, not 0.5" in changed.stderr
    shorter = json.loads(config.read_text()) | {"total_frames": frames + 128}
    config.write_text(json.dumps(shorter))
    resumed = run("batchsim.agents.train", "--out", "run", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert frames_of(tmp_path / "run") == frames + 128


def test_scenes_are_swapped_and_a_broken_one_is_named(tmp_path: Path, one_room, four_rooms) -> None:
    folder = tmp_path / "buildings"
    for name, scene in (("a", one_room), ("b", four_rooms), ("c", one_room), ("d", four_rooms)):
        scene.save(folder / f"{name}.scene")
    (folder / "broken.scene").write_bytes((folder / "a.scene").read_bytes()[:1000])
    options = [
        "--num-resident-scenes",
        "2",
        "--max-episode-steps",
        "5",
        "--total-frames",
        "5120",
        "--scenes",
        "buildings",
    ]
    done = run("batchsim.agents.train", "--out", "run", *TINY, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 scenes could not be loaded and were left out:\n  buildings/broken.scene: " in done.stderr
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert last["scenes_visited"] == 4
    assert last["scenes_failed"] == 1
    assert last["scene_changes"] > 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "nope"], "quickstart"),
        (["--num-envs", "0"], "num_envs"),
        (["--scenes", "homes:nope"], "homes:train"),
        (["--resume", "--out", "missing"], "no checkpoint"),
        (["--minibatches", "500"], "minibatches"),
        (["--renderer", "magic", *TINY], "raycast"),
        ([*TINY, "--eval-scenes", "homes:nope"], "homes:train"),
        ([*TINY, "--out", "/proc/nowhere/run"], "/proc/nowhere"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run("batchsim.agents.train", "--out", "run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], "baseline"),
        (["greedy", "--scenes", "homes:nope"], "homes:val"),
        (["greedy", "--scenes", "one-room", "--episodes", "0"], "episodes"),
        (["greedy", "--scenes", "one-room", "--num-envs", "0"], "num_envs"),
    ],
)
def test_evaluation_of_bad_input_gets_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run("batchsim.agents.eval", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_checkpoint_of_another_shape_or_damaged_is_refused(tmp_path: Path) -> None:
    done = run("batchsim.agents.train", "--out", "run", *TINY, "--total-frames", "128", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "run"
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"hidden_size": 32, "total_frames": 1000}))
    resumed = run("batchsim.agents.train", "--out", "run", "--resume", cwd=tmp_path)
    assert resumed.returncode == 2
    assert "another shape" in resumed.stderr

    weights = find_checkpoint(out) / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    evaluated = run("batchsim.agents.eval", "run", "--scenes", "one-room", "--episodes", "2", cwd=tmp_path)
    assert evaluated.returncode == 2
    assert "policy.safetensors has" in evaluated.stderr
    assert len(evaluated.stderr.strip().splitlines()) == 1
    again = run("batchsim.agents.train", "--out", "run", *TINY, cwd=tmp_path)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr


def test_a_second_trainer_in_the_folder_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "batchsim.agents.train", "--out", "run", *TINY, "--total-frames", "1000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        log = tmp_path / "run" / "log.jsonl"
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for options in ([], ["--resume"]):
            other = run("batchsim.agents.train", "--out", "run", *options, cwd=tmp_path)
            assert other.returncode == 2
            assert f"process {process.pid} on {socket.gethostname()} trains there" in other.stderr
            assert len(other.stderr.strip().splitlines()) == 1
    finally:
        process.kill()
        process.wait()
    # The lock of a process that was killed is free.
    shorter = json.loads((tmp_path / "run" / "config.json").read_text()) | {"total_frames": 1}
    (tmp_path / "run" / "config.json").write_text(json.dumps(shorter))
    assert run("batchsim.agents.train", "--out", "run", "--resume", cwd=tmp_path).returncode == 0


def test_make_train_resumes_if_there_is_a_whole_checkpoint(tmp_path: Path) -> None:
    """Not if the first one was killed before it was whole, since then there is nothing to resume."""
    root = Path(__file__).parents[2]

    def resumes() -> bool:
        command = ["make", "--dry-run", "train", f"OUT={tmp_path}/run"]
        lines = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
        (line,) = [line for line in lines if "batchsim-train" in line]
        assert f"--out {tmp_path}/run" in line
        return "--resume" in line

    assert not resumes()
    checkpoint = tmp_path / "run" / "checkpoint" / "00000001"
    checkpoint.mkdir(parents=True)
    (checkpoint / "policy.json").write_text("{}")
    assert not resumes()
    assert not holds_checkpoints(checkpoint.parent)
    (checkpoint / "manifest.json").write_text("{}")
    assert resumes()
    assert holds_checkpoints(checkpoint.parent)
