"""Evaluations during training are written down, and change nothing about it."""

import json

import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.runs.checkpoint import find_checkpoint, load_policy
from batchsim.agents.train import train
from tests.helpers.small_runs import FRAMES, SMALL

EVALUATED = {
    **SMALL,
    "eval_scenes": "one-room",
    "eval_every_episodes": 3,
    "log_every": 2,
    "total_frames": 4 * FRAMES,
}


def test_evaluating_does_not_disturb_training(tmp_path, monkeypatch):
    monkeypatch.setattr("batchsim.agents.train.evaluate_run", lambda *_: tmp_path)
    for name, minutes in (("with", 1e-9), ("without", 0.0)):
        train(TrainConfig(**EVALUATED, eval_every_minutes=minutes), tmp_path / name)
    for path in find_checkpoint(tmp_path / "without").glob("*.safetensors"):
        expected, found = load_file(path), load_file(find_checkpoint(tmp_path / "with") / path.name)
        assert all(torch.equal(expected[name], found[name]) for name in expected)

    lines = [json.loads(line) for line in (tmp_path / "with" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    # The last line's is of the policy as the run left it, which can be evaluated again.
    config = TrainConfig.load(tmp_path / "with" / "config.json")
    policy = load_policy(tmp_path / "with" / "checkpoint")
    session = EvalSession(episodes_of_set("one-room", 3), seed=config.seed)
    again = session.run(Candidate("", config, policy)).summary()
    assert lines[1]["eval_success"] == again["success"]["mean"]
    assert lines[1]["eval_distance_to_goal"] == again["distance_to_goal"]["mean"]

    events = EventAccumulator(str(tmp_path / "with" / "tensorboard")).Reload()
    assert {"eval/success", "charts/SPS", "losses/policy_loss"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("eval/success")] == [84, 168]
