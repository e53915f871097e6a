"""The gap between training homes and unseen ones: conditions, intervals and the page."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation
from batchsim.agents.generalisation.conditions import SHUFFLED, TRAINING, UNSEEN, ShuffledGoals, conditions_of
from batchsim.agents.generalisation.gap import RunResults, difference_interval
from batchsim.agents.generalisation.study import study, write_study


def run_of(folder, scenes="homes:train?count=4", **options):
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text('{"frames": 1000, "success": 0.5}\n')
    return Candidate(folder.name, TrainConfig(scenes=scenes, **options), policy=object(), run=folder)


def evaluation(successes, homes):
    """One episode after the other, in `homes` homes in turn."""
    records = tuple(
        EpisodeRecord(f"home {k % homes}", str(k), 5.0, [0.0, 0.0, 0.0], dict.fromkeys(MEASURES, 0.0) | {"success": s})
        for k, s in enumerate(successes)
    )
    return Evaluation("a", "s", 0, records)


def test_conditions_follow_what_the_agent_sees(tmp_path):
    names = [condition.name for condition in conditions_of(run_of(tmp_path / "a"), "homes:val")]
    assert names == [TRAINING, UNSEEN, SHUFFLED, "other furniture"]  # depth images show neither colours nor light
    seeing = run_of(tmp_path / "b", sensors=("depth", "rgb"))
    scenes = {condition.name: condition.scenes for condition in conditions_of(seeing, "homes:val")}
    assert scenes == {
        TRAINING: "homes:train?count=4",
        UNSEEN: "homes:val",
        SHUFFLED: "homes:train?count=4",
        "other look": "homes:train?count=4&look=1",
        "other furniture": "homes:train?count=4&furniture=1",
        "other light": "homes:train?count=4&light=1",
    }
    assert len(conditions_of(run_of(tmp_path / "c", scenes="maze"), "homes:val")) == 3


def test_shuffled_goals_are_those_of_other_environments(one_room, make_env):
    env = make_env(4, one_room, sensors=(), device="cpu")
    observation, _ = env.reset(seed=0)
    heard = []

    class Listener:
        def act(self, observation, episode_start, uniform):
            heard.append(observation)
            return torch.zeros(4, dtype=torch.int64)

    start = torch.ones(4, dtype=torch.bool)
    ShuffledGoals(Listener(), env).act(observation, start, torch.zeros(4))
    goal = "pointgoal_with_gps_compass"
    assert torch.equal(heard[0][goal], observation[goal][[3, 0, 1, 2]])
    with pytest.raises(AgentError, match="at least 2"):
        ShuffledGoals(Listener(), make_env(1, one_room, sensors=(), device="cpu"))
    with pytest.raises(AgentError, match="goal sensor"):
        ShuffledGoals(Listener(), make_env(2, one_room, task="flee", sensors=(), device="cpu"))


def test_the_gap_and_its_interval_against_the_normal_distribution():
    rng = np.random.default_rng(0)
    known, unseen = (evaluation((rng.random(400) < chance).astype(float), 400) for chance in (0.9, 0.6))
    result = RunResults("a", 4, 1000, {TRAINING: known, UNSEEN: unseen})
    values = [each.values("success") for each in (known, unseen)]
    expected = values[0].mean() - values[1].mean()
    error = np.sqrt(sum(value.var() / len(value) for value in values))
    assert result.gap("success")["mean"] == pytest.approx(expected)
    low, high = difference_interval(known, unseen, "success")
    assert low == pytest.approx(expected - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(expected + 1.96 * error, abs=0.15 * error)


def test_a_study_runs_all_conditions_and_writes_them(tmp_path):
    few, many = run_of(tmp_path / "few"), run_of(tmp_path / "many", scenes="homes:train?count=16")
    chance = {"few": 1.0, "many": 0.75}

    def evaluate(candidate, condition):
        share = chance[candidate.name] if condition.name == TRAINING else 0.5
        return evaluation([float(k < 8 * share) for k in range(8)], 4)

    results = study([many, few], "homes:val", evaluate)
    assert [(result.run, result.homes, result.frames) for result in results] == [("few", 4, 1000), ("many", 16, 1000)]
    page = write_study(results, tmp_path / "out").read_text()
    data = json.loads((tmp_path / "out" / "generalisation.json").read_text())
    assert [run["gap"]["success"]["mean"] for run in data["runs"]] == [0.5, 0.25]
    assert set(data["runs"][0]["conditions"]) == {TRAINING, UNSEEN, SHUFFLED, "other furniture"}
    assert "other furniture" in page
    assert "75.0%" in page


def test_what_cannot_be_compared_is_refused(tmp_path):
    run = run_of(tmp_path / "run")
    with pytest.raises(AgentError, match="that it has not seen"):
        study([run], "homes:train", lambda *_: None)
    with pytest.raises(AgentError, match="greedy is none"):
        study([replace(run, name="greedy", run=None, policy=None)], "homes:val", lambda *_: None)
