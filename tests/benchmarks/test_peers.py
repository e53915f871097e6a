"""The comparison with other simulators: alternating workers, ratios, missing peers. Needs no other simulator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
sys.path.insert(0, str(PEERS))
compare = pytest.importorskip("compare")
from pairs import Pair, Side, all_pairs  # noqa: E402

WORKER = """
import sys
sys.path.insert(0, {folder!r})
import protocol
print("libraries say things")
protocol.serve(lambda: __import__("time").sleep(0.005) or {frames}, {{"frames": {frames}}}, warm_up=0.0)
"""


@pytest.fixture
def side(tmp_path, monkeypatch):
    """Makes sides that count some frames every five milliseconds."""
    monkeypatch.setattr(compare, "_WORKERS", tmp_path)

    def make(name, frames, copies=1):
        (tmp_path / f"{name}.py").write_text(WORKER.format(folder=str(PEERS / "workers"), frames=frames))
        return Side(name, "", (f"{name}.py",), copies)

    return make


def test_sides_take_turns(side, tmp_path):
    pair = Pair("work", side("ours", 40), side("theirs", 10), "nothing", 2.0)
    found = compare.compare(pair, tmp_path, repeats=3, seconds=0.1)
    low, high = found["ratio_range"]
    assert low <= found["ratio"] <= high
    assert 2 < found["ratio"] < 8
    assert found["ours"]["facts"] == {"frames": 40}
    assert 0 < found["theirs"]["fps"] < 10 / 0.005
    assert "work: " in compare.row(found)


def test_copies_work_at_the_same_time_and_count_together(side, tmp_path):
    teams = [compare.Team(side("one", 10), tmp_path), compare.Team(side("three", 10, copies=3), tmp_path)]
    try:
        assert [team.facts()["frames"] for team in teams] == [10, 10]
        alone, together = (team.rate(0.2) for team in teams)
    finally:
        for team in teams:
            team.close()
    assert together > 1.5 * alone


def test_ratios_are_taken_turn_by_turn():
    pair = Pair("work", Side("ours", "", ("a",)), Side("theirs", "b", ("c",)), "much", 5.0)
    found = compare.result(pair, [{}, {}], [[60.0, 20.0, 90.0], [10.0, 5.0, 9.0]])
    assert (found["ratio"], found["ratio_range"]) == (6.0, [4.0, 10.0])
    assert (found["ours"]["fps"], found["theirs"]["fps_range"]) == (60.0, [5.0, 10.0])
    line = "work: 6.0 times (4.0 to 10.0, target 5); frames/s 60 (ours) : 9 (theirs)"
    assert compare.row(found) == line


def test_a_worker_that_breaks_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "_WORKERS", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit('no display')")
    worker = compare.Worker(Side("broken", "", ("broken.py",)), tmp_path)
    with pytest.raises(compare.WorkerError, match="no display"):
        worker.answer()
    worker.close()


def test_what_is_not_installed_is_left_out(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.json"
    typed = ["compare.py", "--only", "VizDoom", "--environments", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", typed)
    with pytest.raises(SystemExit) as exit_info:
        compare.main()
    assert exit_info.value.code == 1
    page = json.loads(out.read_text("utf-8"))
    assert page["peers"] == []
    assert [entry["why"].startswith("vizdoom is not installed") for entry in page["left_out"]] == [True, True]
    assert "make_environments.py" in capsys.readouterr().err


def test_pairs_name_workers_that_are_there():
    pairs = all_pairs(2)
    assert {pair.target for pair in pairs if pair.name.startswith("maze")} == {8.0, None}
    for side in (side for pair in pairs for side in (pair.ours, pair.theirs)):
        assert (PEERS / "workers" / side.arguments[0]).exists()
        assert side.python in ("", "miniworld", "vizdoom", "mujoco-warp")


@pytest.mark.parametrize("worker", ["batchsim_steps.py", "batchsim_views.py", "batchsim_train.py"])
def test_our_workers_work(worker, cache_of_this_session):
    arguments = {
        "batchsim_steps.py": ["one-room", "3", "8", "8", "hfov=60.0"],
        "batchsim_views.py": ["one-room", "3", "8", "cpu"],
        "batchsim_train.py": ["patches", "bfloat16", "4", "16", "1", "2", "renderer='raster'"],
    }
    command = [sys.executable, str(PEERS / "workers" / worker), *arguments[worker]]
    done = subprocess.run(command, input="0.01\n0.01\n", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    first, *answers = map(json.loads, done.stdout.splitlines())
    assert first["facts"]["environments"] in (3, 4)
    assert all(answer["frames"] > 0 and answer["seconds"] >= 0.01 for answer in answers)
    assert len(answers) == 2
