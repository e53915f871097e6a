"""Files of an evaluation, and files that are none."""

from __future__ import annotations

import csv
import json
import math
import re

import pytest

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.result_files import load_evaluation, save_evaluation
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation, LeftOut


def record(scene: str, number: int, **measures: float) -> EpisodeRecord:
    values = {**dict.fromkeys(MEASURES, 0.0), **measures}
    path = [[0.0, 0.0, 0.0], [0.0, 0.0, -0.25]]
    return EpisodeRecord(scene, str(number), 4.0, [1.0, 0.0, 2.0], values, path, [0.5, 0.5], [1])


def test_a_saved_evaluation_comes_back(tmp_path) -> None:
    evaluation = Evaluation("greedy", "four-rooms", 1, (record("a", 0, success=1.0), record("b", 7, spl=0.25)))
    save_evaluation(evaluation, tmp_path)
    assert load_evaluation(tmp_path / "evaluation.json") == evaluation


def test_a_saved_evaluation_comes_back_with_what_was_left_out(tmp_path) -> None:
    left_out = (LeftOut("attic", "9", "its goal is out of reach"),)
    records = (record("a", 0, distance_to_goal=math.inf, reward=-math.inf), record("b", 1, distance_to_goal=2.0))
    evaluation = Evaluation("random", "x", 3, records, ("distance_to_goal", "reward"), left_out, True)
    save_evaluation(evaluation, tmp_path)
    text = (tmp_path / "evaluation.json").read_text()
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    # Numbers that are not finite are null, also in the statistics.
    assert data["records"][0]["measures"]["distance_to_goal"] is None
    assert data["distance_to_goal"] == {"mean": None, "ci95": [2.0, None]}
    assert data["per_scene"]["a"]["distance_to_goal"] is None
    assert data["per_scene"]["b"]["distance_to_goal"] == 2.0
    back = load_evaluation(tmp_path / "evaluation.json")
    assert back.records[1] == records[1]
    assert back.records[0].measures["distance_to_goal"] == math.inf
    assert (back.measures, back.left_out, back.deterministic) == (evaluation.measures, left_out, True)


def test_csv_has_a_line_for_each_episode(tmp_path) -> None:
    records = (
        record('room, "north"', 0, success=1.0, spl=0.75, start_distance=4.0, path_length=5.5),
        record("b", 1, distance_to_goal=math.inf),
    )
    save_evaluation(Evaluation("greedy", "x", 0, records), tmp_path)
    with (tmp_path / "episodes.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        *("scene", "episode_id", "start_distance", "goal_x", "goal_y", "goal_z"),
        *(*MEASURES, "path_length"),
    ]
    assert [line["scene"] for line in lines] == ['room, "north"', "b"]
    assert (lines[0]["spl"], lines[0]["path_length"], lines[0]["goal_z"]) == ("0.75", "5.5", "2.0")
    assert (lines[1]["distance_to_goal"], lines[1]["path_length"]) == ("", "")


def saved_data(tmp_path) -> dict:
    save_evaluation(Evaluation("greedy", "x", 0, (record("a", 0),)), tmp_path)
    return json.loads((tmp_path / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("agent"), "agent"),
        (lambda data: data.update(seed=-1), "seed"),
        (lambda data: data.update(seed=1.5), "seed"),
        (lambda data: data.update(measures=[]), "measures"),
        (lambda data: data.update(measures=["spl", "novelty"]), "lacks the measures novelty"),
        (lambda data: data.update(records={}), "records"),
        (lambda data: data.update(left_out=[{"scene": "a"}]), "left_out"),
        (lambda data: data["records"][0].update(goal=[1.0, 2.0]), "goal"),
        (lambda data: data["records"][0].update(actions=["stop"]), "actions"),
        (lambda data: data["records"][0].update(actions=[10**400]), "range|actions"),
        (lambda data: data["records"][0].update(actions=[1, 1, 1]), "2 positions, 2 headings and 3 actions"),
        (lambda data: data["records"][0].update(headings=[0.0]), "2 positions, 1 headings"),
        (lambda data: data["records"][0]["measures"].update(spl="high"), "measures"),
        (lambda data: data["records"][0]["path"][0].append(1.0), "path"),
    ],
)
def test_files_with_wrong_values_are_refused_by_name(tmp_path, change, said) -> None:
    data = saved_data(tmp_path)
    change(data)
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(data))
    with pytest.raises(AgentError, match=f"^{re.escape(str(path))}") as found:
        load_evaluation(path)
    assert re.search(said, str(found.value))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"agent": "a"', b"[" * 100_000, b'{"agent": NaN}'])
def test_files_that_are_no_evaluation_are_refused_by_name(tmp_path, content) -> None:
    path = tmp_path / "evaluation.json"
    path.write_bytes(content)
    with pytest.raises(AgentError, match=f"^{re.escape(str(path))}"):
        load_evaluation(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(AgentError, match="does not exist"):
        load_evaluation(tmp_path / "evaluation.json")
