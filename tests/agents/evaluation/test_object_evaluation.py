"""ObjectNav evaluated: the oracle and the frontier baseline, results by category, and the setting that is recorded."""

import json

import pytest

from batchsim import scenes
from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.candidates import find_candidates
from batchsim.agents.evaluation.episode_selection import EvalEpisodes, episodes_of_file, episodes_of_set
from batchsim.agents.evaluation.session import EvalSession
from batchsim.scenes.categories import CATEGORIES
from batchsim.settings import SETTINGS
from batchsim.tasks import ObjectNav

HOMES = "homes:train?count=2"


def run(name, chosen, task="objectnav_level", **options):
    (candidate,) = find_candidates([name], TrainConfig(task=task, width=32, height=32))
    return EvalSession(chosen, num_envs=8, device="cpu", quiet=True, **options).run(candidate)


@pytest.fixture(scope="module")
def chosen(cache_of_this_session) -> EvalEpisodes:
    return episodes_of_set(HOMES, 12)


def test_results_by_category(chosen):
    found = run("oracle", chosen)
    data = json.loads(json.dumps(found.to_json()))
    assert data["success"]["mean"] == 1.0
    assert data["spl"]["mean"] > 0.9
    assert set(data["per_category"]) <= set(CATEGORIES)
    assert sum(row["episodes"] for row in data["per_category"].values()) == len(found.records) >= 10
    assert "per_category" not in run("oracle", chosen, task="pointnav").to_json()


def test_the_frontier_baseline_finds_more_than_chance(chosen):
    frontier, random = run("frontier", chosen), run("random", chosen)
    assert frontier.values("success").mean() >= 0.7
    assert random.values("success").mean() <= 0.1
    assert frontier.values("spl").mean() < run("oracle", chosen).values("spl").mean()


def test_a_setting_is_recorded(cache_of_this_session):
    setting = SETTINGS["habitat-objectnav-2022"]
    chosen = episodes_of_set("homes:train?count=1", 3, setting.body)
    data = run("oracle", chosen, task="objectnav", setting=setting.name).to_json()
    assert data["setting"]["name"] == setting.name
    assert data["setting"]["version"] == setting.version
    assert data["setting"]["options"]["turn_angle"] == 30
    assert data["success"]["mean"] == 1.0


def test_an_episode_file_with_objects_is_run(tmp_path, cache_of_this_session):
    home = scenes.load("homes:train/0")
    _, episodes = ObjectNav().prepare([home], scenes.sample_episodes([home], 4))
    scenes.save_object_episodes(episodes, [home], tmp_path / "val.json.gz")
    found = run("oracle", episodes_of_file(tmp_path / "val.json.gz", None))
    assert found.values("success").tolist() == [1.0] * 4
