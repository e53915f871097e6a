"""Runs that stop and go on equal those that did not; and no failure of the disk costs the last checkpoint."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from batchsim.agents.config import TrainConfig
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.runs import checkpoint
from batchsim.agents.runs.checkpoint import CheckpointError, find_checkpoint, load_policy, load_trainer, save_checkpoint
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
    for path in (straight / "checkpoint").glob("*.safetensors"):
        expected, found = load_file(path), load_file(stopped / "checkpoint" / path.name)
        assert expected.keys() == found.keys()
        for name in expected:
            assert torch.equal(expected[name], found[name]), f"{path.name}: {name}"
    logs = [(run / "log.jsonl").read_text().splitlines() for run in (straight, stopped)]
    assert [len(log) for log in logs] == [4, 4]
    for a, b in zip(*logs, strict=True):
        a, b = ({k: v for k, v in json.loads(line).items() if k not in OF_THE_CLOCK} for line in (a, b))
        assert a == b


def test_a_checkpoint_names_the_backend_that_auto_took(tmp_path):
    train(TrainConfig(**SMALL | {"renderer": "auto"}, total_frames=FRAMES), tmp_path / "run")
    assert TrainConfig.load(tmp_path / "run" / "config.json").renderer in ("raycast", "raster")


def test_other_environments_go_on_with_new_episodes(tmp_path, trainer):
    trainer.iteration()
    save_checkpoint(tmp_path / "checkpoint", trainer)
    other = make_trainer(TrainConfig(**SMALL | {"num_envs": 4}))
    reason = load_trainer(tmp_path / "checkpoint", other)
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
    TrainingRun(trainer, again, tmp_path).run()
    assert [json.loads(line)["frames"] for line in log.read_text().splitlines()] == [FRAMES, 2 * FRAMES, 3 * FRAMES]


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
def test_gpu_run_goes_on_from_its_checkpoint(tmp_path, optimizer):
    config = TrainConfig(**SMALL | {"device": "cuda", "ppo": PPOConfig(optimizer=optimizer)})
    first, second = make_trainer(config), make_trainer(config)
    first.iteration()
    save_checkpoint(tmp_path / "checkpoint", first)
    assert load_trainer(tmp_path / "checkpoint", second) is None
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
    """A disk that is full from some moment of saving on."""
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
    elif point == "swap":
        rename = Path.rename

        def swap(self, target):
            return full_disk() if self.name.endswith(".new") else rename(self, target)

        monkeypatch.setattr(Path, "rename", swap)


@pytest.mark.parametrize("point", ["folder", "weights", "environments", "counters", "flush", "swap"])
def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, trainer, monkeypatch, point):
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, trainer)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    trainer.iteration()
    with monkeypatch.context() as patch:
        fail_at(patch, point)
        with pytest.raises(CheckpointError, match=r"No space left on device.*make room"):
            save_checkpoint(folder, trainer)
    assert find_checkpoint(tmp_path) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    save_checkpoint(folder, trainer)
    assert json.loads((folder / "trainer.json").read_text())["updates"] == 1


def test_training_goes_on_while_the_disk_is_full(tmp_path, trainer, monkeypatch, capsys):
    """It says so each time; a last checkpoint that cannot be written is an error."""
    config = TrainConfig(**SMALL, total_frames=3 * FRAMES, checkpoint_minutes=0.0)
    run = TrainingRun(trainer, config, tmp_path)
    full = [True]
    save_file = checkpoint.save_file
    monkeypatch.setattr(checkpoint, "save_file", lambda *a: full_disk() if full[0] else save_file(*a))
    with pytest.raises(CheckpointError, match="No space left"):
        run.run()
    assert trainer.progress.updates == 3
    assert capsys.readouterr().err.count("Training goes on.") == 4
    full[0] = False
    TrainingRun(trainer, config, tmp_path).run()
    load_policy(find_checkpoint(tmp_path))


def test_a_log_that_cannot_be_written_does_not_stop_training(tmp_path, trainer, capsys):
    run = TrainingRun(trainer, TrainConfig(**SMALL, total_frames=3 * FRAMES), tmp_path)
    run._log._file.close()
    run._log._file = open("/dev/full", "w")  # noqa: SIM115  (closed by the run)
    run.run()
    assert trainer.progress.updates == 3
    assert capsys.readouterr().err.count("log cannot be written") == 1
