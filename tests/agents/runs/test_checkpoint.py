"""A run that was stopped and resumed equals one that was never stopped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.runs.checkpoint import (
    find_checkpoint,
    load_log_state,
    load_policy,
    load_trainer,
    save_checkpoint,
    save_policy,
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


def test_a_policy_is_found_in_a_run_its_checkpoints_or_one_of_them(tmp_path, trainer):
    save_checkpoint(tmp_path, trainer)
    for folder in (tmp_path, tmp_path / "checkpoint", find_checkpoint(tmp_path), str(tmp_path)):
        assert torch.equal(load_policy(folder).critic.weight, trainer.policy.critic.weight)
    with pytest.raises(AgentError, match="holds no checkpoint"):
        load_policy(tmp_path / "absent")


def test_a_policy_of_every_core_can_be_loaded(tmp_path):
    """Its shapes are found without memory for its weights."""
    for core in ("gru", "lstm", "mt_lstm"):
        config = PolicyConfig(images=(), hidden_size=6, core=core)
        policy = Policy(config)
        save_policy(tmp_path / core, policy)
        found = load_policy(tmp_path / core)
        assert found.config == config
        assert all(torch.equal(value, policy.state_dict()[name]) for name, value in found.state_dict().items())
