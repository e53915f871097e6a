"""A full disk costs no checkpoint and no line of the log."""

import errno
import json
import os
import resource
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from batchsim.agents.config import TrainConfig
from batchsim.agents.runs import checkpoint, checkpoint_folder
from batchsim.agents.runs.checkpoint import (
    CheckpointError,
    find_checkpoint,
    load_log_state,
    load_policy,
    save_checkpoint,
)
from batchsim.agents.training.build import make_trainer
from batchsim.agents.training.training_run import TrainingRun
from tests.helpers.small_runs import FRAMES, SMALL


@pytest.fixture
def trainer():
    made = make_trainer(TrainConfig(**SMALL))
    yield made
    made.env.close()


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
