"""Runs that stop and go on equal those that did not; and no failure of the disk costs the last checkpoint."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.runs import checkpoint, checkpoint_folder
from batchsim.agents.runs.checkpoint import (
    CheckpointError,
    find_checkpoint,
    load_log_state,
    load_policy,
    load_trainer,
    save_checkpoint,
)
from batchsim.agents.train import train
from batchsim.agents.training.build import make_trainer
from batchsim.agents.training.training_run import TrainingRun
from tests.helpers.small_runs import FRAMES, SMALL

OF_THE_CLOCK = {"fps", "seconds", "us_collect", "us_learn"}


@pytest.fixture
def trainer():
    made = make_trainer(TrainConfig(**SMALL))
    yield made
    made.env.close()


def resume(out: Path) -> None:
    """As a user would, in a process of its own."""
    command = [sys.executable, "-m", "batchsim.agents.train", "--out", str(out), "--resume"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "new episodes" not in done.stderr


def log_of(out: Path) -> list[dict]:
    """The lines of a log, but for what the clock says."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in OF_THE_CLOCK} for line in lines]


def set_frames(out: Path, frames: int) -> None:
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"total_frames": frames}))


def test_resumed_training_equals_training_that_never_stopped(tmp_path):
    """Bit for bit, in another process: weights, optimiser, environments, and the log but for what the clock says."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    # With a constant learning rate, since the budget of frames has to differ.
    constant = {"final_lr_fraction": 1.0}
    train(TrainConfig(**SMALL, total_frames=4 * FRAMES, **constant), straight)
    train(TrainConfig(**SMALL, total_frames=2 * FRAMES, **constant), stopped)
    set_frames(stopped, 4 * FRAMES)
    resume(stopped)
    for path in find_checkpoint(straight).glob("*.safetensors"):
        expected, found = load_file(path), load_file(find_checkpoint(stopped) / path.name)
        assert expected.keys() == found.keys()
        for name in expected:
            assert torch.equal(expected[name], found[name]), f"{path.name}: {name}"
    assert len(log_of(straight)) == 4
    assert log_of(straight) == log_of(stopped)


def test_a_checkpoint_names_the_backend_that_auto_took(tmp_path):
    train(TrainConfig(**SMALL | {"renderer": "auto"}, total_frames=FRAMES), tmp_path / "run")
    assert TrainConfig.load(tmp_path / "run" / "config.json").renderer in ("raycast", "raster")


def test_other_environments_go_on_with_new_episodes(tmp_path, trainer):
    trainer.iteration()
    save_checkpoint(tmp_path, trainer)
    other = make_trainer(TrainConfig(**SMALL | {"num_envs": 4}))
    reason = load_trainer(find_checkpoint(tmp_path), other)
    assert "6 environments" in reason
    assert other.progress == trainer.progress
    for a, b in zip(trainer.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert other.env.simulator.state.episode.eq(0).all()
    assert other.iteration()["frames"] == FRAMES + 4 * 7
    other.env.close()


def test_a_run_that_died_takes_back_what_it_logged_too_far(tmp_path, trainer):
    config = TrainConfig(**SMALL, total_frames=2 * FRAMES)
    TrainingRun(trainer, config, tmp_path).run()
    log = tmp_path / "log.jsonl"
    ahead = json.loads(log.read_text().splitlines()[-1]) | {"frames": 10 * FRAMES}
    log.write_text(log.read_text() + json.dumps(ahead) + '\n{"frames": 11')
    again = TrainConfig(**SMALL, total_frames=3 * FRAMES)
    TrainingRun(trainer, again, tmp_path, load_log_state(find_checkpoint(tmp_path))).run()
    assert [json.loads(line)["frames"] for line in log.read_text().splitlines()] == [FRAMES, 2 * FRAMES, 3 * FRAMES]


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
def test_gpu_run_goes_on_from_its_checkpoint(tmp_path, optimizer):
    config = TrainConfig(**SMALL | {"device": "cuda", "ppo": PPOConfig(optimizer=optimizer)})
    first, second = make_trainer(config), make_trainer(config)
    first.iteration()
    save_checkpoint(tmp_path, first)
    assert load_trainer(find_checkpoint(tmp_path), second) is None
    moments = [[s["exp_avg"] for s in t.ppo.optimizer.state.values()] for t in (first, second)]
    assert all(torch.equal(a, b) for a, b in zip(*moments, strict=True))
    figures = [trainer.iteration() for trainer in (first, second)]
    assert figures[1]["frames"] == figures[0]["frames"] == 2 * FRAMES
    assert figures[1]["value_loss"] == pytest.approx(figures[0]["value_loss"], rel=1e-2)
    for trainer in (first, second):
        trainer.env.close()


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_at(monkeypatch, point):
    """The disk is full from some moment of saving on."""
    if point == "folder":
        monkeypatch.setattr(Path, "mkdir", full_disk)
    elif point == "weights":
        monkeypatch.setattr(checkpoint, "save_file", full_disk)
    elif point == "environments":
        save_file = checkpoint.save_file

        def save(tensors, path):
            return full_disk() if "environments" in path.name else save_file(tensors, path)

        monkeypatch.setattr(checkpoint, "save_file", save)
    elif point == "counters":
        monkeypatch.setattr(Path, "write_text", full_disk)
    elif point == "flush":
        monkeypatch.setattr(os, "fsync", full_disk)
    elif point == "manifest":
        monkeypatch.setattr(checkpoint_folder, "atomic_write", full_disk)


@pytest.mark.parametrize("point", ["folder", "weights", "environments", "counters", "flush", "manifest"])
def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, trainer, monkeypatch, point):
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    trainer.iteration()
    with monkeypatch.context() as patch:
        fail_at(patch, point)
        with pytest.raises(CheckpointError, match=r"No space left on device.*Free some space"):
            save_checkpoint(tmp_path, trainer)
    assert find_checkpoint(tmp_path) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list((tmp_path / "checkpoint").iterdir()) == [folder]
    save_checkpoint(tmp_path, trainer)
    assert json.loads((find_checkpoint(tmp_path) / "trainer.json").read_text())["updates"] == 1


def test_training_continues_while_the_disk_is_full(tmp_path, trainer, monkeypatch, capsys):
    """Each failure is reported; a last checkpoint that cannot be written is an error."""
    config = TrainConfig(**SMALL, total_frames=3 * FRAMES, checkpoint_minutes=0.0)
    save_checkpoint(tmp_path, trainer)
    run = TrainingRun(trainer, config, tmp_path, load_log_state(find_checkpoint(tmp_path)))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full_disk)
        with pytest.raises(CheckpointError, match="No space left"):
            run.run()
    assert trainer.progress.updates == 3
    assert capsys.readouterr().err.count("Training continues.") == 3
    TrainingRun(trainer, config, tmp_path, load_log_state(find_checkpoint(tmp_path))).run()
    load_policy(find_checkpoint(tmp_path))


def test_training_stops_at_once_if_nothing_can_be_saved(tmp_path, trainer, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        TrainingRun(trainer, TrainConfig(**SMALL, total_frames=3 * FRAMES), tmp_path).run()
    assert trainer.progress.updates == 0


def test_a_log_that_cannot_be_written_for_a_while_is_complete_in_the_end(tmp_path, trainer, capsys, monkeypatch):
    """The file size limit of the process is reached during the second of four updates, and raised before the fourth."""
    config = TrainConfig(**SMALL, total_frames=4 * FRAMES)
    run = TrainingRun(trainer, config, tmp_path)
    iteration, limits = trainer.iteration, resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited():
        if trainer.progress.updates == 1:
            size = (tmp_path / "log.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, limits[1]))
        if trainer.progress.updates == 3:
            assert (tmp_path / "log.jsonl").read_text().count("\n") == 1
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        return iteration()

    monkeypatch.setattr(trainer, "iteration", limited)
    try:
        run.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    frames = [json.loads(line)["frames"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert frames == [FRAMES, 2 * FRAMES, 3 * FRAMES, 4 * FRAMES]
    assert capsys.readouterr().err.count("log cannot be written") == 1
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("losses/policy_loss")] == frames


def test_resuming_at_any_update_writes_the_same_log(tmp_path):
    """A line covers three updates, so most stops are in the middle of a window; seven updates leave one unfinished."""
    options = SMALL | {"log_every": 3, "final_lr_fraction": 1.0}
    config = TrainConfig(**options, total_frames=7 * FRAMES)
    train(config, tmp_path / "straight")
    for stop in (1, 2, 3, 5):
        out = tmp_path / f"stopped-{stop}"
        train(replace(config, total_frames=stop * FRAMES), out)
        set_frames(out, 7 * FRAMES)
        assert train(config, out, resume=True) == 0
        assert log_of(out) == log_of(tmp_path / "straight")
    assert [line["updates"] for line in log_of(out)] == [3, 6, 7]


def test_weights_that_are_not_finite_are_refused(tmp_path, trainer):
    with torch.no_grad():
        trainer.policy.actor.weight[0, 0] = torch.nan
    save_checkpoint(tmp_path, trainer)
    with pytest.raises(AgentError, match=r"policy\.safetensors: actor\.weight holds values that are not finite"):
        load_policy(tmp_path)


def test_a_policy_is_found_in_a_run_its_checkpoints_or_one_of_them(tmp_path, trainer):
    save_checkpoint(tmp_path, trainer)
    for folder in (tmp_path, tmp_path / "checkpoint", find_checkpoint(tmp_path), str(tmp_path)):
        assert torch.equal(load_policy(folder).critic.weight, trainer.policy.critic.weight)
    with pytest.raises(AgentError, match="holds no checkpoint"):
        load_policy(tmp_path / "absent")


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Changes a file of a checkpoint, and its manifest with it, as somebody would who crafts one."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = {"bytes": len(content), "blake2b": blake2b(content, digest_size=16).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


NOT_JSON = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200_000]


@pytest.mark.parametrize("name", ["policy.json", "trainer.json", "policy.safetensors", "optimizer.safetensors"])
def test_a_file_of_a_checkpoint_that_is_something_else_is_named(tmp_path, trainer, name):
    trainer.iteration()
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    for content in NOT_JSON:
        rewrite(folder, name, content)
        with pytest.raises(AgentError, match=re.escape(str(folder / name))) as raised:
            load_trainer(find_checkpoint(tmp_path), trainer)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("policy.json", "hidden_size", "16"),
        ("policy.json", "hidden_size", 10**18),
        ("policy.json", "hidden_size", -1),
        ("policy.json", "hidden_size", 17),
        ("policy.json", "core_layers", 10**9),
        ("policy.json", "core", "transformer"),
        ("policy.json", "images", "depth"),
        ("policy.json", "images", ["sound"]),
        ("policy.json", "image_size", [16]),
        ("policy.json", "image_size", [10**9, 10**9]),
        ("policy.json", "visual_channels", [[4]]),
        ("policy.json", "vectors", {"goal": 1e3}),
        ("policy.json", "stop_action", 9),
        ("trainer.json", "frames", -1),
        ("trainer.json", "frames", 1.5),
        ("trainer.json", "seconds", "1"),
        ("trainer.json", "seconds", None),
        ("trainer.json", "ranks", 0),
        ("trainer.json", "log", []),
        ("trainer.json", "log", {"pending": [{"updates": "1"}]}),
    ],
)
def test_values_of_the_wrong_type_or_size_are_named(tmp_path, trainer, name, field, value):
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    content = json.loads((folder / name).read_text()) | {field: value}
    rewrite(folder, name, json.dumps(content).encode())
    with pytest.raises(AgentError, match=re.escape(str(folder))) as raised:
        load_trainer(find_checkpoint(tmp_path), trainer)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0.action", lambda value: value + 99),
        ("0.action", lambda value: value.float()),
        ("0.memory", lambda value: value * torch.nan),
        ("0.memory", lambda value: value[:, :3]),
        ("0.episode_start", lambda value: value[:2]),
        ("0.streams", lambda value: value.int()),
        ("collectors", lambda value: torch.ones(3)),
        ("generator", lambda value: value[:7]),
    ],
)
def test_environments_of_the_wrong_kind_are_named(tmp_path, trainer, name, change):
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    tensors = load_file(folder / "environments-0.safetensors")
    rewrite(folder, "environments-0.safetensors", save(tensors | {name: change(tensors[name]).contiguous()}))
    with pytest.raises(AgentError, match=r"environments-0\.safetensors"):
        load_trainer(folder, trainer)
