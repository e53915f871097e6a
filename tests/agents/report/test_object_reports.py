"""Reports of ObjectNav, of tasks with goal images and of goals in sequence."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from batchsim import NavVectorEnv
from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.candidates import find_candidates
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.result_files import load_evaluation
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.report.evaluation_report import write_evaluation
from batchsim.agents.report.formatting import style_of


@pytest.fixture(scope="module")
def report(tmp_path_factory, cache_of_this_session):
    """Evaluates the oracle and the random agent in a task; returns the page, the session and what was found."""

    def make(task, episodes=10, **options):
        out = tmp_path_factory.mktemp(task)
        candidates = find_candidates(["oracle", "random"], TrainConfig(task=task, width=32, height=32, **options))
        chosen = episodes_of_set("homes:train?count=2", episodes)
        session = EvalSession(chosen, device="cpu", quiet=True, max_episode_steps=1500)
        evaluations = [session.run(candidate) for candidate in candidates]
        path = write_evaluation(out, session, candidates, evaluations, videos=0)
        return path.read_text(), session, candidates[0], evaluations[0], out

    return make


def test_results_by_category(report):
    page, _, _, found, out = report("objectnav_level")
    table = re.search(r'<section id="categories">(.*?)</section>', page, re.S)[1]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td data-value="(\d+)">(.*?)</tr>', table, re.S)
    by_category = found.per_category()
    assert [name for name, _, _ in rows] == list(by_category)
    for name, count, cells in rows:
        figures = by_category[name]
        assert int(count) == figures["episodes"]
        spl = re.search(r'data-measure="spl" data-value="(.*?)"><b>(.*?)</b><span class="interval">(.*?)<', cells)
        assert float(spl[1]) == pytest.approx(figures["spl"]["mean"])
        assert spl[3] == style_of("spl").range_text(*figures["spl"]["ci95"])
    goals = re.findall(r"Goal: (\w+)", page)
    assert sorted(goals) == sorted(found.category_of(record) for record in found.records)
    assert load_evaluation(out / "evaluation.json").per_category() == by_category


@pytest.mark.parametrize("task", ["imagenav", "instance_imagenav_level"])
def test_goal_images_stand_beside_the_paths(report, task):
    page, session, candidate, found, _ = report(task, 6)
    shown = re.findall(r'<img class="goal-image" id="goal-(\d+)" src="data:image/jpeg;base64,(.*?)"', page)
    assert len(shown) == len(found.records) == 6
    options = session.env_options(candidate) | {"sensors": ("rgb",), "output": "numpy"}
    chosen = session.episodes_for(candidate)
    env = NavVectorEnv(6, chosen.scenes, episodes=chosen.episodes, **options)
    drawn = env.reset(seed=3)[0][env.task.goal_image].astype(float)
    env.close()
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), float) for _, data in shown]
    # JPEG changes colours a little; each image belongs to exactly one episode.
    distance = np.array([[np.abs(picture - goal).mean() for goal in drawn] for picture in pictures])
    assert (distance.min(1) < 10).all()
    assert sorted(distance.argmin(1).tolist()) == list(range(6))
    assert 'hasGoalImage":true' in page.replace(" ", "")


def test_goals_in_sequence(report):
    page, _, _, found, _ = report("multi_objectnav", 4)
    head = re.search(r'<table class="comparison">(.*?)</thead>', page, re.S)[1]
    assert "Progress" in head
    assert "PPL" in head
    cell = re.search(r'data-measure="progress" data-value="(.*?)"', page)
    assert float(cell[1]) == found.summary()["progress"]["mean"] == 1.0
    assert 'class="goal-image"' not in page


def test_velocities_are_recorded_and_read_back(report):
    _, _, _, found, out = report("pointnav", 4, action_mode="velocity")
    again = load_evaluation(out / "evaluation.json")
    assert [record.actions for record in again.records] == [record.actions for record in found.records]
    assert len(found.records[0].actions[0]) == 2
