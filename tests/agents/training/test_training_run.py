"""How a run stops: by a signal, or because its figures are no numbers any more."""

import json
import os
import signal

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.runs.checkpoint import find_checkpoint, load_policy
from batchsim.agents.train import train
from batchsim.agents.training import build
from batchsim.agents.training.build import make_trainer
from batchsim.agents.training.training_run import StopOnSignal, TrainingRun

FRAMES = 4 * 6  # of one update
CONFIG = TrainConfig(
    scenes="one-room",
    num_envs=4,
    rollout_steps=6,
    blind=True,
    hidden_size=16,
    eval_scenes="",
    device="cpu",
    log_every=1,
    total_frames=5 * FRAMES,
)


@pytest.fixture
def trainer():
    made = make_trainer(CONFIG)
    yield made
    made.env.close()


def after_update(trainer, number, action):
    """Have `action` happen in the middle of that update."""
    iteration = trainer.iteration

    def changed():
        if trainer.progress.updates == number - 1:
            action()
        return iteration()

    trainer.iteration = changed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_update_under_way(tmp_path, trainer, number):
    before = signal.getsignal(number)
    after_update(trainer, 2, lambda: os.kill(os.getpid(), number))
    assert TrainingRun(trainer, CONFIG, tmp_path).run() == number
    assert json.loads((find_checkpoint(tmp_path) / "trainer.json").read_text())["updates"] == 2
    assert signal.getsignal(number) is before


def test_the_exit_code_names_the_signal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(TrainingRun, "run", lambda self: (self._close(), signal.SIGTERM)[1])
    assert train(CONFIG, tmp_path / "run") == 143
    assert "--resume" in capsys.readouterr().err


def test_a_second_interrupt_ends_at_once():
    stop = StopOnSignal()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        stop.restore()


def test_numbers_that_are_none_stop_the_run_and_keep_the_last_good_checkpoint(tmp_path, trainer):
    config = TrainConfig(**vars(CONFIG) | {"checkpoint_minutes": 0.0})

    def spoil():
        with torch.no_grad():
            trainer.policy.critic.weight.fill_(torch.nan)

    after_update(trainer, 3, spoil)
    with pytest.raises(AgentError, match=r"value_loss.*--learning-rate"):
        TrainingRun(trainer, config, tmp_path).run()
    checkpoint = find_checkpoint(tmp_path)
    assert json.loads((checkpoint / "trainer.json").read_text())["updates"] == 2
    assert all(parameter.isfinite().all() for parameter in load_policy(checkpoint).parameters())
    assert [json.loads(line)["updates"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize(("cpu", "expected"), [(True, torch.bfloat16), (False, None)])
def test_auto_precision_follows_the_cpu(monkeypatch, cpu, expected):
    monkeypatch.setattr(build, "has_fast_bfloat16", lambda: cpu)
    for precision, dtype in (("auto", expected), ("float32", None), ("bfloat16", torch.bfloat16)):
        policy = Policy(PolicyConfig(images=()))
        build.speed_up(policy, TrainConfig(precision=precision))
        assert policy.compute_dtype == dtype
